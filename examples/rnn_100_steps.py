"""A plain tanh RNN asked about the first of 100 steps: the gradient vanishes on the way back in time."""

import torch
from torch import nn
from torch.nn import functional as F


class Remember(nn.Module):
    def __init__(self, hidden: int = 32) -> None:
        super().__init__()
        self.rnn = nn.RNN(11, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        states, _ = self.rnn(x)
        return self.head(states[:, -1])


def setup():
    """Which figure was shown at the first step? The other 99 steps are noise."""
    torch.manual_seed(0)
    y = torch.arange(128) % 10
    x = 0.1 * torch.randn(128, 100, 11)
    x[torch.arange(128), 0, y] += 1.0
    model = Remember()
    return model, (x, y), F.cross_entropy, torch.optim.Adam(model.parameters(), lr=1e-3)
