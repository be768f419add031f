"""100 tanh layers as torch initialises them: the weights are too small for tanh. Will not train."""

import torch
from digits import digits
from torch import nn
from torch.nn import functional as F


class DeepTanh(nn.Module):
    def __init__(self, depth: int = 100, width: int = 64) -> None:
        super().__init__()
        self.fcs = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.head = nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for fc in self.fcs:
            x = torch.tanh(fc(x))
        return self.head(x)


def setup():
    torch.manual_seed(0)
    model = DeepTanh()
    return model, digits(), F.cross_entropy, torch.optim.AdamW(model.parameters(), lr=1e-3)
