"""Whether the size of an optimizer's step goes with that of the gradient: a step of a loss is taken, and one of a smaller one."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from steadygrad.probe.backward import put_back
from steadygrad.probe.run_probe import scalar
from steadygrad.steptest.plain_step import one_step
from steadygrad.subject.subject import Subject
from steadygrad.subject.with_copy import with_copy

SMALLER = 0.01


def is_adaptive(subject: Subject) -> bool:
    """Return whether a hundredth of the loss makes a first step that is more than a tenth as long, as with Adam."""
    return _length(subject, SMALLER) > math.sqrt(SMALLER) * _length(subject, 1.0)


def _length(subject: Subject, factor: float) -> float:
    outside: list[tuple[Tensor, Tensor | None]] = []
    with with_copy(subject) as run:

        def objective(model: nn.Module, batch: Any) -> tuple[Any, Any]:
            loss, output = run.objective(model, batch)
            return factor * scalar(loss), output

        start = [weight.detach().clone() for _, weight in run.copied.named_parameters()]
        try:
            one_step(run.copied, objective, run.batch, run.seed, outside, None)
        finally:
            put_back(outside)
        moved = zip((weight.detach() for _, weight in run.copied.named_parameters()), start, strict=True)
        return math.sqrt(sum(float((now - was).double().square().sum()) for now, was in moved))
