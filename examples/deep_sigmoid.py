"""A plain net of 20 sigmoid layers: each passes at most a quarter of the gradient. Will not train."""

import torch
from digits import digits
from torch import nn
from torch.nn import functional as F


class DeepSigmoid(nn.Module):
    def __init__(self, depth: int = 20, width: int = 64) -> None:
        super().__init__()
        self.fcs = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.head = nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for fc in self.fcs:
            x = torch.sigmoid(fc(x))
        return self.head(x)


def setup():
    torch.manual_seed(0)
    model = DeepSigmoid()
    return model, digits(), F.cross_entropy, torch.optim.AdamW(model.parameters(), lr=1e-3)
