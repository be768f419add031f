"""The cause, as far as one moment can show it: weights that no optimizer made so, a non-finite batch, one rank.

Runs on an alarm only, before the step that the alarm is about, and may wait for the device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from steadygrad.explain.capture import Given
from steadygrad.explain.weights import WeightHistory
from steadygrad.record import Finding, Trace
from steadygrad.watch.distributed import gathered
from steadygrad.watch.names import smallest_half
from steadygrad.watch.updates import norms_of

WEIGHT_JUMP = 3.0
MOVES = 10.0
"""A weight's norm that has changed by this factor beyond the others, and by so many times what the optimizer's steps since
make if they are all as long as the last one known: no work of an optimizer. In the healthy runs of ``bench.faults`` weights
move by at most 1.3 times that in 50 to 200 steps, biases by 5.2; weights that an update too large has moved, by thousands,
but that update is then an alarm of its own."""
RELATED = {
    "SG101": ("SG101", "SG102", "SG103", "SG104", "SG107"),
    "SG106": ("SG108", "SG103", "SG107", "SG102"),
    "SG108": ("SG108",),
    "SG201": ("SG201", "SG202", "SG304", "SG205"),
    "SG203": ("SG203",),
    "SG206": ("SG201", "SG202", "SG304", "SG205"),
    "SG207": ("SG105",),
}
"""Findings of a look that can be the cause of what the norms show, the likeliest first."""
STANDS_OUT = 10.0
"""The multiple of the next rank's number that one rank's must be."""


@dataclass(frozen=True)
class WeightsAtFault:
    """Weights that somebody other than the optimizer has changed."""

    column: int
    """The first parameter of which that is so."""
    words: str
    broken: bool = False
    """Whether they are not finite."""
    everywhere: bool = False
    """Whether it is so of all."""


def changed_weights(parameters: Sequence[Tensor], weighed: WeightHistory, step: int) -> WeightsAtFault | None:
    """The parameter that is not finite, or whose norm has changed as no optimizer did; None where there is none."""
    now = norms_of(parameters)
    broken = np.flatnonzero(~np.isfinite(now))
    if len(broken):
        everywhere = len(broken) == len(now)
        kind = "NaN" if np.isnan(now[broken]).any() else "infinite"
        words = f"{'all weights' if everywhere else 'its weights'} are {kind} before step {step:,}"
        return WeightsAtFault(int(broken[0]), words, broken=True, everywhere=everywhere)
    since_last = weighed.moved(step)
    return _changed(now, weighed.last, since_last) or _changed(now, weighed.first, weighed.path + since_last)


def _changed(
    now: np.ndarray[Any, Any], before: np.ndarray[Any, Any], moved: np.ndarray[Any, Any]
) -> WeightsAtFault | None:
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = now / before
        changed = np.where(np.isfinite(factor) & (factor > 0), np.abs(np.log10(factor)), 0.0)
        changed -= float(np.median(changed))
        changed[~(np.abs(now - before) > MOVES * moved)] = 0.0
    worst = int(np.argmax(changed))
    if changed[worst] <= math.log10(WEIGHT_JUMP):
        return None
    return WeightsAtFault(
        worst,
        f"the norm of its weights went from {before[worst]:.3g} to {now[worst]:.3g}, more than optimizer steps can move it",
    )


def culprit(findings: Sequence[Finding], code: str) -> Finding | None:
    """Return the finding that explains why the norms show ``code``."""
    return next((f for wanted in RELATED.get(code, ()) for f in findings if f.code == wanted), None)


def weight_before(trace: Trace, operation: int | None) -> str:
    """The parameter that is multiplied by in this operation, or last in front of it; "" where there is none."""
    known = {one.index: one for one in trace.operations}
    todo, seen = [operation] if operation is not None else [], set()
    while todo:
        at = todo.pop(0)
        if at in seen or at not in known:
            continue
        seen.add(at)
        if known[at].weight:
            return known[at].weight
        todo += sorted(known[at].parents, reverse=True)
    return ""


def batch_at_fault(given: Sequence[Given]) -> str:
    """Return whether what went into a model was not finite; "" where it was."""
    for one in given:
        for tensor in one.tensors():
            if (tensor.is_floating_point() or tensor.is_complex()) and not bool(torch.isfinite(tensor).all()):
                return f"the batch contains {'NaN' if bool(torch.isnan(tensor).any()) else 'infinity'}"
    return ""


def loss_at_fault(given: Sequence[Given], trace: Trace | None = None) -> str:
    """Return whether the gradient was not finite already when it came to a model's output, which was finite itself."""
    if trace is not None and trace.nonfinite is not None and trace.nonfinite.direction == "forward":
        return ""
    for one in given:
        for tensor in one.cotangents.values():
            if not bool(torch.isfinite(tensor).all()):
                output = ", although the output of the model is finite" if trace is not None else ""
                return f"the gradient of the loss is not finite{output}"
    return ""


