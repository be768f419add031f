"""A test that the answer to one sample depends on the other samples of its batch, and the first call that makes it so.

The model runs twice in eval mode, where batch norm and dropout let every sample by itself: on the batch, and on the same with
all samples but the first and the last replaced. What a call puts out for those two must not change. Runs a copy; judges
nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from steadygrad.copies.copying import clone_batch
from steadygrad.copies.nested import first_of, first_tensor, size_of
from steadygrad.copies.randomness import seed_torch
from steadygrad.copies.silence import silent
from steadygrad.objective import Objective
from steadygrad.record import Location
from steadygrad.record.trace import Mixing
from steadygrad.source.spans import location_of, user_frame
from steadygrad.torch_internals.tensors import tree_map

RECURRENT = frozenset(["lstm", "gru", "rnn_tanh", "rnn_relu"])
ATTENTION = frozenset(["multi_head_attention_forward", "scaled_dot_product_attention"])
SHARES = frozenset(["softmax", "log_softmax"])
"""Calls along one axis, which may be the wrong one. Others mix samples on purpose: a graph's matrix, a memory, statistics."""

MIXES = RECURRENT | ATTENTION | SHARES
LAYERS = (nn.RNNBase, nn.MultiheadAttention, nn.Softmax, nn.LogSoftmax)
"""The layers that make such calls."""

FEWEST = 3
CHANGED = 1e-3
"""Change of a sample's values, as a share of the greatest of them, from which rounding is no explanation."""


def may_mix(model: nn.Module, called: Iterable[str]) -> bool:
    """Return whether there is any call of these in the model, by the names of those that ran or by its layers."""
    return not MIXES.isdisjoint(called) or any(isinstance(module, LAYERS) for module in model.modules())


def mixing_in(model: nn.Module, objective: Objective, batch: Any, *, seed: int, shuffled: bool) -> Mixing | None:
    """The first call that mixes the samples of ``batch``, where none may; None where there is none.

    None may where the batches are ``shuffled``, so that the samples have no order and no company of their own; else where
    each has one target, and what mixes them runs along the samples though there is another axis. The model is left in the
    mode it was in; its buffers may change.
    """
    size = size_of(batch)
    if size is None or size < FEWEST:
        return None
    with silent(), _in_eval_mode(model):
        first = _run(model, objective, clone_batch(batch), seed, size)
        second = _run(model, objective, _others_replaced(batch, size), seed, size)
    for one, other in zip(first, second, strict=False):
        if one.name != other.name:
            return None
        if _differ(one.rows, other.rows):
            sure = one.name in MIXES and (shuffled or _must_not(one, batch, size))
            return Mixing(one.name, one.location, one.shape) if sure else None
    return None


def _must_not(call: _Call, batch: Any, size: int) -> bool:
    """Return whether each sample has a target of its own, and the call had another axis to run along."""
    target = first_tensor(batch[1]) if isinstance(batch, (tuple, list)) and len(batch) == 2 else None
    if target is None or not target.dim() or len(target) != size:
        return False
    if call.name in SHARES:
        return True
    return len(call.shape) == 3 and call.shape[1] > 1 and call.shape[1] not in target.shape[1:]


@dataclass(frozen=True)
class _Call:
    """One call whose output begins with the samples, and what it put out for the first and the last."""

    name: str
    location: Location | None
    """Of those that may be at fault."""
    shape: tuple[int, ...]
    """Of what it took first."""
    rows: Tensor


class _Rows(TorchFunctionMode):
    """Notes every call of torch's whose output has a row a sample."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.calls: list[_Call] = []
        self._size = size

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        rows = _ends(first_of(output), self._size)
        if rows is not None:
            taken = first_of(args)
            name = getattr(func, "__name__", "")
            place = location_of(user_frame(sys._getframe(1))) if name in MIXES else None
            self.calls.append(_Call(name, place, () if taken is None else tuple(taken.shape), rows))
        return output


def _run(model: nn.Module, objective: Objective, batch: Any, seed: int, size: int) -> list[_Call]:
    seed_torch(seed)
    # With gradients enabled, as in training: without, torch takes other ways through a transformer.
    seen = _Rows(size)
    with seen, torch.enable_grad():
        objective(model, batch)
    return seen.calls


def _others_replaced(batch: Any, size: int) -> Any:
    """The batch with the samples between the first and the last made copies of the first; targets stay."""

    def replaced(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor) or not leaf.dim() or len(leaf) != size:
            return leaf
        leaf[1:-1] = leaf[:1]
        return leaf

    batch = clone_batch(batch)
    if isinstance(batch, (tuple, list)) and len(batch) == 2:
        return tree_map(replaced, batch[0]), batch[1]
    if isinstance(batch, dict):
        return {key: value if "label" in str(key) else tree_map(replaced, value) for key, value in batch.items()}
    return tree_map(replaced, batch)


def _ends(tensor: Tensor | None, size: int) -> Tensor | None:
    """Return what a tensor holds for the first sample and for the last; None where it has no row a sample."""
    if tensor is None or not tensor.dim() or len(tensor) != size:
        return None
    if not tensor.is_floating_point() or tensor.layout is not torch.strided:
        return None
    with torch.no_grad():
        return tensor[:: size - 1].detach().float()


def _differ(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape or not one.numel():
        return False
    greatest = float(torch.maximum(one.abs().max(), other.abs().max()))
    return float((one - other).abs().max()) > CHANGED * greatest


@contextmanager
def _in_eval_mode(model: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
