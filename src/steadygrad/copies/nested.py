"""Tensors in nested tuples, lists and dicts: what a call takes and gives. Knows no call and no model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn.parameter import UninitializedTensorMixin  # type: ignore[attr-defined]


def path_name(path: Any) -> str:
    """ "input 0" for a positional argument, its name for a keyword."""
    keys = [getattr(key, "key", getattr(key, "idx", getattr(key, "name", ""))) for key in path]
    if keys[0] == 0:
        return "input " + ".".join(str(key) for key in keys[1:])
    return ".".join(str(key) for key in keys[1:])


def is_dense(value: Any) -> bool:
    """Return whether it is a tensor of numbers that torch computes with, each with a place: not sparse, quantised, eight-bit."""
    if not isinstance(value, Tensor) or value.layout is not torch.strided or value.is_quantized or value.is_nested:
        return False
    return value.dtype.itemsize > 1 or not value.is_floating_point()


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Every tensor in nested tuples, lists and dicts, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from tensors_in(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors_in(item)


def first_of(value: Any) -> Tensor | None:
    if isinstance(value, Tensor):
        return None if isinstance(value, UninitializedTensorMixin) else value
    if isinstance(value, (tuple, list)):
        return next(
            (tensor for tensor in tensors_in(value) if tensor.grad_fn is not None), next(tensors_in(value), None)
        )
    return None


def size_of(batch: Any) -> int | None:
    """Number of samples: the first dimension of the first tensor in the batch."""
    first = first_tensor(batch)
    return int(first.shape[0]) if first is not None and first.dim() else None


def first_tensor(value: Any) -> Tensor | None:
    """The first tensor in a nested structure; of a model's output, the logits where it names them."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, dict):
        named = value.get("logits")
        value = [named, *value.values()] if isinstance(named, Tensor) else list(value.values())
    elif hasattr(value, "__dataclass_fields__"):
        value = [getattr(value, name) for name in value.__dataclass_fields__]
    if isinstance(value, (tuple, list)):
        for item in value:
            found = first_tensor(item)
            if found is not None and found.dim():
                return found
    return None