def zero_at_fault(given: Sequence[Given]) -> tuple[str, str] | None:
    """Name the code and the words for nothing but zeros at the gradients of the models' outputs."""
    tensors = [tensor for one in given for tensor in one.cotangents.values()]
    if not tensors or any(bool(tensor.any()) for tensor in tensors):
        return None
    halves = [tensor.dtype for tensor in tensors if tensor.dtype in (torch.float16, torch.bfloat16)]
    if halves:
        kind, smallest = str(halves[0]).removeprefix("torch."), smallest_half(halves[0])
        return (
            "SG108",
            f"the gradient of the loss is exactly zero in {kind}: it is below the smallest number of the format ({smallest:.1g})",
        )
    return "SG106", "the gradient of the loss is exactly zero: the loss no longer depends on the output of the model"


def optimizer_at_fault(optimizer: torch.optim.Optimizer, parameter: Tensor) -> str:
    """Explain why an optimizer makes non-finite numbers of finite gradients, as far as its settings show."""
    name = type(optimizer).__name__
    group = next((g for g in optimizer.param_groups if any(p is parameter for p in g["params"])), {})
    eps = group.get("eps")
    kind = str(parameter.dtype).removeprefix("torch.")
    if isinstance(eps, float) and float(torch.tensor(eps, dtype=parameter.dtype)) == 0.0:
        return f"{name} divides by zero: its eps of {eps:g} is 0 in {kind}"
    state = optimizer.state.get(parameter, {})
    for moment in ("exp_avg", "exp_avg_sq", "momentum_buffer", "square_avg"):
        value = state.get(moment)
        if isinstance(value, Tensor) and not bool(torch.isfinite(value).all()):
            return f"{name} keeps a {moment} that is not finite in {kind}"
    return f"the update of {name} is not finite in {kind}"


def by_rank(given: Sequence[Given], device: torch.device) -> np.ndarray[Any, Any]:
    """(ranks, 2): norm of what went in, and of what came back to the output. Waits for all ranks."""
    mine = [0.0, 0.0]
    for one in given:
        for place, tensors in enumerate((one.tensors(), list(one.cotangents.values()))):
            for tensor in tensors:
                if tensor.is_floating_point():
                    mine[place] = max(mine[place], _norm(tensor))
    return np.array(gathered(mine, device))


def sick_rank(numbers: np.ndarray[Any, Any]) -> int | None:
    """The rank that stands out in one of the columns."""
    for column in numbers.T:
        ordered = np.sort(column)
        if ordered[-1] > STANDS_OUT * max(float(ordered[-2]), 1e-30):
            return int(np.argmax(column))
    return None


def _norm(tensor: Tensor) -> float:
    """More than any norm where it is not finite."""
    norm = float(torch.linalg.vector_norm(tensor.detach().to(torch.float32)))
    return norm if math.isfinite(norm) else 1e38
