import itertools
import time

import torch
from torch import nn

model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1))
opt = torch.optim.SGD(model.parameters(), lr=1e-3)
try:
    for step in itertools.count():
        loss = model(torch.ones(2, 3)).pow(2).sum()
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step == 5:
            print("training", flush=True)
        time.sleep(0.01)
finally:
    print("cleaning up", flush=True)
