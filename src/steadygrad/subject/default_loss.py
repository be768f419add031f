"""A loss and its target for a model that came without: what a practitioner would most probably train its output with.

What a model ends with says it: probabilities get the negative log-likelihood of themselves, never a second softmax.
Every choice comes with its words for the report. May rely on torch; must not run a model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from steadygrad.errors import SubjectError
from steadygrad.record import Assumption
from steadygrad.subject.inputs import tensors_in

# Rows that add up to 1 within this are probabilities; float16 sums of a thousand classes stay within it.
SUMS_TO_ONE = 1e-2


@dataclass(frozen=True)
class Assumed:
    """A target for an output, the loss between them, and the words for both."""

    target: Any
    loss_fn: Callable[[Any, Any], Any]
    name: str
    against: str
    """The target in words: "random labels"."""

    @property
    def assumption(self) -> Assumption:
        """Return the words by which a report describes this loss."""
        return Assumption("loss", f"{self.name} against {self.against}")


def assume_loss(output: Any, inputs: Any, generator: torch.Generator) -> Assumed:
    """The most probable loss for this output, against a target drawn from ``generator``."""
    tensor = main_tensor(output)
    if tensor is None:
        raise SubjectError(
            f"the model's output is {type(output).__name__} without a tensor; give a batch (x, y) and a loss_fn"
        )
    kind, axis = _kind(tensor, inputs)
    target = _target(kind, tensor, inputs, axis, generator)
    name, against = _WORDS[kind]
    return Assumed(target, _loss(kind, axis), name, against)


def assume_for_target(output: Any, target: Tensor) -> Assumed:
    """The most probable loss between this output and a target of the user's."""
    tensor = main_tensor(output)
    if tensor is None:
        raise SubjectError(f"the model's output is {type(output).__name__} without a tensor; give a loss_fn")
    kind, axis = _kind(tensor, None)
    if target.is_floating_point() and target.shape == tensor.shape:
        kind = kind if kind == "binary" else "regression"
    elif not target.is_floating_point() and tensor.dim() == target.dim() + 1:
        rest = [size for at, size in enumerate(tensor.shape) if at != 1]
        axis = 1 if tensor.dim() == 2 or rest == list(target.shape) else -1
        kind = kind if kind in ("log-probabilities", "probabilities") else "classes"
    else:
        raise SubjectError(
            f"no loss suggests itself for an output of shape {tuple(tensor.shape)} and a target of shape "
            f"{tuple(target.shape)} and {target.dtype}; give a loss_fn"
        )
    name = _WORDS[kind][0]
    return Assumed(target, _loss(kind, axis), name, "the batch's own targets")


def main_tensor(output: Any) -> Tensor | None:
    """The logits where an output names them, else its first tensor that has dimensions."""
    if not isinstance(output, (Tensor, Mapping, tuple, list)) and hasattr(output, "__dataclass_fields__"):
        output = {name: getattr(output, name) for name in output.__dataclass_fields__}
    if isinstance(output, Mapping) and isinstance(output.get("logits"), Tensor):
        named: Tensor = output["logits"]
        return named
    found = [tensor for tensor in tensors_in(output) if tensor.dim()]
    trainable = [tensor for tensor in found if tensor.is_floating_point() or tensor.is_complex()]
    return next(iter(trainable or found), None)


_WORDS = {
    "classes": ("cross-entropy", "random labels"),
    "log-probabilities": (
        "negative log-likelihood",
        "random labels (the output is log-softmax already)",
    ),
    "probabilities": (
        "negative log-likelihood of the output's logarithm",
        "random labels (the output is softmax already; cross_entropy would apply it once more)",
    ),
    "binary": ("binary cross-entropy", "random 0 and 1 (the output is a sigmoid's)"),
    "bounded": ("mean squared error", "random targets in (-1, 1) (the output is a tanh's)"),
    "reconstruction": ("mean squared error", "the input (the output has its shape)"),
    "regression": ("mean squared error", "targets of N(0, 1)"),
}


