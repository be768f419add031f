"""Ten ReLU layers with weights of standard deviation 1, as a textbook's randn gives them: the gradient explodes."""

import torch
from digits import digits
from torch import nn
from torch.nn import functional as F


class ExplodingReLU(nn.Module):
    def __init__(self, depth: int = 10, width: int = 64) -> None:
        super().__init__()
        self.fcs = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.head = nn.Linear(width, 10)
        for fc in self.fcs:
            nn.init.normal_(fc.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for fc in self.fcs:
            x = F.relu(fc(x))
        return self.head(x)


def setup():
    torch.manual_seed(0)
    model = ExplodingReLU()
    return model, digits(), F.cross_entropy, torch.optim.SGD(model.parameters(), lr=0.01)
