import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

ACCUM = 4

torch.manual_seed(3)
data = TensorDataset(torch.randn(128, 6), torch.randint(0, 2, (128,)))
loader = DataLoader(data, batch_size=8, shuffle=True)
net = nn.Sequential(nn.Linear(6, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Dropout(0.1), nn.Linear(24, 2))
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
opt.zero_grad()
for epoch in range(2):
    for i, (xb, yb) in enumerate(loader):
        loss = nn.functional.cross_entropy(net(xb), yb) / ACCUM
        loss.backward()
        if (i + 1) % ACCUM == 0:
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            opt.step()
            opt.zero_grad()
    print("epoch", epoch, "loss", loss.item() * ACCUM)
print([b.double().sum().item() for b in net.buffers()])
print([p.double().sum().item() for p in net.parameters()])
