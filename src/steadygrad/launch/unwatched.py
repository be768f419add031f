"""What was not watched, and why, as the closing line of a run. Standard library only."""

from __future__ import annotations

import sys

_STARTERS = {
    "torch.distributed.launcher.api": "torchrun --no-python steadygrad run train.py",
    "accelerate.commands.launch": "accelerate launch --no_python steadygrad run train.py",
    "deepspeed.launcher.runner": "deepspeed --no_python steadygrad run train.py",
}
"""Modules that start programs of their own, which know nothing of this process; how each is to be called instead."""


def nothing_watched(*, made: int, backwards: int, children: int) -> str:
    """Where no guard was made. ``made``: optimizers, ``children``: processes that carried the watch on."""
    if children:
        return "no optimizer was made in this process; those of the processes it started were watched there"
    for module, instead in _STARTERS.items():
        if module in sys.modules and not backwards:
            return f"nothing was watched: training ran in programs that this one started; write {instead}"
    if made:
        return (
            f"nothing was watched: {made} optimizer{'s were' if made > 1 else ' was'} made, and none could be guarded"
        )
    if backwards:
        passes = "1 backward pass was" if backwards == 1 else f"{backwards:,} backward passes were"
        return f"no torch.optim.Optimizer was made, so {passes} not watched: no weight of a torch.nn.Module was seen to change"
    return "no optimizer was made; nothing was watched"


def no_step_seen(backwards: int) -> str:
    """Where an optimizer is guarded, and its weights never changed though the program went backward."""
    passes = f"{backwards:,} backward pass{'' if backwards == 1 else 'es'}"
    return f"{passes}, and no step was watched: optimizer.step() was never called"
