"""Pixels from 0 to 4,080 as they come from the file, into tanh: its units are saturated from the first layer on."""

import torch
from digits import digits
from torch import nn
from torch.nn import functional as F


class Raw(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fcs = nn.ModuleList([nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 64)])
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for fc in self.fcs:
            x = torch.tanh(fc(x))
        return self.head(x)


def setup():
    torch.manual_seed(0)
    model = Raw()
    x, y = digits(standardise=False)
    return model, (255 * x, y), F.cross_entropy, torch.optim.SGD(model.parameters(), lr=0.01)
