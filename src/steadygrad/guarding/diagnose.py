"""Why it happened, as far as one moment can tell: weights that no optimizer made so, a batch that is not finite, one rank.

Runs on an alarm only, before the step that the alarm is about, and may wait for the device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from steadygrad.guarding.capture import Given
from steadygrad.guarding.distributed import gathered
from steadygrad.guarding.updates import norms_of

WEIGHT_JUMP = 3.0
"""Change of one weight's norm since it was last seen, beyond that of the others, that is no work of an optimizer: in the
healthy runs of ``bench/faults.py`` no weight's norm changes by more than 1.6 within the 50 steps between two samples."""
STANDS_OUT = 10.0
"""How many times one rank's number must be the next one's."""


def weights_at_fault(parameters: Sequence[Tensor], known: np.ndarray[Any, Any] | None) -> tuple[int, str] | None:
    """The parameter that is not finite, or whose norm has leapt since ``known``, and the words for it."""
    now = norms_of(parameters)
    broken = np.flatnonzero(~np.isfinite(now))
    if len(broken):
        return (int(broken[0]), "its weights are not finite, before this step") if len(broken) < len(now) else None
    if known is None:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = now / known
        changed = np.where(np.isfinite(factor) & (factor > 0), np.abs(np.log10(factor)), 0.0)
    worst = int(np.argmax(changed))
    if changed[worst] - float(np.median(changed)) <= math.log10(WEIGHT_JUMP):
        return None
    return worst, f"its weights went from a norm of {known[worst]:.3g} to {now[worst]:.3g} without the optimizer"


def batch_at_fault(given: Sequence[Given]) -> str:
    """Whether what went into a model was not finite; "" where it was."""
    for one in given:
        for tensor in one.tensors():
            if (tensor.is_floating_point() or tensor.is_complex()) and not bool(torch.isfinite(tensor).all()):
                return f"the batch holds {'NaN' if bool(torch.isnan(tensor).any()) else 'infinity'}"
    return ""


def loss_at_fault(given: Sequence[Given]) -> str:
    """Whether the gradient was not finite already when it came to a model's output."""
    for one in given:
        for tensor in one.cotangents.values():
            if not bool(torch.isfinite(tensor).all()):
                return "the gradient that the loss gives is not finite: the loss, its target, or the model's output"
    return ""


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