def _kind(tensor: Tensor, inputs: Any) -> tuple[str, int]:
    """Describe the output, and the dimension along which its classes lie."""
    if not (tensor.is_floating_point() or tensor.is_complex()):
        raise SubjectError(
            f"the model's output is {tensor.dtype} and passes no gradient back; return the logits, before argmax"
        )
    if tensor.is_complex():
        return "regression", -1
    last = _last_operation(tensor)
    same = any(t.shape == tensor.shape and (t.is_floating_point() or t.is_complex()) for t in tensors_in(inputs))
    if last == "Sigmoid":
        return "binary", -1
    if last == "Tanh":
        return ("reconstruction" if same else "bounded"), -1
    axis = _class_axis(tensor, inputs)
    if axis is None:
        return ("reconstruction" if same and tensor.dim() > 1 and tensor.shape[-1] > 1 else "regression"), -1
    if last == "LogSoftmax" or _adds_to_one(tensor.detach().exp(), axis):
        return "log-probabilities", axis
    if _adds_to_one(tensor.detach(), axis):
        return "probabilities", axis
    return ("reconstruction" if same else "classes"), axis


def _class_axis(tensor: Tensor, inputs: Any) -> int | None:
    """The dimension of the classes, or None where the output does not look like any."""
    first = next((t for t in tensors_in(inputs) if t.dim()), None)
    if tensor.dim() == 2:
        return 1 if tensor.shape[1] > 1 else None
    if tensor.dim() == 3:
        conv = first is not None and first.dim() == 3 and first.shape[2] == tensor.shape[2] != first.shape[1]
        if conv and first is not None and first.shape[1] != tensor.shape[1]:
            return 1 if tensor.shape[1] > 1 else None
        return -1 if tensor.shape[-1] > 1 else None
    if tensor.dim() in (4, 5) and first is not None and first.shape[2:] == tensor.shape[2:]:
        return 1 if tensor.shape[1] > 1 else None
    return None


def _adds_to_one(tensor: Tensor, axis: int) -> bool:
    sums = tensor.float().sum(axis)
    return bool((tensor >= 0).all()) and bool(((sums - 1).abs() < SUMS_TO_ONE).all()) and tensor.shape[axis] > 1


def _last_operation(tensor: Tensor) -> str:
    """Name of the operation that gave the output its values; a change of shape is none."""
    node = tensor.grad_fn
    while node is not None:
        name = node.name().removesuffix("0").removesuffix("Backward").removeprefix("torch::autograd::")
        shapes = (
            "View",
            "Squeeze",
            "Unsqueeze",
            "Reshape",
            "UnsafeView",
            "Transpose",
            "T",
            "Permute",
            "Clone",
            "Flatten",
        )
        if name.rstrip("0123456789") not in (*shapes, "Alias", "Slice", "Select", "ToCopy"):
            return name
        node = node.next_functions[0][0] if node.next_functions else None
    return ""


def _target(kind: str, tensor: Tensor, inputs: Any, axis: int, generator: torch.Generator) -> Tensor:
    shape = tuple(tensor.shape)
    if kind in ("classes", "probabilities", "log-probabilities"):
        axis %= len(shape)
        labels = torch.randint(0, shape[axis], shape[:axis] + shape[axis + 1 :], generator=generator)
        return labels.to(tensor.device)
    if kind == "reconstruction":
        match = next(
            t for t in tensors_in(inputs) if t.shape == tensor.shape and (t.is_floating_point() or t.is_complex())
        )
        return match.detach().clone()
    if kind == "binary":
        return torch.randint(0, 2, shape, generator=generator).to(tensor.device, tensor.dtype)
    if kind == "bounded":
        return (2 * torch.rand(shape, generator=generator) - 1).to(tensor.device, tensor.dtype)
    drawn = torch.complex64 if tensor.is_complex() else torch.float32
    return torch.randn(shape, generator=generator, dtype=drawn).to(tensor.device, tensor.dtype)


def _loss(kind: str, axis: int) -> Callable[[Any, Any], Any]:
    def loss(output: Any, target: Tensor) -> Tensor:
        tensor = main_tensor(output)
        assert tensor is not None
        if kind in ("classes", "probabilities", "log-probabilities"):
            # torch wants the classes in dimension 1.
            tensor = tensor.movedim(axis, 1) if tensor.dim() > 2 and axis != 1 else tensor
            if kind == "classes":
                return F.cross_entropy(tensor, target)
            if kind == "probabilities":
                tensor = (tensor + torch.finfo(tensor.dtype).eps).log()
            return F.nll_loss(tensor, target)
        if kind == "binary":
            return F.binary_cross_entropy(tensor, target)
        if tensor.is_complex():
            return (tensor - target).abs().square().mean()
        return F.mse_loss(tensor, target)

    return loss
