"""60 He-initialised residual blocks, unscaled: each doubles the variance, and SGD diverges."""

import torch
from digits import digits
from torch import nn
from torch.nn import functional as F


class Residual(nn.Module):
    def __init__(self, depth: int = 60, width: int = 64) -> None:
        super().__init__()
        self.fcs = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.head = nn.Linear(width, 10)
        for fc in self.fcs:
            nn.init.kaiming_normal_(fc.weight, nonlinearity="relu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for fc in self.fcs:
            x = x + F.relu(fc(x))
        return self.head(x)


def setup():
    torch.manual_seed(0)
    model = Residual()
    return model, digits(), F.cross_entropy, torch.optim.SGD(model.parameters(), lr=0.01)
