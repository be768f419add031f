"""Softmax in the model and again in the loss: the second one flattens the gradient."""

import torch
from digits import digits
from torch import nn
from torch.nn import functional as F


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(64, 64)
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.head(F.relu(self.hidden(x))), dim=1)


def setup():
    torch.manual_seed(0)
    model = Twice()
    return model, digits(), F.cross_entropy, torch.optim.SGD(model.parameters(), lr=0.01)
