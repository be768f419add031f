# Shape: SimCLR: two views of each picture, NT-Xent over normalised projections, temperature 0.5
# Expected: no error
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)


class Model(nn.Module):
    def __init__(self, feature_dim=16):
        super().__init__()
        self.f = nn.Sequential(
            nn.Conv2d(1, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1)
        )
        self.g = nn.Sequential(nn.Linear(32, 32, bias=False), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, feature_dim))

    def forward(self, x):
        feature = torch.flatten(self.f(x), start_dim=1)
        return F.normalize(feature, dim=-1), F.normalize(self.g(feature), dim=-1)


def view(x):
    shift = int(torch.randint(-2, 3, (1,)))
    x = torch.roll(x, shift, dims=-1)
    return x * (0.8 + 0.4 * torch.rand(len(x), 1, 1, 1)) + 0.1 * torch.randn_like(x)


pictures = torch.randn(64, 1, 4, 4).repeat_interleave(4, 2).repeat_interleave(4, 3)
net = Model()
optimizer = torch.optim.Adam(net.parameters(), lr=3e-3, weight_decay=1e-6)
for step in range(40):
    x = pictures[torch.randperm(64)[:32]]
    out = torch.cat([net(view(x))[1], net(view(x))[1]], dim=0)
    sim = torch.exp(torch.mm(out, out.t()) / 0.5)
    mask = ~torch.eye(64, dtype=torch.bool)
    sim = sim.masked_select(mask).view(64, -1)
    pos = torch.exp((out[:32] * out[32:]).sum(-1) / 0.5)
    loss = (-torch.log(torch.cat([pos, pos]) / sim.sum(-1))).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(step, loss.item())
