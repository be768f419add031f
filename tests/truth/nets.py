"""Nets that float64 can hold, for comparing the trunk with plain autograd. Each entry: name → (model, input, target)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Built = tuple[nn.Module, Tensor, Tensor]


class Functional(nn.Module):
    """A stack of linear layers with an activation given as a function, in a loop."""

    def __init__(self, depth: int, act: Callable[[Tensor], Tensor], width: int = 32) -> None:
        super().__init__()
        self.fcs = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        for fc in self.fcs:
            x = self.act(fc(x))
        return x


class Residual(nn.Module):
    def __init__(self, depth: int, width: int = 32, norm: bool = False) -> None:
        super().__init__()
        self.fcs = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.norms = nn.ModuleList(nn.LayerNorm(width) if norm else nn.Identity() for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        for fc, norm in zip(self.fcs, self.norms, strict=True):
            x = x + torch.tanh(fc(norm(x)))
        return x


class Gated(nn.Module):
    """Two paths multiplied and no skip: the trunk runs through a block of several paths."""

    def __init__(self, depth: int, width: int = 32) -> None:
        super().__init__()
        self.value = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.gate = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        for value, gate in zip(self.value, self.gate, strict=True):
            x = value(x) * torch.sigmoid(gate(x))
        return x


class Tied(nn.Module):
    """One weight at every depth, and once more beside the trunk."""

    def __init__(self, depth: int, width: int = 32) -> None:
        super().__init__()
        self.fc = nn.Linear(width, width)
        self.depth = depth

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(self.depth):
            x = torch.tanh(self.fc(x))
        return x @ self.fc.weight


class InPlace(nn.Module):
    def __init__(self, depth: int, width: int = 32) -> None:
        super().__init__()
        self.fcs = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        x -= 0.1
        for fc in self.fcs:
            x = fc(x).mul_(0.7).add_(0.1)
            x[:, 0] = 0
        return x


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.Module]) -> None:
        super().__init__()
        self.cell = kind(32, 32, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.cell(x.unsqueeze(1).expand(-1, 12, -1))[0][:, -1]


class Convolutional(nn.Module):
    def __init__(self, depth: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(1 if i == 0 else 8, 8, 3, padding=1) for i in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        x = x.view(-1, 1, 4, 8)
        for conv in self.convs:
            x = F.gelu(conv(x))
        return x.mean(1).flatten(1)


class Attention(nn.Module):
    def __init__(self, norm_first: bool) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True, norm_first=norm_first)
        self.encoder = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder(x.view(-1, 4, 8)).flatten(1)


class Checkpointed(nn.Module):
    def __init__(self, reentrant: bool) -> None:
        super().__init__()
        self.body = Functional(6, torch.tanh)
        self.reentrant = reentrant

    def forward(self, x: Tensor) -> Tensor:
        from torch.utils.checkpoint import checkpoint

        for fc in self.body.fcs:
            x = checkpoint(lambda h, fc=fc: torch.tanh(fc(h)), x, use_reentrant=self.reentrant)
        return x


def _stack(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(*layers)


MODELS: dict[str, Callable[[], nn.Module]] = {
    "sigmoid-20": lambda: Functional(20, torch.sigmoid),
    "sigmoid-60": lambda: Functional(60, torch.sigmoid),
    "tanh-100": lambda: Functional(100, torch.tanh),
    "relu-40": lambda: Functional(40, torch.relu),
    "gelu-30": lambda: Functional(30, F.gelu),
    "silu-method-30": lambda: Functional(30, lambda x: x * x.sigmoid()),
    "elu-50": lambda: Functional(50, F.elu),
    "softplus-10": lambda: Functional(10, F.softplus),
    "leaky-sequential": lambda: _stack(*[m for _ in range(15) for m in (nn.Linear(32, 32), nn.LeakyReLU())]),
    "batch-norm": lambda: _stack(*[m for _ in range(8) for m in (nn.Linear(32, 32), nn.BatchNorm1d(32), nn.ReLU())]),
    "layer-norm": lambda: _stack(*[m for _ in range(12) for m in (nn.Linear(32, 32), nn.LayerNorm(32), nn.Sigmoid())]),
    "residual-30": lambda: Residual(30),
    "pre-norm-residual": lambda: Residual(20, norm=True),
    "gated-12": lambda: Gated(12),
    "tied-25": lambda: Tied(25),
    "in-place": lambda: InPlace(6),
    "rnn": lambda: Recurrent(nn.RNN),
    "lstm": lambda: Recurrent(nn.LSTM),
    "gru": lambda: Recurrent(nn.GRU),
    "conv-12": lambda: Convolutional(12),
    "attention-post": lambda: Attention(False),
    "attention-pre": lambda: Attention(True),
    "checkpoint": lambda: Checkpointed(False),
    "checkpoint-reentrant": lambda: Checkpointed(True),
    "exploding": lambda: _stack(*[_scaled(nn.Linear(32, 32), 30.0) for _ in range(25)]),
}


def _scaled(layer: nn.Linear, factor: float) -> nn.Linear:
    with torch.no_grad():
        layer.weight.mul_(factor)
    return layer


def built(name: str) -> Built:
    """The model with its batch, from a fixed seed."""
    torch.manual_seed(0)
    model = MODELS[name]()
    torch.manual_seed(1)
    return model, torch.randn(16, 32), torch.randn(16, 32)
