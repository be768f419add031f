"""Convolutional nets: plain, residual, and one that answers for every pixel."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from bench.corpus.models.parts import Net, norm_of


class Conv(Net):
    """``depth`` convolutions of one width, then a mean over places."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        depth: int = 3,
        width: int = 12,
        norm: str = "none",
        skip: bool = False,
        scale: float = 1.0,
        **shared,
    ):
        super().__init__()
        self.stem = nn.Conv2d(inputs, width, 3, padding=1)
        self.convs = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(depth - 1))
        self.norms = nn.ModuleList(norm_of(norm, width, image=True) for _ in range(depth - 1))
        self.head = nn.Linear(4 * width, outputs)
        self.skip, self.scale = skip, scale
        self.end_(**shared)

    def forward(self, x):
        x = self.act(self.stem(x))
        x = F.max_pool2d(x, 2)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            y = self.act(norm(conv(x)))
            x = x + self.scale * y if self.skip else y
            x = self.flaw(x)
        return self.last(self.head(F.adaptive_avg_pool2d(x, 2).flatten(1)))


class UNet(Net):
    """Down once, up once, with the way across (Ronneberger et al. 2015); classes for every pixel."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        depth: int = 1,
        width: int = 8,
        norm: str = "none",
        across: bool = True,
        **shared,
    ):
        super().__init__()
        self.down = nn.Conv2d(inputs, width, 3, padding=1)
        self.deep = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(depth))
        self.norms = nn.ModuleList(norm_of(norm, width, image=True) for _ in range(depth))
        self.up = nn.ConvTranspose2d(width, width, 2, stride=2)
        self.head = nn.Conv2d(2 * width if across else width, outputs, 3, padding=1)
        self.across = across
        self.end_(last=None, **shared)

    def forward(self, x):
        x = self.act(self.down(x))
        y = F.max_pool2d(x, 2)
        for conv, norm in zip(self.deep, self.norms, strict=True):
            y = self.act(norm(conv(y)))
            y = self.flaw(y)
        y = self.act(self.up(y))
        return self.head(torch.cat([x, y], 1) if self.across else y)
