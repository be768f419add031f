# Kind: a physics-informed net for u'' + u = 0 with u(0) = 0, u'(0) = 1 whose output is clipped from below by a ReLU.
import math

import torch
from torch import nn


class Solution(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(1, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh())
        self.last = nn.Linear(hidden, 1)

    def forward(self, t):
        return torch.relu(self.last(self.inner(t)))  # <- here


def derivative(f, t):
    return torch.autograd.grad(f, t, torch.ones_like(f), create_graph=True)[0]


def physics_loss(u, t):
    du = derivative(u, t)
    ddu = derivative(du, t)
    start = u[:1] ** 2 + (du[:1] - 1) ** 2
    return ((ddu + u) ** 2).mean() + start.sum()


def main():
    torch.manual_seed(7)
    model = Solution()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for step in range(2500):
        t = torch.cat([torch.zeros(1, 1), 2 * math.pi * torch.rand(63, 1)]).requires_grad_()
        loss = physics_loss(model(t), t)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 500 == 0:
            print(step, loss.item())
    t = torch.linspace(0, 2 * math.pi, 100).unsqueeze(1)
    wrong = (model(t) - torch.sin(t)).pow(2).mean().item()
    print("r2", 1 - wrong / 0.5)


if __name__ == "__main__":
    main()
