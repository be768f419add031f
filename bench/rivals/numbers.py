"""Rivals that change only the numbers a net begins with, in closed form or from one batch."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from bench.rivals.nets import Net, plain

TOLERANCE, TRIES = 0.1, 10
"""Of LSUV, as in its paper."""


def weights(model: nn.Module) -> Iterator[tuple[nn.Module, Tensor]]:
    """Each weight matrix or kernel with its layer, in order; embeddings are none."""
    for layer in model.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d, nn.RNN, nn.MultiheadAttention)):
            for parameter in layer.parameters(recurse=False):
                if parameter.dim() > 1:
                    yield layer, parameter


def without_biases_(model: nn.Module) -> None:
    """Set the biases of all layers to 0, as these papers do."""
    for layer, _ in weights(model):
        for name, parameter in layer.named_parameters(recurse=False):
            if "bias" in name:
                nn.init.zeros_(parameter)


def rectified(net: Net) -> bool:
    """Whether half of what a layer gives is lost in the next activation, for which √2 makes up."""
    return net.layered and net.activation in ("relu", "gelu")


def as_it_is(net: Net, _: Tensor) -> nn.Module:
    """Torch's own initialisation, at its best rate; no rival, and never counted."""
    return plain(net)


def he_or_xavier(net: Net, _: Tensor) -> nn.Module:
    """He et al. 2015, eq. 10: Var W = 2 / fan-in, for ReLU and GELU. Else Glorot & Bengio 2010, eq. 12: 2 / (fan-in + fan-out).

    A transformer takes the latter.
    """
    model = plain(net)
    last = list(weights(model))[-1][1]
    for _layer, weight in weights(model):
        if rectified(net) and weight is not last:
            nn.init.kaiming_normal_(weight)
        else:
            nn.init.xavier_normal_(weight)
    without_biases_(model)
    return model


def orthogonal_(weight: Tensor, gain: float = 1.0) -> None:
    """Make a matrix orthogonal: W Wᵀ = gain² I where it is square. A kernel is so at its centre, and 0 elsewhere."""
    with torch.no_grad():
        if weight.dim() == 2:
            nn.init.orthogonal_(weight, gain)
            return
        weight.zero_()
        nn.init.orthogonal_(weight[:, :, weight.shape[2] // 2, weight.shape[3] // 2], gain)


def orthogonal(net: Net, _: Tensor) -> nn.Module:
    """Saxe et al. 2014 (arXiv:1312.6120): W Wᵀ = gain² I; Xiao et al. 2018 (arXiv:1806.05393): delta-orthogonal kernels.

    The gain is √2 for ReLU and GELU, else 1, also in a transformer.
    """
    model = plain(net)
    last = list(weights(model))[-1][1]
    gain = 2**0.5 if rectified(net) else 1.0
    for _layer, weight in weights(model):
        orthogonal_(weight, gain if weight is not last else 1.0)
    without_biases_(model)
    return model


def lsuv(net: Net, x: Tensor) -> nn.Module:
    """Mishkin & Matas 2016 (arXiv:1511.06422), algorithm 1: orthogonal; then, layer by layer, W ← W / √Var(output).

    Repeated until |Var − 1| < 0.1, ten times at most.
    """
    model = plain(net)
    for layer, weight in weights(model):
        nn.init.orthogonal_(weight)
        seen: list[Tensor] = []
        handle = layer.register_forward_hook(lambda _layer, _inputs, output, seen=seen: seen.append(output))
        with torch.no_grad():
            for _ in range(TRIES):
                model(x)
                variance = seen.pop().var()
                if abs(float(variance) - 1) < TOLERANCE:
                    break
                weight /= variance.sqrt()
        handle.remove()
    return model
