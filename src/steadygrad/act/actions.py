"""What a guard does to a run when it was told to: each action once, and what was there before.

An action changes the optimizer's coming step (its gradients are out of sight for it), its rate, its clip, or puts a
snapshot back. Whether to act is decided in ``acting.py``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from steadygrad.act import snapshot
from steadygrad.act.clipping import Clipper
from steadygrad.clip import Clip
from steadygrad.detect import judge as policy
from steadygrad.errors import SteadygradError

if TYPE_CHECKING:
    from steadygrad.watch.steps import Lane

LOWER = 0.5
"""What a lowered rate is multiplied by."""


@dataclass(frozen=True)
class Done:
    """What was done: the kind, in words, and the numbers before and after."""

    kind: str
    message: str
    before: dict[str, float] = field(default_factory=dict)
    after: dict[str, float] = field(default_factory=dict)


def skip(lane: Lane) -> Done:
    """The optimizer finds no gradients in this step; afterwards they are back."""
    if not lane.hidden:
        lane.hidden = [(p, p.grad) for p in lane.parameters if p.grad is not None]
        for parameter, _ in lane.hidden:
            parameter.grad = None
    return Done("skip", "skipped the step")


def lower(lane: Lane) -> Done:
    """From the next step on a share of whatever rate the schedule sets."""
    before = lane.rate_factor
    lane.rate_factor = before * LOWER
    words = f"lowered the learning rate to {lane.rate_factor:.3g} of its schedule"
    return Done("lower", words, {"rate_factor": before}, {"rate_factor": lane.rate_factor})


def clip_harder(lane: Lane) -> Done:
    """Half the bound; where there was no clip, one at twice the median norm."""
    median = policy.median_total(lane.state)
    if lane.clipper is not None:
        old, new = lane.clipper.tightened(median)
        before, after = {"low": old.low, "high": old.high}, {"low": new.low, "high": new.high}
        return Done("clip", f"clips from now on by {new} instead of {old}", before, after)
    if not math.isfinite(median):
        return Done("clip", "did nothing: there is no median norm to clip by yet")
    lane.clipper = Clipper(Clip.norm(2 * median))
    return Done("clip", f"clips from now on by {lane.clipper.clip}", {}, {"high": 2 * median})


def roll_back(lane: Lane, lanes: Sequence[Lane], back: snapshot.Snapshot, before: int) -> Done:
    """To a snapshot, of which ``before`` is to be a later step; this step, if it is not taken yet, is left out."""
    snapshot.restore(back, [one.optimizer for one in lanes])
    for one in lanes:
        one.forget_sample()
    if lane.inside:
        skip(lane)
    at = back.steps[lane.index]
    words = f"rolled back to the weights after step {at:,}" + ("" if at < before else ", when it had begun already")
    return Done("rollback", words, {"step": float(lane.step)}, {"step": float(at)})


def no_snapshot(lane: Lane) -> Done:
    """There is nothing to go back to: the step is left out, if it is not taken yet."""
    if lane.inside:
        return replace(skip(lane), message="skipped the step: there is no snapshot yet")
    return Done("rollback", "did nothing: there is no snapshot yet")


def stop(lane: Lane, lanes: Sequence[Lane], roots: Sequence[nn.Module], journal: str | None) -> Done:
    """Model and optimizers as they were before this step, beside the journal. The caller raises."""
    if journal is None:
        return Done("stop", "stopped the training")
    path = f"{Path(journal).with_suffix('')}.stopped.pt"
    optimizers: list[torch.optim.Optimizer] = [one.optimizer for one in lanes]
    try:
        snapshot.save(path, roots, optimizers, [one.step for one in lanes])
    except SteadygradError as error:
        return Done("stop", f"stopped the training; {error}")
    return Done("stop", f"stopped the training; model and optimizer as before this step are in {path}")
