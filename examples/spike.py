"""A training run in which one batch was never scaled: run it with ``steadygrad run examples/spike.py``."""

from __future__ import annotations

import torch
from digits import digits
from torch import nn
from torch.nn import functional as F

x, y = digits(1797)
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)

for step in range(300):
    chosen = torch.randint(0, len(x), (64,))
    batch = x[chosen] * (40 if step == 211 else 1)
    loss = F.cross_entropy(model(batch), y[chosen])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"loss {loss.item():.2f}")
