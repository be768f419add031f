"""What belongs to one step of the test on a copy: its batch, its seed, and the gradient of its loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from steadygrad.steptest.plain_step import gradients_of
from steadygrad.subject.with_copy import SubjectCopy


def batch_at(run: SubjectCopy, step: int) -> tuple[Any, int]:
    """The batch and the seed of a step, as the step test has them."""
    batches = run.subject.batches
    return (run.batch, run.seed) if batches is None else (batches.to_train_on(step), run.seed + step)


def gradient_at(
    run: SubjectCopy, step: int, weights: Sequence[Tensor], outside: list[tuple[Tensor, Tensor | None]] | None = None
) -> list[Tensor]:
    """The gradient of one step's loss, zero where a weight has none; ``outside`` as in ``gradients_of``."""
    batch, seed = batch_at(run, step)
    gradients_of(run.copied, run.objective, batch, seed, outside)
    found = [torch.zeros_like(one) if one.grad is None else one.grad.detach().clone() for one in weights]
    return [one.to_dense() if one.is_sparse else one for one in found]


def stepped_weights(run: SubjectCopy) -> list[Tensor]:
    """The parameters that the optimizer moves."""
    return [p for group in run.optimizer.param_groups for p in group["params"] if p.requires_grad]
