"""What the nets of the table share: activations and initialisers by name, normalisation, and flaws put in on purpose.

A flaw is a small module that a net applies after each of its blocks, or once, as somebody might write it by mistake; the
expression at fault stands in its ``forward``.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "gelu": F.gelu,
    "silu": F.silu,
    "selu": F.selu,
    "softplus": F.softplus,
    "hardtanh": F.hardtanh,
    "softsign": F.softsign,
    "mish": F.mish,
    "relu6": F.relu6,
    "hardsigmoid": F.hardsigmoid,
    "sin": torch.sin,
}


def initialise_(model: nn.Module, name: str, gain: float = 1.0) -> None:
    """Draw the weights of linear and convolutional layers by ``torch.nn.init.<name>``, biases zero; "default" leaves all.

    ``gain`` is the standard deviation of ``normal_``, ``trunc_normal_`` and ``sparse_``, the bound of ``uniform_``, the
    value of ``constant_``, and a factor on the weights of all others. ``dirac_`` is for convolutions alone.
    """
    if name == "default":
        return
    for layer in model.modules():
        if not isinstance(layer, nn.Conv2d if name == "dirac_" else (nn.Linear, nn.Conv2d)):
            continue
        _draw_(layer.weight, name, gain)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def _draw_(weight: Tensor, name: str, gain: float) -> None:
    draw = getattr(nn.init, name)
    if name in ("normal_", "trunc_normal_"):
        draw(weight, std=gain)
    elif name == "sparse_":
        draw(weight, sparsity=0.5, std=gain)
    elif name == "uniform_":
        draw(weight, -gain, gain)
    elif name == "constant_":
        draw(weight, gain)
    else:
        draw(weight, **({"nonlinearity": "relu"} if name.startswith("kaiming") else {}))
        with torch.no_grad():
            weight.mul_(gain)


def norm_of(name: str, width: int, *, image: bool = False) -> nn.Module:
    """ "none", "batch", "layer" or "rms" over ``width`` features; over channels for images."""
    if name == "batch":
        return nn.BatchNorm2d(width) if image else nn.BatchNorm1d(width)
    if name == "layer":
        return nn.GroupNorm(1, width) if image else nn.LayerNorm(width)
    return nn.RMSNorm(width) if name == "rms" else nn.Identity()


class Flaw(nn.Module):
    """One that is applied to what comes out; ``amount`` says how strongly, where there is a how."""

    def __init__(self, amount: float):
        super().__init__()
        self.amount = amount


class Scaled(Flaw):
    def forward(self, x):
        return x * self.amount


class Squashed(Flaw):
    def forward(self, x):
        return torch.sigmoid(x * self.amount)


class Clamped(Flaw):
    """A clamp far from where the values are."""

    def forward(self, x):
        return torch.clamp(x, min=self.amount)


class Shifted(Flaw):
    """A threshold that no unit passes."""

    def forward(self, x):
        return torch.relu(x - self.amount)


class Detached(Flaw):
    def forward(self, x):
        return x.detach()


class Averaged(Flaw):
    """The mean over the batch put in place of most of each sample."""

    def forward(self, x):
        return torch.lerp(x, x.mean(0, keepdim=True), self.amount)


class Logged(Flaw):
    """A logarithm of what may be zero."""

    def forward(self, x):
        return torch.log(F.relu(x))


class Normed(Flaw):
    """A division by the norm of the features, with nothing to keep it from zero."""

    def forward(self, x):
        x = F.relu(x - 1.0)
        return x / x.norm(dim=-1, keepdim=True)


class Rounded(Flaw):
    def forward(self, x):
        return torch.round(x * self.amount) / self.amount


class Powered(Flaw):
    def forward(self, x):
        return torch.pow(x, self.amount)


class Softmaxed(Flaw):
    def forward(self, x):
        return F.softmax(x, dim=-1)


class Rectified(Flaw):
    def forward(self, x):
        return F.relu(x)


FLAWS: dict[str, type[Flaw]] = {
    "scaled": Scaled,
    "squashed": Squashed,
    "clamped": Clamped,
    "shifted": Shifted,
    "detached": Detached,
    "averaged": Averaged,
    "logged": Logged,
    "normed": Normed,
    "rounded": Rounded,
    "powered": Powered,
    "softmaxed": Softmaxed,
    "rectified": Rectified,
}


def flaw_of(name: str, amount: float) -> nn.Module:
    return FLAWS[name](amount) if name else nn.Identity()


class Net(nn.Module):
    """A net of the table. What all of them take is set when the layers are there, by ``end_`` or ``draw_``."""

    def end_(self, *, activation: str = "relu", **drawn) -> None:
        self.act = ACTIVATIONS[activation]
        self.draw_(**drawn)

    def draw_(
        self, *, init: str = "default", gain: float = 1.0, flaw: str = "", amount: float = 0.0, last: str | None = ""
    ) -> None:
        """``flaw`` comes after each block, ``last`` after the answer, in nets that have a place for it (not None)."""
        self.flaw = flaw_of(flaw, amount)
        if last is not None:
            self.last = flaw_of(last, amount)
        initialise_(self, init, gain)
