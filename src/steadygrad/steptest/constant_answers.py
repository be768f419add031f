"""The loss without the input: every sample gets the same answer, or is compared with another one's target.

Runs objectives; trains nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from steadygrad.copies.copying import clone_batch
from steadygrad.copies.nested import size_of
from steadygrad.objective import Objective
from steadygrad.probe.run_probe import output_spread, scalar
from steadygrad.torch_internals.tensors import tree_leaves

# Halves of a batch, taken one after the other, give the mean of a loss of single samples up to rounding.
ROUNDING = 1e-4


class Answer(nn.Module):
    """A model that answers the same whatever it is asked."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, *_: Any, **__: Any) -> Any:
        return self.answer


def constant_losses(
    objective: Objective, batches: Sequence[Any], outputs: Sequence[Sequence[Any]]
) -> list[float] | None:
    """The mean loss of ``batches`` where every sample is answered by the mean answer; for each of ``outputs``, theirs.

    That is what is known without the input. None where the loss takes no such answer, or there is but one sample, which
    is its own mean.
    """
    found: list[float] = []
    for answers in outputs:
        together = _together(answers, [size_of(batch) for batch in batches])
        if together is None or len(together) == 1:
            return None
        mean = together.detach().mean(0, keepdim=True)
        losses = []
        for batch in batches:
            constant = mean.expand(size_of(batch) or 1, *mean.shape[1:]).clone()
            try:
                with torch.no_grad():
                    losses.append(float(scalar(objective(Answer(constant), clone_batch(batch))[0])))
            except (AttributeError, TypeError, RuntimeError):
                # An objective that asks the model for more than an output has no constant answer to compare with.
                return None
        found.append(fmean(losses))
    return found


def judges_alone(objective: Objective, batch: Any, output: Any) -> bool:
    """Whether the loss reads each answer alone, and nothing of the batch: then one answer can be the best for all samples.

    A generator's loss does, which is what a discriminator says of each sample. Contrastive losses read nothing of the
    batch either, but compare the answers with each other: the loss of a half, taken twice, says which it is.
    """
    size = size_of(batch)
    if not isinstance(output, Tensor) or output.shape[:1] != (size,) or size is None or size < 2 or size % 2:
        return False
    half = size // 2
    whole, first, second = output, output[:half].repeat_interleave(2, 0), output[half:].repeat_interleave(2, 0)
    own = clone_batch(batch)
    reading = _Reading([one for one in tree_leaves(own) if isinstance(one, Tensor)])
    try:
        with torch.no_grad(), reading:
            losses = [float(scalar(objective(Answer(one.clone()), own)[0])) for one in (whole, first, second)]
    except (AttributeError, TypeError, RuntimeError):
        return False
    return not reading.seen and math.isclose(losses[0], fmean(losses[1:]), rel_tol=ROUNDING)


def spread_of(outputs: Sequence[Any], sizes: Sequence[int | None]) -> float | None:
    """Spread of the outputs of several batches, of ``sizes`` samples; of one batch as ``output_spread`` has it."""
    together = _together(outputs, sizes)
    return output_spread(outputs[0], sizes[0]) if together is None else output_spread(together, len(together))


def _target_of(batch: Any) -> Tensor | None:
    """The batch's targets, by sample: "labels" of a dict, the second of a pair. None: there are none."""
    target = None
    if isinstance(batch, dict):
        target = batch.get("labels")
    elif isinstance(batch, (tuple, list)) and len(batch) == 2 and all(isinstance(one, Tensor) for one in batch):
        x, y = batch
        target = y if x.dim() and y.dim() and len(x) == len(y) else None
    return target if isinstance(target, Tensor) and target.dim() else None


def exchange_targets(batch: Any, by: int) -> Any:
    """The batch with its targets moved ``by`` samples on. None: there are none, or each would be its own."""
    target = _target_of(batch)
    if target is None or not by % len(target):
        return None
    moved = target.roll(by, 0)
    return {**batch, "labels": moved} if isinstance(batch, dict) else (batch[0], moved)


def reads_target(objective: Objective, model: nn.Module, batch: Any) -> bool:
    """Whether the loss uses the batch's targets. One forward pass with gradients enabled, as some models need them."""
    own = clone_batch(batch)
    target = _target_of(own)
    if target is None:
        return False
    reading = _Reading([target])
    with reading:
        objective(model, own)
    return reading.seen


class _Reading(TorchFunctionMode):
    """Notes whether a function takes one of the tensors."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        super().__init__()
        self.tensors = tensors
        self.seen = False

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        self.seen = self.seen or any(
            one is tensor for one in tree_leaves((args, kwargs or {})) for tensor in self.tensors
        )
        return func(*args, **(kwargs or {}))


def _together(outputs: Sequence[Any], sizes: Sequence[int | None]) -> Tensor | None:
    """All samples' outputs in one tensor; None where an output has no row a sample, or the rows differ in shape."""
    for output, size in zip(outputs, sizes, strict=True):
        if not isinstance(output, Tensor) or not output.is_floating_point() or output.shape[:1] != (size,):
            return None
    if len({output.shape[1:] for output in outputs}) != 1:
        return None
    return torch.cat(list(outputs)) if len(outputs) > 1 else outputs[0]
