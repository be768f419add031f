"""What a live tracker costs a step: ``python -m bench.trackers [--steps N] [NAME …]``.

Each net trains with a guard and its journal, and with a tracker beside it; blocks of steps take turns, so that whatever the
machine does falls on both. Printed are the processor time that the tracker's thread takes for each step that it
gets, its share of a step's time, and the ratio of the steps' medians with the tracker and without, whose error the second control
shows ("again"). Trackers without a server: TensorBoard writes events, W&B its offline files.
"""

from __future__ import annotations

import argparse
import copy
import random
import statistics
import tempfile
import time
from typing import Any

import torch
from torch.nn import functional as F

import steadygrad
from bench.guard import NETS

BLOCK, CHANGED = 10, 2
"""Steps that one copy takes in turn, and how many of them find the caches full of another's."""


def trackers(kind: str, folder: str) -> list[Any]:
    if kind == "tensorboard":
        return [steadygrad.integrations.tensorboard.Tracker(f"{folder}/{kind}")]
    if kind == "tensorboard, layers":
        return [steadygrad.integrations.tensorboard.Tracker(f"{folder}/layers", layers=True)]
    if kind == "wandb":
        import wandb

        run = wandb.init(mode="offline", dir=folder, settings=wandb.Settings(silent=True))
        return [steadygrad.integrations.wandb.Tracker(run, finish=True)]
    return []


KINDS = ("journal alone", "again", "tensorboard", "tensorboard, layers", "wandb")


def measured(net: str, steps: int, folder: str) -> None:
    torch.manual_seed(0)
    model, batch = NETS[net]()
    loops: dict[str, tuple[Any, Any, Any]] = {}
    for kind in KINDS:
        own = copy.deepcopy(model)
        optimizer = torch.optim.SGD(own.parameters(), lr=1e-4)
        journal = f"{folder}/{net}-{kind}.sgj"
        guard = steadygrad.guard(
            own, optimizer, journal=journal, trackers=trackers(kind, folder), quiet=True, probe_every=0
        )
        loops[kind] = own, optimizer, guard
    times: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for _ in range(steps // BLOCK):
        for kind in random.sample(KINDS, len(KINDS)):
            own, optimizer, _guard = loops[kind]
            for at in range(BLOCK):
                x, y = batch()
                began = time.perf_counter()
                optimizer.zero_grad()
                F.cross_entropy(own(x), y).backward()
                optimizer.step()
                if at >= CHANGED:
                    times[kind].append(time.perf_counter() - began)
    bare = statistics.median(times["journal alone"])
    print(f"{net}: a step with a journal alone takes {1e3 * bare:.1f} ms")
    for kind, (_, _, guard) in loops.items():
        guard.flush()
        thread = sum(one.seconds for one in guard.writing.couriers) / guard.steps
        ratio = statistics.median(times[kind]) / bare
        print(f"  {kind:20} thread {1e6 * thread:5.0f} µs a step, {thread / bare:6.2%} of it; step × {ratio:.3f}")
        guard.detach()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", default=list(NETS))
    parser.add_argument("--steps", type=int, default=300)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for net in asked.names:
        with tempfile.TemporaryDirectory() as folder:
            measured(net, asked.steps, folder)


if __name__ == "__main__":
    main()
