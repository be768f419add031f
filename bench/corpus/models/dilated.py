"""Causal convolutions whose reach doubles with each layer (Bai et al. 2018)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import nn

from bench.corpus.models.parts import Net


class TCN(Net):
    """Input (batch, steps, features); answers from the last step."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        depth: int = 3,
        width: int = 12,
        skip: bool = True,
        gain: float = 1.0,
        **shared,
    ):
        super().__init__()
        self.stem = nn.Linear(inputs, width)
        self.convs = nn.ModuleList(nn.Conv1d(width, width, 2, dilation=2 ** (i % 5)) for i in range(depth))
        self.head = nn.Linear(width, outputs)
        self.skip = skip
        self.end_(init="default" if gain == 1.0 else "kaiming_normal_", gain=gain, **shared)
        for conv in self.convs if gain != 1.0 else ():
            nn.init.normal_(conv.weight, std=gain * (2 * width) ** -0.5)

    def forward(self, x):
        x = self.stem(x).mT
        for conv in self.convs:
            y = self.act(conv(F.pad(x, (conv.dilation[0], 0))))
            x = x + y if self.skip else y
            x = self.flaw(x)
        return self.last(self.head(x[..., -1]))
