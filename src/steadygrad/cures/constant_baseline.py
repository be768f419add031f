"""What a model has to beat: the loss of the best answer that does not look at the input.

A loss that fell by 99 % from an exploded start can still be worse than a constant. The constant is found for any loss, by
descent on the answer itself; nothing is known of the model but the shape of its output.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from steadygrad.copies.copying import clone_batch
from steadygrad.copies.nested import size_of
from steadygrad.copies.randomness import same_randomness, seed_torch
from steadygrad.cures.editable_copy import EditableCopy
from steadygrad.probe.run_probe import scalar
from steadygrad.steptest.constant_answers import Answer

ITERATIONS = 100


def constant_loss(copy: EditableCopy) -> float | None:
    """Loss of the best constant answer on the batch; None where the output is not one answer for each sample."""
    subject = copy.subject
    output = copy.run()
    if (
        not isinstance(output, Tensor)
        or not output.is_floating_point()
        or output.shape[:1] != (size_of(subject.batch),)
    ):
        return None
    start = output.detach().float().mean(0, keepdim=True)
    answer = nn.Parameter(torch.where(start.isfinite(), start, 0.0).clamp(-10, 10))
    optimizer = torch.optim.LBFGS([answer], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        seed_torch(subject.seed)
        given: Any = _Constant(answer, output)
        return scalar(subject.objective(given, clone_batch(subject.batch))[0])

    def closure() -> float:
        optimizer.zero_grad()
        value = loss()
        value.backward()  # type: ignore[no-untyped-call]
        return float(value.detach())

    try:
        with same_randomness():
            optimizer.step(closure)  # type: ignore[no-untyped-call]
            found = float(loss().detach())
    except (AttributeError, TypeError, RuntimeError, ValueError, IndexError):
        # An objective that asks for more than an output, or a line search that meets a NaN: there is nothing to compare with.
        return None
    return found if math.isfinite(found) else None


class _Constant(Answer):
    """The answer being sought, for every sample."""

    def __init__(self, answer: Tensor, like: Tensor) -> None:
        super().__init__(like)
        self.row = [answer]

    def forward(self, *_: Any, **__: Any) -> Tensor:
        return self.row[0].to(self.answer.dtype).expand_as(self.answer)


def learned(loss: float, trivial: float | None, start: float) -> float:
    """Share of the trivial answer's loss that is gone; of the start's, where there is no trivial answer."""
    reference = start if trivial is None else trivial
    return (reference - loss) / (abs(reference) or 1.0)
