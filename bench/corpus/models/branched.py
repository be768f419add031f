"""Convolutional nets with branches, and images read as a sequence of patches."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from bench.corpus.models.attention import Encoder
from bench.corpus.models.parts import Net, norm_of


class Squeeze(Net):
    """Residual convolutions whose channels are weighed by a gate on their means (Hu et al. 2018)."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        depth: int = 2,
        width: int = 8,
        norm: str = "none",
        skip: bool = True,
        gate: float = 0.0,
        **shared,
    ):
        super().__init__()
        self.stem = nn.Conv2d(inputs, width, 3, padding=1)
        self.convs = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(depth))
        self.norms = nn.ModuleList(norm_of(norm, width, image=True) for _ in range(depth))
        self.down = nn.ModuleList(nn.Linear(width, width // 4) for _ in range(depth))
        self.up = nn.ModuleList(nn.Linear(width // 4, width) for _ in range(depth))
        self.head = nn.Linear(4 * width, outputs)
        self.skip = skip
        self.end_(**shared)
        for up in self.up:
            nn.init.constant_(up.bias, gate)

    def forward(self, x):
        x = F.max_pool2d(self.act(self.stem(x)), 2)
        for conv, norm, down, up in zip(self.convs, self.norms, self.down, self.up, strict=True):
            y = self.act(norm(conv(x)))
            weight = torch.sigmoid(up(torch.relu(down(y.mean((2, 3))))))
            y = y * weight[:, :, None, None]
            x = x + y if self.skip else y
            x = self.flaw(x)
        return self.last(self.head(F.adaptive_avg_pool2d(x, 2).flatten(1)))


class Inception(Net):
    """Small, middling and wide looks side by side (Szegedy et al. 2015)."""

    def __init__(self, inputs: int, outputs: int, *, depth: int = 2, width: int = 9, norm: str = "none", **shared):
        super().__init__()
        self.stem = nn.Conv2d(inputs, width, 3, padding=1)
        self.looks = nn.ModuleList(
            nn.ModuleList(nn.Conv2d(width, width // 3, size, padding=size // 2) for size in (1, 3, 5))
            for _ in range(depth)
        )
        self.norms = nn.ModuleList(norm_of(norm, width, image=True) for _ in range(depth))
        self.head = nn.Linear(4 * width, outputs)
        self.end_(**shared)

    def forward(self, x):
        x = F.max_pool2d(self.act(self.stem(x)), 2)
        for looks, norm in zip(self.looks, self.norms, strict=True):
            x = self.act(norm(torch.cat([look(x) for look in looks], 1)))
            x = self.flaw(x)
        return self.last(self.head(F.adaptive_avg_pool2d(x, 2).flatten(1)))


class ViT(Encoder):
    """An encoder on square patches of ``patch`` pixels (Dosovitskiy et al. 2021)."""

    def __init__(self, inputs: int, outputs: int, *, patch: int = 4, steps: int = 4, **more):
        super().__init__(inputs * patch**2, outputs, steps=steps, **more)
        self.patch = patch

    def forward(self, x):
        return super().forward(F.unfold(x, self.patch, stride=self.patch).mT)
