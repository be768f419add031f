"""Files that the tests of cure, lr and prove are run on: small, and quickly cured."""

from __future__ import annotations

HEAD = "import torch\nfrom torch import nn\nfrom torch.nn import functional as F\n\n\n"

NET = (
    HEAD
    + """class Net(nn.Module):
    def __init__(self, depth=12):
        super().__init__()
        self.fcs = nn.ModuleList(nn.Linear(8, 8) for _ in range(depth))
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        for fc in self.fcs:
            x = torch.sigmoid(fc(x))
        return self.head(x)


def data(count):
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(count) % 4
    return 2 * torch.eye(4, 8)[y] + 0.3 * torch.randn(count, 8, generator=generator), y
"""
)

SICK = (
    NET
    + """

def setup():
    model = Net()
    return model, data(48), F.cross_entropy, torch.optim.Adam(model.parameters(), lr=1e-2)


def batches():
    x, y = data(96)
    return list(zip(x.split(32), y.split(32)))
"""
)


def setup(
    model: str = "Net()",
    batch: str = "data(48)",
    loss: str = "F.cross_entropy",
    optimizer: str = "torch.optim.Adam(model.parameters(), lr=1e-2)",
    before: str = "",
) -> str:
    """A file with these parts."""
    return f"{NET}\n\n{before}\n\n\ndef setup():\n    model = {model}\n    return model, {batch}, {loss}, {optimizer}\n"
