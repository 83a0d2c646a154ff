"""Runs that were broken on purpose, to be diagnosed from their curves. Don't read this file before you have made your guess."""

import copy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from course_lib import classify, counting, gan_images, pretrained, tuning


@dataclass(frozen=True)
class Run:
    """losses: the training loss of each step. right: the share of test images classified right after each tenth of the steps,
    the images in the order of their classes, twenty at a time. shuffled: the last share again, the images in random order."""

    losses: list
    right: list
    shuffled: float


def classifiers(stack_of, block, train, test, steps, progress=iter):
    """{letter: Run} of five classifiers, four of them broken. stack_of(block, count) → a net of the learner's blocks.

    train, test: ImageSets. progress: wraps the iterable of the runs, to show how far they are.
    """
    order = test.labels.argsort(stable=True)
    shuffled = torch.randperm(len(order), generator=torch.Generator().manual_seed(0))

    def run(make, measured=lambda net: net.eval(), seen=lambda images: images):
        def share(order):
            with torch.no_grad():
                answers = torch.cat([measured(net)(seen(part)) for part in test.images[order].split(20)])
            net.train()
            return (answers.argmax(1) == test.labels[order]).double().mean().item()

        def after_step(step, loss):
            losses.append(loss)
            if (step + 1) % (steps // 10) == 0:
                state = {name: value.clone() for name, value in net.state_dict().items()}
                right.append(share(order))
                net.load_state_dict(state)  # looking must not change what is looked at

        torch.manual_seed(0)
        net, losses, right = make(), [], []
        classify.train_classifier(net, train.images, train.labels, F.cross_entropy, torch.optim.SGD(net.parameters(), 0.05, momentum=0.9),
                                  steps, after_step=after_step)
        return Run(losses, right, share(shuffled))

    whole = lambda: stack_of(block, 1)
    runs = {"A": lambda: run(lambda: nn.Sequential(*whole(), nn.Softmax(1))),
            "B": lambda: run(whole, seen=lambda images: (images - test.images.mean()) / test.images.std()),
            "C": lambda: run(lambda: stack_of(classify.PlainBlock, 6)),
            "D": lambda: run(whole, measured=lambda net: net.train()),
            "E": lambda: run(whole)}
    return {letter: runs[letter]() for letter in progress(list(runs))}


@dataclass(frozen=True)
class Report:
    """What somebody says about the same pictures. true, predicted: the mean count, as the sum of the map. related: the correlation
    of predicted and true counts. ssim: the mean similarity of the maps. places: at how many places of a map it was taken."""

    true: float
    predicted: float
    related: float
    ssim: float
    places: int


def counters(pieces, net, images, heads, sigma):
    """{letter: Report} of five people on one net's maps, four of whom have broken something.

    pieces: the learner's functions by name, as `globals()` of a notebook holds them. net: images → maps times counting.SCALE.
    images (n, c, h, w), heads: n tensors (k, 2), sigma: of the true maps, in pixels.
    """
    size = images.shape[2:]
    found = counting.predict_maps(net, images).cpu()
    true = torch.stack([pieces["density_map"](points.float(), *size, sigma) for points in heads])[:, None]

    def report(found=found, true=true, ssim_map=pieces["ssim_map"], scale=counting.SCALE):
        similar = ssim_map(found, counting.SCALE * true)
        predicted, count = found.sum((1, 2, 3)) / scale, true.sum((1, 2, 3))
        related = torch.corrcoef(torch.stack([predicted, count]))[0, 1].item() if predicted.std() > 0 else 0.0
        return Report(count.mean().item(), predicted.mean().item(), related, similar.mean().item(), similar[0].numel())

    def faded():
        """A net whose last ReLU has closed for good: trained, and still at zero."""
        torch.manual_seed(0)
        dead = nn.Sequential(pieces["SANet"](images.shape[1], 2, "batch"), nn.ReLU()).to(images.device)
        *_, last = (module for module in dead.modules() if isinstance(module, nn.Conv2d))
        nn.init.constant_(last.bias, -3.0)
        counting.train_counter(dead, images, counting.SCALE * true.to(images.device), F.mse_loss, torch.optim.Adam(dead.parameters(), 0.001), 20)
        return counting.predict_maps(dead, images).cpu()

    def bells_over_the_border():
        """True maps whose bells hang over the border: a larger picture's map, cut to size."""
        room = int(4 * sigma)
        wide = [pieces["density_map"](points.float() + room, *(side + 2 * room for side in size), sigma) for points in heads]
        return torch.stack(wide)[:, None, room:-room, room:-room]

    def wide_window(x, y):
        """A window 23 wide fits at six places less on each side. Beyond five pixels it weighs next to nothing, so there it says the same."""
        return pieces["ssim_map"](x, y)[:, :, 6:-6, 6:-6]

    return {"A": report(ssim_map=wide_window), "B": report(true=bells_over_the_border()), "C": report(), "D": report(found=faded()), "E": report(scale=1)}


def tuned(source, train, test, steps):
    """{letter: {"losses", "train", "in order", "shuffled"}} of four fine-tunings of `source`, three of them broken.

    train, test: ImageSets of the same classes. losses: of each step. The others are shares classified right: of the training images, of
    the test images in the order of their classes, and in random order, twenty at a time.
    """
    order = test.labels.argsort(stable=True)
    shuffled = torch.randperm(len(order), generator=torch.Generator().manual_seed(0))
    mean, std = train.images.mean(), train.images.std()

    def run(early=False, seen=lambda images: images, mode=False):
        torch.manual_seed(0)
        net, losses = pretrained.with_new_head(source, len(train.classes)), []
        optimizer = torch.optim.SGD(net.parameters(), 0.03, momentum=0.9)
        if early:
            net.head[-1] = nn.Linear(net.head[-1].in_features, len(train.classes))
        tuning.train(net, train.images, train.labels, optimizer, steps, after_step=lambda step, loss: losses.append(loss),
                     generator=torch.Generator().manual_seed(0))

        def share(data, order):
            with torch.no_grad():
                answers = torch.cat([net.train(mode)(seen(part)) for part in data.images[order].split(20)])
            return (answers.argmax(1) == data.labels[order]).double().mean().item()

        state = copy.deepcopy(net.state_dict())
        figures = {}
        for name, data, places in (("train", train, torch.arange(len(train))), ("in order", test, order), ("shuffled", test, shuffled)):
            figures[name] = share(data, places)
            net.load_state_dict(state)  # looking must not change what is looked at
        return {"losses": losses, **figures}

    return {"A": run(early=True), "B": run(mode=True), "C": run(), "D": run(seen=lambda images: (images - mean) / std)}


@dataclass(frozen=True)
class Ranks:
    """What can be seen of a training on two processes. losses: of each step, the mean over the ranks. apart: the largest difference
    between a weight of the one rank and the other's at the end. first_step: by how much the first step has changed the weight that it
    changed most. repeated: the share of the second epoch's batches that were batches of the first. right, of: how many test images
    are reported as right, and how many there are."""

    losses: list
    apart: float
    first_step: float
    repeated: float
    right: int
    of: int


def ranks(pieces, net, train, test, epochs=6, batch=64, rate=0.05):
    """{letter: Ranks} of five trainings on two processes, four of them broken. pieces: the learner's DDP and shard, by name, as
    `globals()` of a notebook holds them. train, test: ImageSets."""
    from course_lib.processes import launch
    DDP, shard = pieces["DDP"], pieces["shard"]

    def train_rank(rank, world, net, fault):
        import torch
        import torch.distributed as dist
        import torch.nn.functional as F
        ddp = DDP(net)
        with torch.no_grad():
            for parameter in net.parameters():
                if fault == "each its own" and rank:
                    parameter.copy_(parameter[..., torch.randperm(parameter.shape[-1])])
        optimizer, losses, orders, share = torch.optim.SGD(net.parameters(), rate), [], [], batch // world
        first = [parameter.detach().clone() for parameter in net.parameters()]
        for epoch in range(epochs):
            positions = shard(len(train), rank, world, 0 if fault == "one epoch" else epoch, drop_last=True)
            orders.append([tuple(part.tolist()) for part in positions.split(share) if len(part) == share])
            for chosen in map(list, orders[-1]):
                loss = F.cross_entropy(ddp(train.images[chosen]), train.labels[chosen])
                optimizer.zero_grad()
                loss.backward()
                ddp.finish()
                if fault == "sum":
                    for parameter in net.parameters():
                        parameter.grad *= world
                optimizer.step()
                if not losses:
                    moved = max((parameter - before).abs().max().item() for parameter, before in zip(net.parameters(), first))
                losses.append(loss.item())
        seen = slice(None) if fault == "all of them" else slice(rank, None, world)
        with torch.no_grad():
            right = (net(test.images[seen]).argmax(1) == test.labels[seen]).sum()
        dist.all_reduce(right)
        repeated = len({*orders[0]} & {*orders[1]}) / len(orders[0])
        return losses, moved, repeated, right.item(), torch.cat([parameter.detach().flatten() for parameter in net.parameters()])

    def run(fault=None):
        (losses, moved, repeated, right, one), (others, *_, other) = launch(train_rank, 2, copy.deepcopy(net), fault, timeout=300.0)
        return Ranks([(a + b) / 2 for a, b in zip(losses, others)], (one - other).abs().max().item(), moved, repeated, right, len(test))

    return {"A": run("one epoch"), "B": run("sum"), "C": run("all of them"), "D": run(), "E": run("each its own")}


@dataclass(frozen=True)
class Game:
    """A run of a GAN on images. losses: (of D, of G) of each round. pictures: what G makes at the end, as it stands.

    pushed: how far G's step moves D's weights, on average a round, in their own units. passed: the mean slope of
    the tanh in the very first pictures, which is how much of a gradient gets through it. company: how much D's logits of real images change, in the round, when other fakes are judged beside them.
    apart: what D loses in the end, of real images and fakes in separate batches.
    """

    losses: list
    pictures: torch.Tensor
    pushed: float
    passed: float
    company: float
    apart: float


def gans(pieces, images, width, steps, progress=iter):
    """{name: Game} of four runs on images (n, 1, 28, 28) in [−1, 1], three of them broken; the first D and G of all are the same.

    pieces: the learner's functions by name, as `globals()` of a notebook holds them. progress: wraps the iterable of the runs.
    """
    split = lambda D, real, fake: (D(real), D(fake))

    def mixed(D, real, fake):
        return D(torch.cat([real, fake])).split([len(real), len(fake)])

    def mixing_round(D, G, opt_D, opt_G, real, z, objective, penalty=None):
        fake = G(z)
        for optimizer, player, shown in ((opt_D, 0, fake.detach()), (opt_G, 1, fake)):
            losses = objective(*mixed(D, real, shown))
            optimizer.zero_grad()
            losses[player].backward()
            optimizer.step()
        return [loss.item() for loss in losses]

    @torch.no_grad()
    def loud(G):
        *_, last = (layer for layer in G.modules() if isinstance(layer, nn.ConvTranspose2d))
        last.weight.mul_(50)

    def run(change=lambda G: None, play=pieces["play_round"], judged=split, both=False):
        torch.manual_seed(0)
        D, G = pieces["initialise"](pieces["Discriminator"](width)), pieces["initialise"](pieces["Generator"](gan_images.NOISE, width))
        change(G)
        opt_D = torch.optim.Adam(D.parameters(), 4e-3, (0.5, 0.99))
        opt_G = torch.optim.Adam([*G.parameters(), *D.parameters()] if both else G.parameters(), 4e-3, (0.5, 0.99))
        moved, losses, weights = [], [], lambda: torch.cat([value.detach().flatten() for value in D.parameters()])
        opt_G.register_step_pre_hook(lambda *_: moved.append(weights()))
        opt_G.register_step_post_hook(lambda *_: moved.append((weights() - moved.pop()).abs().mean().item()))
        with torch.no_grad():
            first = G(torch.randn(gan_images.BATCH, gan_images.NOISE))
        for _ in range(steps):
            batch = images[torch.randint(len(images), (gan_images.BATCH,))]
            losses.append(play(D, G, opt_D, opt_G, batch, torch.randn(gan_images.BATCH, gan_images.NOISE), pieces["non_saturating"]))
        with torch.no_grad():
            fakes = [G(torch.randn(gan_images.BATCH, gan_images.NOISE)) for _ in range(2)]
            beside = [judged(D, batch, fake)[0] for fake in fakes]
            apart = pieces["non_saturating"](*split(D, batch, fakes[0]))[0].item()
        return Game(losses, torch.cat(fakes), sum(moved) / steps, (1 - first.square()).mean().item(), (beside[0] - beside[1]).abs().mean().item(), apart)

    runs = {"run 1": lambda: run(play=mixing_round, judged=mixed), "run 2": lambda: run(), "run 3": lambda: run(both=True),
            "run 4": lambda: run(change=loud)}
    return {name: runs[name]() for name in progress(list(runs))}
