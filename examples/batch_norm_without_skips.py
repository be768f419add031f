"""60 ReLU layers with batch norm and no skip: batch norm makes the gradient grow with depth."""

import torch
from digits import digits
from torch import nn
from torch.nn import functional as F


class PlainBatchNorm(nn.Module):
    def __init__(self, depth: int = 60, width: int = 64) -> None:
        super().__init__()
        self.fcs = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(depth))
        self.head = nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for fc, norm in zip(self.fcs, self.norms, strict=True):
            x = F.relu(norm(fc(x)))
        return self.head(x)


def setup():
    torch.manual_seed(0)
    model = PlainBatchNorm()
    return model, digits(), F.cross_entropy, torch.optim.SGD(model.parameters(), lr=0.1)
