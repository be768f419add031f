"""Runs that are done to from outside, each in a process of its own: ``python -m bench.faults.child KIND FOLDER``.

They print what the parent asks for, a line each; "bare" as a third argument leaves the guard away.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

import steadygrad
from bench.faults.training import CLASSES, FEATURES, Net, Script, classes, fingerprint

DISK = 48 * 1024
"""Bytes that a file may have once the disk is "full"."""
WIDE = 5000


def endless(folder: Path, bare: bool) -> None:
    """Trains until it is killed, and tells each step and the time."""
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    if not bare:
        steadygrad.guard(model, optimizer, journal=folder / "run.sgj")
    print("begins", flush=True)
    step = 0
    while True:
        step += 1
        x, y = classes(step)
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 20 == 0:
            print(step, time.time(), flush=True)


def full_disk(folder: Path, bare: bool) -> None:
    """No file may grow any more from step 100 on; a batch at step 300 is ill none the less."""
    torch.manual_seed(0)
    model = Net()
    script = Script(model, torch.optim.Adam(model.parameters(), lr=1e-3), 600)

    def batch(step: int) -> Any:
        x, y = classes(step)
        return (x * (200 if step == 300 else 1)), y

    def before(step: int) -> None:
        if step == 100:
            resource.setrlimit(resource.RLIMIT_FSIZE, (DISK, resource.RLIM_INFINITY))
        if step % 100 == 0:
            time.sleep(1.2)

    script.batch, script.before = batch, before
    guard = None if bare else steadygrad.guard(model, script.optimizer, journal=folder / "run.sgj")
    script.run(fingerprints=False)
    if guard is not None:
        for alarm in guard.alarms:
            print("alarm", alarm.code, alarm.step)
        guard.detach()
    print("weights", fingerprint(model, script.optimizer))


def memory(folder: Path, bare: bool) -> None:
    """A batch is ill when there is no memory left for a copy of the model."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(FEATURES, WIDE), nn.ReLU(), nn.Linear(WIDE, WIDE, bias=False), nn.ReLU(), nn.Linear(WIDE, CLASSES)
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    guard = None if bare else steadygrad.guard(model, optimizer, say=lambda line: None)
    for step in range(1, 9):
        if step == 4:
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + 160 * 2**20, resource.RLIM_INFINITY))
        x, y = classes(step)
        if step == 6:
            x[0, 0] = torch.nan
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad(set_to_none=False)
        loss.backward()
        optimizer.step()
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print("weights", fingerprint(model, optimizer))
    if guard is not None:
        for alarm in guard.alarms:
            print("alarm", alarm.code, alarm.step, alarm.cause)
        print("look", guard.looks[-1].step, guard.looks[-1].note)


KINDS = {one.__name__: one for one in (endless, full_disk, memory)}

if __name__ == "__main__":
    torch.set_num_threads(1)
    KINDS[sys.argv[1]](Path(sys.argv[2]), len(sys.argv) > 3)
