"""A model that makes its own loss holds its output against what it was given. Here every sample is held against another one's.

Such a target is what loss functions and differences take that was computed from the batch and from no parameter. Where the
loss is one of classes, the mean answer can be put in place of every answer instead. Runs objectives; trains nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from steadygrad.copies.copying import clone_batch
from steadygrad.copies.nested import size_of
from steadygrad.objective import Objective
from steadygrad.probe.run_probe import scalar
from steadygrad.record.comparisons import DIFFERENCES, REGRESSION_LOSSES
from steadygrad.torch_internals.tensors import tree_leaves, tree_map

_LOSSES = REGRESSION_LOSSES | frozenset(
    [
        "cross_entropy",
        "nll_loss",
        "binary_cross_entropy",
        "binary_cross_entropy_with_logits",
        "poisson_nll_loss",
        "gaussian_nll_loss",
        "kl_div",
        "multi_margin_loss",
        "multilabel_margin_loss",
        "multilabel_soft_margin_loss",
        "soft_margin_loss",
    ]
)


def loss_against_others(objective: Objective, model: nn.Module, batch: Any, by: int) -> float | None:
    """The loss where every sample's output is held against the target ``by`` samples on; None where no such target was seen."""
    own = clone_batch(batch)
    samples = size_of(own)
    if samples is None or by % samples == 0:
        return None
    exchanging = _Exchanging(own, samples, by)
    with exchanging:
        loss = scalar(objective(model, own)[0])
    return float(loss.detach()) if exchanging.exchanged else None


def loss_of_mean_answer(objective: Objective, model: nn.Module, batch: Any) -> float | None:
    """The loss where every answer that a cross-entropy takes is their mean; None where none takes classes as its targets."""
    averaging = _Averaging()
    with averaging:
        loss = scalar(objective(model, clone_batch(batch))[0])
    return float(loss.detach()) if averaging.averaged else None


class _Averaging(TorchFunctionMode):
    averaged = False

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if getattr(func, "__name__", "") in ("cross_entropy", "nll_loss"):
            answers = kwargs.pop("input", args[0] if args else None)
            target = kwargs.get("target", args[1] if len(args) > 1 else None)
            mean = _mean_answer(answers, target, kwargs.get("ignore_index", -100))
            self.averaged = self.averaged or mean is not None
            return func(answers if mean is None else mean, *args[1:], **kwargs)
        return func(*args, **kwargs)


def _mean_answer(answers: Any, target: Any, ignored: int) -> Tensor | None:
    """Return the mean in the shape of the answers, (rows, classes[, places]); rows without a target do not count."""
    if not isinstance(answers, Tensor) or not isinstance(target, Tensor) or not answers.requires_grad:
        return None
    if target.is_floating_point() or answers.dim() != target.dim() + 1 or answers.dim() < 2:
        return None
    with torch.no_grad():
        counted = answers.detach().movedim(1, -1)[target != ignored]
        if len(counted) < 2:
            return None
        # Of log-probabilities the mean is no distribution; of logits this changes nothing of the loss.
        return counted.mean(0).log_softmax(0).view(1, -1, *[1] * (target.dim() - 1)).expand_as(answers)


class _Exchanging(TorchFunctionMode):
    def __init__(self, batch: Any, samples: int, by: int) -> None:
        super().__init__()
        self.exchanged = False
        self._samples, self._by = samples, by
        self._given = {id(one): one for one in tree_leaves(batch) if isinstance(one, Tensor)}
        """Tensors computed from the batch alone, kept alive so that an id stands for one of them."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "").strip("_")
        tensors = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
        compared = name in _LOSSES or (name in DIFFERENCES and len({one.shape for one in tensors}) == 1)
        if compared and any(one.requires_grad for one in tensors):
            args, kwargs = tree_map(self._of_another, (args, kwargs))
        result = func(*args, **kwargs)
        if any(id(one) in self._given for one in tensors) and not any(isinstance(one, nn.Parameter) for one in tensors):
            for one in tree_leaves(result):
                if isinstance(one, Tensor) and not one.requires_grad:
                    self._given[id(one)] = one
        return result

    def _of_another(self, value: Any) -> Any:
        """A target moved on by some samples, also where its rows are several to a sample."""
        if (
            not isinstance(value, Tensor)
            or id(value) not in self._given
            or value.dim() == 0
            or len(value) % self._samples
        ):
            return value
        with torch.no_grad():
            other = value.roll(self._by * len(value) // self._samples, 0)
            self.exchanged = self.exchanged or not torch.equal(other, value)
        return other
