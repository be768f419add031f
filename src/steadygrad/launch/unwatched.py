"""The unwatched parts of a run, and why, as its closing line. Standard library only."""

from __future__ import annotations

import sys

_STARTERS = {
    "torch.distributed.launcher.api": "torchrun --no-python steadygrad run train.py",
    "accelerate.commands.launch": "accelerate launch --no_python steadygrad run train.py",
    "deepspeed.launcher.runner": "deepspeed --no_python steadygrad run train.py",
}
"""Modules that start programs of their own, where the watch was not carried into them; how to call each instead."""


def nothing_watched(*, made: int, unused: int, backwards: int, children: int) -> str:
    """Where no guard was made. ``made``: optimizers, ``unused`` of which nothing was seen; ``children``: processes that carried
    the watch on."""
    if children:
        return "no optimizer was made in this process; those of the processes it started were watched there"
    for module, instead in _STARTERS.items():
        if module in sys.modules and not backwards:
            return f"nothing was watched: training ran in programs that this one started; write {instead}"
    if made:
        were = f"{made} optimizer{'s were' if made > 1 else ' was'} made"
        if made > unused:
            return f"nothing was watched: {were}, and none could be guarded"
        return f"nothing was watched: {were}, and no step or backward pass was seen{_in_graphs()}"
    if backwards:
        passes = "1 backward pass was" if backwards == 1 else f"{backwards:,} backward passes were"
        return f"no torch.optim.Optimizer was made, so {passes} not watched: no weight of a torch.nn.Module was seen to change"
    if "torch" in sys.modules:
        return f"nothing was watched: no optimizer was made, and no backward pass was seen{_in_graphs()}"
    return "no optimizer was made; nothing was watched"


def _in_graphs() -> str:
    """Name what may be out of sight: backward where torch.compile compiles it with the rest, and other ways to a gradient."""
    if _compiles_backward():
        return (
            "; backward runs inside of what torch.compile compiled, as torch._dynamo.config.trace_autograd_ops asks for: "
            "it is not watched; next: call loss.backward() and optimizer.step() outside of it"
        )
    return "; what torch.autograd.grad and torch.func give is not watched"


def _compiles_backward() -> bool:
    return bool(getattr(sys.modules.get("torch._dynamo.config"), "trace_autograd_ops", False))


def not_heard(unheard: int, steps: int) -> str:
    """Say in how many steps the gradients came from no backward pass."""
    how = (
        "it runs inside of what torch.compile compiled; next: call loss.backward() outside of it"
        if _compiles_backward()
        else "torch.autograd.grad or the program itself made them"
    )
    return (
        f"{unheard:,} of {steps:,} steps had gradients of no backward pass that was seen: they were read at the step, and "
        f"the loss is unknown; {how}"
    )


def no_step_seen(backwards: int) -> str:
    """Say that no step was watched, and why."""
    if not backwards:
        return f"no step was watched: no backward pass was seen{_in_graphs()}"
    passes = f"{backwards:,} backward pass{'' if backwards == 1 else 'es'}"
    return f"{passes}, and no step was watched: optimizer.step() was never called"
