"""Data-parallel training as a script: a small net on images, on as many processes as there are. To be read, run and changed.

    export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1      # each start forgets the addresses of the ranks before
    torchrun --standalone --nproc-per-node=2 --max-restarts=3 -m course_lib.ddp_script --steps 200 --checkpoint FOLDER/last.pt
    python -m course_lib.ddp_script --steps 200 --checkpoint FOLDER/last.pt      # the same training, on one process

At each step the ranks share one batch equally, so that any number of them trains the same net, up to rounding, and what two
have begun three may go on with. When a rank dies, torchrun ends the others and starts all again, at the last checkpoint.
"""

import argparse
import os
import signal
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DistributedSampler

from course_lib.classify import logits
from course_lib.data import course_data_report, load_images
from course_lib.files import whole


def options(arguments):
    there = [name for name, where, _ in course_data_report() if where]
    parser = argparse.ArgumentParser(prog="course_lib.ddp_script", formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True, help="file to go on from and to write, where all ranks see it")
    parser.add_argument("--steps", type=int, default=200, help="where the training ends")
    parser.add_argument("--every", type=int, default=20, help="steps from one checkpoint to the next")
    parser.add_argument("--data", choices=there, default="fashion_mnist" if "fashion_mnist" in there else "digits", help="images")
    parser.add_argument("--batch", type=int, default=96, help="images a step, of all ranks together")
    parser.add_argument("--seed", type=int, default=0, help="of the first weights and of the images' order")
    parser.add_argument("--die-at", type=int, nargs=2, metavar=("STEP", "RANK"), help="for demonstration: this rank dies there")
    return parser.parse_args(arguments)


def connect():
    """Meet the other ranks, by the variables that torchrun has set, or be a world of one. Returns this rank's device."""
    local, beside = int(os.environ.get("LOCAL_RANK", 0)), int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    if gpus := torch.cuda.device_count():
        torch.cuda.set_device(local % gpus)
    alone = {} if dist.is_torchelastic_launched() else {"store": dist.HashStore(), "rank": 0, "world_size": 1}
    dist.init_process_group("nccl" if gpus >= beside else "gloo", timeout=timedelta(minutes=2), **alone)  # nccl wants one each
    return torch.device("cuda", local % gpus) if gpus else torch.device("cpu")


def make_net(channels, classes):
    """A net for images (n, channels, h, w). Group norm, unlike batch norm, doesn't depend on which images share a rank."""
    def block(inputs, outputs):
        return nn.Conv2d(inputs, outputs, 3, padding=1), nn.GroupNorm(4, outputs), nn.ReLU(), nn.MaxPool2d(2)
    return nn.Sequential(*block(channels, 16), *block(16, 32), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(512, classes))


def resume(path, recipe, net, optimizer, device):
    """Load net and optimizer from a checkpoint, if there is one. Returns how many steps it has behind it."""
    if not path.exists():
        return 0
    try:
        state = torch.load(path, map_location=device, weights_only=True)  # a pickle of more than data would run what it says
        done, written = state["step"], state["recipe"]
    except Exception as error:  # a damaged file can fail in any way
        raise SystemExit(f"{path}: not a whole checkpoint of this script ({type(error).__name__}). Delete or rename it.")
    if written != recipe:
        raise SystemExit(f"{path}: belongs to a training with {written}; this one has {recipe}. Name another file.")
    net.load_state_dict(state["net"])
    optimizer.load_state_dict(state["optimizer"])
    return done


def main(arguments=None):
    chosen = options(arguments)
    device, restarts = connect(), int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0))
    rank, world = dist.get_rank(), dist.get_world_size()
    say = print if rank == 0 else lambda text: None
    train, test = load_images(chosen.data, "train"), load_images(chosen.data, "test")
    if chosen.batch % world or not 1 <= chosen.batch <= len(train) or chosen.every < 1:
        raise SystemExit(f"--batch is shared equally by {world} ranks and is at most {len(train):,}; --every counts from 1.")
    torch.manual_seed(chosen.seed)
    net = make_net(train.images.shape[1], len(train.classes)).to(device)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    recipe = {"data": chosen.data, "batch": chosen.batch, "seed": chosen.seed}  # with which a step says where in an epoch it is
    begin = resume(chosen.checkpoint, recipe, net, optimizer, device)
    dist.all_reduce(furthest := torch.tensor(begin, device=device), dist.ReduceOp.MAX)
    if begin != furthest:
        raise SystemExit(f"{chosen.checkpoint}: rank {rank} finds step {begin}, another {furthest}. All must see one folder.")
    say(f"{world} ranks on {device.type}, restart {restarts}: from step {begin}")
    parallel = DistributedDataParallel(net)
    sampler = DistributedSampler(train, world, rank, seed=chosen.seed, drop_last=True)
    for step in range(begin + 1, chosen.steps + 1):
        epoch, position = divmod(step - 1, len(train) // chosen.batch)
        if position == 0 or step == begin + 1:
            sampler.set_epoch(epoch)  # another order in each epoch, the same on all ranks
            shares = torch.tensor(list(sampler)).split(chosen.batch // world)
        if [step, rank] == chosen.die_at and restarts == 0:
            print(f"rank {rank} kills itself in step {step}", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        images, labels = train.images[shares[position]].to(device), train.labels[shares[position]].to(device)
        loss = nn.functional.cross_entropy(parallel(images), labels)
        optimizer.zero_grad()
        loss.backward()  # leaves on each rank the mean of all ranks' gradients
        optimizer.step()
        if step % chosen.every == 0 or step == chosen.steps:
            dist.all_reduce(loss.detach())
            if rank == 0:
                with whole(chosen.checkpoint) as unfinished:  # whoever is killed while writing leaves the checkpoint before
                    torch.save({"step": step, "recipe": recipe, "net": net.state_dict(), "optimizer": optimizer.state_dict()}, unfinished)
            say(f"step {step}: loss {loss.item() / world:.4f}, saved")
    right = logits(net.eval(), test.images[rank::world].to(device)).argmax(1).cpu() == test.labels[rank::world]  # each once
    dist.all_reduce(counts := torch.tensor([right.sum(), len(right)], device=device))
    say(f"{counts[0] / counts[1]:.1%} of {counts[1]:,} test images recognised")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
