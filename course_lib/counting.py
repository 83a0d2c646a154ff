"""Training a net that counts by density maps, and watching it scene by scene. Nets, maps, losses and scores are the learner's.

    validation = Validation(test.images, test.counts, test.camera, scores)
    train_counter(net, images, maps, loss, optimizer, steps=400, after_step=validation.every(100))
    validation.plot()

Maps are multiplied by SCALE before they are learnt, as is usual: a density is a small number, and the loss of a small number is
smaller still. A predicted count is the sum of the map, divided by SCALE.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from course_lib.classify import evaluating
from course_lib.files import whole
from course_lib.style import BLACK, OKABE_ITO

SCALE = 100.0
UNHEARD = "`after_step` was never called: hand it on to `train_counter`, or call after_step(step, loss, net) after each step."


def counts(maps):
    """How many heads maps (n, 1, h, w) of SCALE times the density stand for, (n,)."""
    return maps.sum((1, 2, 3)) / SCALE


@torch.no_grad()
def predict_maps(net, images, batch=50):
    """The net's maps (n, 1, h, w) for images (n, c, h, w), in eval mode, a part at a time. Each of its modules is left in its mode."""
    with evaluating(net):
        return torch.cat([net(part) for part in images.split(batch)])


def train_counter(net, images, maps, loss, optimizer, steps, batch=8, rate=None, after_step=None, checkpoint=None, seed=0):
    """Train `net` for `steps` steps on batches drawn without repetition within an epoch, half of each mirrored left to right.

    images (n, c, h, w) and maps (n, 1, h, w) lie on the net's device. loss(predicted maps, maps) → a scalar tensor. rate(step): the
    learning rate of each step, from 0, if it isn't to stay the optimiser's own. after_step(step, loss, net): called with the
    step's loss, a float.
    checkpoint: a file to write the state to after each epoch. If it is there at the start, training goes on from it, and ends
    as if it had never stopped: what is drawn at a step follows from `seed` and the step alone.
    Raises ValueError when there are fewer than `batch` images.
    """
    if not 1 <= batch <= len(images):
        raise ValueError(f"batch={batch}: choose from 1 to the {len(images)} images there are.")
    step, path = 0, Path(checkpoint) if checkpoint else None
    if path and path.exists():
        state = torch.load(path, map_location=images.device, weights_only=True)
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
        step = state["step"]
    epoch = len(images) // batch
    while step < steps:
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed + step // epoch))
        for chosen in order.split(batch)[step % epoch:epoch]:
            mirrored = torch.arange(len(chosen), device=images.device) < len(chosen) // 2
            x, y = (_mirror(pictures[chosen.to(images.device)], mirrored) for pictures in (images, maps))
            if rate is not None:
                for group in optimizer.param_groups:
                    group["lr"] = rate(step)
            value = loss(net.train()(x), y)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            if after_step is not None:
                after_step(step, value.item(), net)
            step += 1
            if step == steps:
                break
        if path:
            with whole(path) as unfinished:  # a run that is stopped while it writes leaves the last whole state
                torch.save({"net": net.state_dict(), "optimizer": optimizer.state_dict(), "step": step}, unfinished)


def _mirror(pictures, which):
    return torch.where(which[:, None, None, None], pictures.flip(3), pictures)


class Looks:
    """Counts how many images a net learns from while it is entered, and how often `after_step` is called.

        with Looks(images) as looks:
            train_mine(images, heads, budget, looks.heard(after_step))

    images: how many like those given (n, c, h, w) went through in train mode with gradients on; a quarter of one counts as a quarter.
    steps: the calls. It looks only at modules with weights that take c channels, and believes the one that was given most: a net,
    its encoder and its first convolutions all see the same images.
    """

    def __init__(self, images):
        self.images = self.steps = 0
        self._channels, self._size, self._seen = images.shape[1], images[0].numel(), Counter()

    def __enter__(self):
        self._hook = nn.modules.module.register_module_forward_pre_hook(self._look)
        return self

    def __exit__(self, *_):
        self._hook.remove()
        self._seen.clear()  # it would keep the nets alive

    def _look(self, module, given):
        if (module.training and torch.is_grad_enabled() and given and isinstance(given[0], torch.Tensor) and given[0].ndim == 4
                and given[0].shape[1] == self._channels and next(module.parameters(), None) is not None):
            self._seen[module] += given[0].numel() / self._size
            self.images = max(self.images, round(self._seen[module]))

    def heard(self, after_step):
        """An `after_step` that does what this one does, and is counted."""
        def counted(step, loss, net):
            self.steps += 1
            after_step(step, loss, net)
        return counted


@dataclass
class Validation:
    """Watches a net scene by scene while it trains, in the form practitioners watch.

    images (n, c, h, w), true (n,) counts, scene (n,) int64 from 0. scores(predicted, true, scene): the learner's; its
    "by scene" and "mean over scenes" are watched. prints: whether each time is told in a line.
    history: a dict for each time, with the scores and the step. best: the state of the net with the lowest mean over scenes
    so far; choosing by it is choosing on these scenes, so they can't be the test's as well.
    """

    images: torch.Tensor
    true: torch.Tensor
    scene: torch.Tensor
    scores: object
    prints: bool = True
    history: list = field(default_factory=list)
    best: dict | None = None

    def __call__(self, net, step):
        """Measure `net`, print the line of this step if it `prints`, and keep the net's state if it is the best so far."""
        predicted = counts(predict_maps(net, self.images)).cpu()
        self.history.append({"step": step} | self.scores(predicted, self.true, self.scene))
        now, best = self.history[-1], self.best_so_far()
        if best is now:
            self.best = {name: value.clone() for name, value in net.state_dict().items()}
        if self.prints:
            by_scene = "  ".join(f"{float(error):6.2f}" for error in now["by scene"])
            print(f"step {step:5}   by scene {by_scene}   mean {now['mean over scenes']:6.2f}   "
                  f"best {best['mean over scenes']:6.2f} at {best['step']}")

    def best_so_far(self):
        """The entry of the history with the lowest mean over scenes; the first, if two are equal."""
        return min(self.history, key=lambda entry: entry["mean over scenes"])

    def every(self, steps, also=None):
        """An `after_step` that measures after each `steps` steps. also(step, loss): called after each step, such as a board's log."""
        def after_step(step, loss, net):
            if also is not None:
                also(step, loss)
            if (step + 1) % steps == 0:
                self(net, step + 1)
        return after_step

    def plot(self, axes=None):
        """The error of each scene over the steps, their mean, and where it was lowest. Returns the axes.

        Raises ValueError when nothing has been measured yet.
        """
        from matplotlib import pyplot as plt
        if not self.history:
            raise ValueError(f"Nothing has been measured yet. {UNHEARD}")
        axes = axes or plt.subplots(figsize=(8, 3.2))[1]
        steps = [entry["step"] for entry in self.history]
        for scene, colour in zip(range(len(self.history[0]["by scene"])), OKABE_ITO):
            axes.plot(steps, [float(entry["by scene"][scene]) for entry in self.history], color=colour, label=f"scene {scene}")
        axes.plot(steps, [entry["mean over scenes"] for entry in self.history], color=BLACK, linewidth=2.5, label="mean")
        best = self.best_so_far()
        axes.plot(best["step"], best["mean over scenes"], "o", color=BLACK, label=f"best, {best['mean over scenes']:.2f}")
        axes.set(xlabel="step", ylabel="mean absolute error of the count", ylim=(0, None))
        axes.legend(ncols=2, fontsize="small")
        return axes
