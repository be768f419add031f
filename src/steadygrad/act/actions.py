"""The actions of a guard on a run: each action once, and the state before it.

An action changes the optimizer's coming step (its gradients are out of sight for it), its rate, its clip, or puts a
snapshot back. Whether to act is decided in ``answers.py``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import nn

from steadygrad.act import snapshot
from steadygrad.act.clipping import Clipper
from steadygrad.act.target import Target
from steadygrad.clip import Clip
from steadygrad.errors import SteadygradError

LOWER = 0.5
"""The factor of a lowered rate."""


@dataclass(frozen=True)
class Done:
    """One action: its kind, in words, and the numbers before and after."""

    kind: str
    message: str
    before: dict[str, float] = field(default_factory=dict)
    after: dict[str, float] = field(default_factory=dict)


def skip(target: Target) -> Done:
    """Hide the gradients from the optimizer in this step, and restore them afterwards."""
    if not target.hidden:
        target.hidden = [(p, p.grad) for p in target.parameters if p.grad is not None]
        for parameter, _ in target.hidden:
            parameter.grad = None
    return Done("skip", f"skipped step {target.step:,}")


def lower(target: Target) -> Done:
    """Take a share of the schedule's rate from the next step on."""
    before = target.rate_factor
    target.rate_factor = before * LOWER
    words = f"lowered the learning rate to {target.rate_factor:.3g}× its schedule"
    return Done("lower", words, {"rate_factor": before}, {"rate_factor": target.rate_factor})


def clip_harder(target: Target) -> Done:
    """Half the bound; where there was no clip, one at twice the median norm."""
    median = float(10.0 ** target.state.median[-1])
    if target.clipper is not None:
        old, new = target.clipper.tightened(median)
        before, after = {"low": old.low, "high": old.high}, {"low": new.low, "high": new.high}
        return Done("clip", f"clips by {new} instead of {old} from now on", before, after)
    if not math.isfinite(median):
        return Done("clip", "did nothing: there is no median norm to clip by yet")
    bound = float(f"{2 * median:.3g}")
    target.clipper = Clipper(Clip.norm(bound))
    return Done("clip", f"clips by {target.clipper.clip} from now on", {}, {"high": bound})


def roll_back(target: Target, targets: Sequence[Target], back: snapshot.Snapshot, before: int) -> Done:
    """Go back to a snapshot, and say so if it is not from before step ``before``; leave out a step that is not taken yet."""
    snapshot.restore(back, [one.optimizer for one in targets])
    for one in targets:
        one.forget_sample()
    if target.inside:
        skip(target)
    at = back.steps[target.index]
    late = "" if at < before else ", which is after the fault began"
    return Done(
        "rollback",
        f"rolled back to the weights after step {at:,}{late}",
        {"step": float(target.step)},
        {"step": float(at)},
    )


def no_snapshot(target: Target) -> Done:
    """There is nothing to go back to: the step is left out, if it is not taken yet."""
    if target.inside:
        return replace(skip(target), message=f"skipped step {target.step:,}: there is no snapshot yet")
    return Done("rollback", "did nothing: there is no snapshot yet")


def stop(
    targets: Sequence[Target], roots: Sequence[nn.Module], journal: str | None, good: snapshot.Snapshot | None
) -> Done:
    """Model and optimizers as they were before this step, and the last good snapshot, beside the journal. The caller raises."""
    if journal is None:
        return Done("stop", "stopped the training")
    path = f"{Path(journal).with_suffix('')}.stopped.pt"
    optimizers: list[torch.optim.Optimizer] = [one.optimizer for one in targets]
    words = f"stopped the training; the state before this step is in {path}"
    try:
        snapshot.save(path, roots, optimizers, [one.step for one in targets])
        if good is not None:
            kept = f"{Path(journal).with_suffix('')}.good.pt"
            snapshot.save_kept(kept, roots, optimizers, good)
            words += f", the last good state (step {max(good.steps):,}) in {kept}"
    except SteadygradError as error:
        return Done("stop", f"stopped the training; {error}")
    return Done("stop", words)
