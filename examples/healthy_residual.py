"""30 residual blocks, each branch scaled by 1/√blocks: healthy."""

import torch
from digits import digits
from torch import nn
from torch.nn import functional as F


class ScaledResidual(nn.Module):
    def __init__(self, depth: int = 30, width: int = 64) -> None:
        super().__init__()
        self.fcs = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.head = nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for fc in self.fcs:
            x = x + F.relu(fc(x)) / len(self.fcs) ** 0.5
        return self.head(x)


def setup():
    torch.manual_seed(0)
    model = ScaledResidual()
    return model, digits(), F.cross_entropy, torch.optim.AdamW(model.parameters(), lr=1e-3)
