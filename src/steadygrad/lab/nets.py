"""Stacks of equal layers in float64, many at once, and the gradient through each by torch's own autograd.

h ← λ h + β φ(W h), W ~ N(0, σ_w² ÷ width): plain without a skip (λ = 0, β = 1), residual with one. What the experiments on
depth share; knows nothing of claims or figures.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda x: x,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.01),
    "elu": F.elu,
    "selu": F.selu,
    "gelu": F.gelu,
    "silu": F.silu,
    "softplus": F.softplus,
}


@dataclass(frozen=True)
class Stack:
    """A net of equal layers."""

    depth: int
    width: int
    activation: str
    weight_std: float
    """σ_w: a weight has standard deviation σ_w ÷ √width."""
    skip: float = 0.0
    """λ, on what goes around a block; 0 = no skip."""
    branch: float = 1.0
    """β, on what a block adds."""
    span: int = 1
    """Layers in a block; the depth is a multiple of it."""
    norm: bool = False
    """Batch norm in front of every activation."""


@dataclass(frozen=True)
class Passed:
    """The gradient norms of a backward pass through ``nets`` stacks, from the input (index 0) to the output."""

    decades: Tensor
    """log10 of ‖gradient at h_l‖ ÷ ‖gradient at the output‖; (nets, blocks + 1)."""
    projection: Tensor
    """⟨gradient at h_l, gradient at the output⟩ ÷ ‖gradient at the output‖²; (nets, blocks + 1)."""
    through: Tensor
    """‖what came through the branch of a block‖ ÷ ‖gradient behind it‖; (nets, blocks)."""
    inputs: tuple[Tensor, ...]
    """Pre-activations of each layer; (nets, batch, width)."""


AT_ONCE = 10_000_000
"""Numbers in the weights and states of the nets that are measured together: 80 MB, so that any count fits in memory."""


def gradients(stack: Stack, nets: int, *, batch: int = 1, scale: float = 1.0) -> Passed:
    """Draw ``nets`` stacks and inputs ~ N(0, scale²), and send a random direction back from the output of each.

    Raises ``ValueError`` for a depth that is no multiple of the span, or where a gradient leaves float64's range.
    """
    if stack.depth % stack.span:
        raise ValueError(f"a depth of {stack.depth} does not divide into blocks of {stack.span}")
    most = max(1, AT_ONCE // (stack.depth * stack.width * (stack.width + 4 * batch)))
    parts = [_pass(stack, min(most, nets - begin), batch, scale) for begin in range(0, nets, most)]
    return Passed(
        torch.cat([one.decades for one in parts]),
        torch.cat([one.projection for one in parts]),
        torch.cat([one.through for one in parts]),
        tuple(map(torch.cat, zip(*(one.inputs for one in parts), strict=True))),
    )


def _pass(stack: Stack, nets: int, batch: int, scale: float) -> Passed:
    phi = ACTIVATIONS[stack.activation]
    deviation = stack.weight_std / math.sqrt(stack.width)
    state = scale * torch.randn(nets, batch, stack.width, dtype=torch.float64)
    states, inputs = [state.requires_grad_()], []
    for _ in range(stack.depth // stack.span):
        inner = state
        for _ in range(stack.span):
            weight = deviation * torch.randn(nets, stack.width, stack.width, dtype=torch.float64)
            inner = torch.bmm(inner, weight)
            if stack.norm:
                centred = inner - inner.mean(1, keepdim=True)
                inner = centred / (centred.square().mean(1, keepdim=True) + 1e-12).sqrt()
            inputs.append(inner.detach())
            inner = phi(inner)
        state = stack.branch * inner + (stack.skip * state if stack.skip else 0.0)
        states.append(state)
    direction = torch.randn_like(state)
    found = torch.autograd.grad(state, states, direction)
    norms = torch.stack([one.flatten(1).norm(dim=1) for one in found], 1)
    if not (norms.isfinite().all() and (norms > 0).all()):
        raise ValueError(
            "the gradient leaves what float64 can hold; take less depth, or weights nearer the critical scale"
        )
    inner_products = torch.stack([(one * direction).flatten(1).sum(1) for one in found], 1)
    energy = direction.flatten(1).square().sum(1, keepdim=True)
    branches = [(a - stack.skip * b).flatten(1).norm(dim=1) for a, b in pairwise(found)]
    through = torch.stack(branches, 1) / norms[:, 1:]
    return Passed((norms / norms[:, -1:]).log10(), inner_products / energy, through, tuple(inputs))


def linear_fit(y: Tensor, x: Tensor) -> Tensor:
    """Slope of each row of ``y`` (rows, points) over ``x`` (points) by least squares; (rows,)."""
    centred = x - x.mean()
    return (y * centred).sum(1) / centred.square().sum()
