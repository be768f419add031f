"""A transformer of 48 post-norm layers at a rate that pre-norm takes easily: it does not get going."""

import torch
from digits import digits
from torch import nn
from torch.nn import functional as F


class Rows(nn.Module):
    """Each picture is a sentence of eight rows."""

    def __init__(self, depth: int = 48, width: int = 32) -> None:
        super().__init__()
        self.embed = nn.Linear(8, width)
        self.place = nn.Parameter(0.02 * torch.randn(8, width))
        layer = nn.TransformerEncoderLayer(width, 4, 4 * width, dropout=0.0, batch_first=True, norm_first=False)
        self.encoder = nn.TransformerEncoder(layer, depth)
        self.head = nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = self.embed(x.view(-1, 8, 8)) + self.place
        return self.head(self.encoder(rows).mean(1))


def setup():
    torch.manual_seed(0)
    model = Rows()
    return model, digits(), F.cross_entropy, torch.optim.Adam(model.parameters(), lr=1e-3)
