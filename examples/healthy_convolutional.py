"""A small convolutional net with batch norm: healthy."""

import torch
from digits import digits
from torch import nn
from torch.nn import functional as F


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.head = nn.Linear(32 * 16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x.view(-1, 1, 8, 8)).flatten(1))


def setup():
    torch.manual_seed(0)
    model = Small()
    return model, digits(), F.cross_entropy, torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
