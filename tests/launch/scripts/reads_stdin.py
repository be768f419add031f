import sys

import torch
from torch import nn

rows = [[float(word) for word in line.split()] for line in sys.stdin]
table = torch.tensor(rows)
model = nn.Linear(table.shape[1] - 1, 1)
nn.init.zeros_(model.weight)
nn.init.zeros_(model.bias)
opt = torch.optim.SGD(model.parameters(), lr=0.05)
for _ in range(20):
    loss = nn.functional.mse_loss(model(table[:, :-1]), table[:, -1:])
    opt.zero_grad()
    loss.backward()
    opt.step()
print(len(rows), "rows", model.weight.tolist(), model.bias.tolist())
print(sys.stdin.read() == "", file=sys.stderr)
