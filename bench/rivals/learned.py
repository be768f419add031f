"""Rivals that learn the sizes of a net's weights before training: both differentiate a gradient."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from bench.rivals.nets import BATCH, CLASSES, WORDS, Data, Net, digits
from bench.rivals.numbers import he_or_xavier

EPSILON, NORM_RATE, MOMENTUM, NORM_STEPS = 1e-5, 0.01, 0.9, 100
"""Of MetaInit. The paper has 500 steps of 0.1, with which the quotient of nets as narrow as these jumps about. With 0.01 it falls
to its level within fifty."""

ITERATIONS = 200
"""Of GradInit; the paper has one epoch."""

STEP, BOUND, SCALE_RATE, LEAST = 1e-3, 1.0, 1e-2, 0.01
"""Of GradInit: the step that is looked ahead, the bound of the gradient's norm, the rate of the scales, and the least scale."""


def gradient_quotient(loss: Tensor, parameters: list[Tensor]) -> Tensor:
    """Dauphin & Schoenholz 2019, eq. 1: the mean of |(g − H g) / (g ± ε) − 1|, here as its appendix computes it."""
    gradients = torch.autograd.grad(loss, parameters, create_graph=True)
    half = sum(((gradient**2).sum() / 2 for gradient in gradients), torch.zeros(()))
    products = torch.autograd.grad(half, parameters, create_graph=True)
    total = torch.zeros(())
    for gradient, product in zip(gradients, products, strict=True):
        safe = torch.where(gradient < 0, gradient - EPSILON, gradient + EPSILON)
        total = total + ((gradient - product) / safe - 1).abs().sum()
    return total / sum(parameter.numel() for parameter in parameters)


def metainit(net: Net, x: Tensor) -> nn.Module:
    """Dauphin & Schoenholz 2019, eq. 1: signed descent on the norm of each weight to a low mean of |(g − H g) / (g ± ε) − 1|.

    Random inputs and labels, as there. Simplified: 100 steps of 0.01, from He or Xavier.
    """
    model = he_or_xavier(net, x)
    matrices = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    memory = [0.0] * len(matrices)
    with sdpa_kernel(SDPBackend.MATH):
        for _ in range(NORM_STEPS):
            made = torch.randn(x.shape) if x.is_floating_point() else torch.randint(WORDS, x.shape)
            loss = F.cross_entropy(model(made), torch.randint(CLASSES, (len(x),)))
            quotient = gradient_quotient(loss, list(model.parameters()))
            slopes = torch.autograd.grad(quotient, matrices)
            for i, (matrix, slope) in enumerate(zip(matrices, slopes, strict=True)):
                norm = float(matrix.detach().norm())
                memory[i] = MOMENTUM * memory[i] - NORM_RATE * float(torch.sign((matrix.detach() * slope).sum()))
                with torch.no_grad():
                    matrix *= (norm + memory[i]) / norm
    return model


def gradinit(net: Net, x: Tensor) -> nn.Module:
    """Zhu et al. 2021 (arXiv:2102.08098), eq. 1: a scale for each parameter, so that the loss after a step is least and ‖g‖ ≤ 1.

    Simplified: 200 iterations, the norm is that of SGD, and the looked-ahead step (the sign of the gradient, as for Adam) is
    constant in the scales.
    """
    model = he_or_xavier(net, x)
    names = [name for name, _ in model.named_parameters()]
    begin = [parameter.detach().clone() for parameter in model.parameters()]
    scales = [torch.ones((), requires_grad=True) for _ in begin]
    optimizer = torch.optim.Adam(scales, lr=SCALE_RATE)
    data = digits(net.kind)

    def loss_at(parameters: list[Tensor], batch: tuple[Tensor, Tensor]) -> Tensor:
        return F.cross_entropy(functional_call(model, dict(zip(names, parameters, strict=True)), batch[0]), batch[1])

    with sdpa_kernel(SDPBackend.MATH):
        for batch in _drawn(data):
            scaled = [scale * parameter for scale, parameter in zip(scales, begin, strict=True)]
            gradients = torch.autograd.grad(loss_at(scaled, batch), scaled, create_graph=True)
            norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
            aim = norm
            if float(norm.detach()) <= BOUND:
                ahead = [p - STEP * g.detach().sign() for p, g in zip(scaled, gradients, strict=True)]
                aim = loss_at(ahead, batch)
            optimizer.zero_grad()
            aim.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            with torch.no_grad():
                for scale in scales:
                    scale.clamp_(min=LEAST)
    with torch.no_grad():
        for parameter, scale in zip(model.parameters(), scales, strict=True):
            parameter *= scale
    return model


def _drawn(data: Data) -> list[tuple[Tensor, Tensor]]:
    """Batches of the training set, drawn by torch's own random state."""
    return [(data.x[rows], data.y[rows]) for rows in torch.randint(len(data.x), (ITERATIONS, BATCH))]
