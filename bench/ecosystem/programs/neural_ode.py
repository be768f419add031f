# Shape: neural ODE: Runge-Kutta steps through one small network, time drawn with numpy
# Expected: no error
import numpy as np
import torch
from torch import nn

np.random.seed(0)
torch.manual_seed(0)
true_A = torch.tensor([[-0.1, 2.0], [-2.0, -0.1]])


class ODEFunc(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 50), nn.Tanh(), nn.Linear(50, 2))
        for m in self.net.modules():
            if isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, mean=0, std=0.1)
                nn.init.constant_(m.bias, val=0)

    def forward(self, t, y):
        return self.net(y**3)


def odeint(func, y, steps, h):
    path = [y]
    for i in range(steps):
        k1 = func(i * h, y)
        k2 = func(i * h, y + h / 2 * k1)
        k3 = func(i * h, y + h / 2 * k2)
        k4 = func(i * h, y + h * k3)
        y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        path.append(y)
    return torch.stack(path)


class Lambda(nn.Module):
    def forward(self, t, y):
        return torch.mm(y**3, true_A)


with torch.no_grad():
    true_y = odeint(Lambda(), torch.tensor([[2.0, 0.0]]), 200, 0.025)
func = ODEFunc()
optimizer = torch.optim.RMSprop(func.parameters(), lr=3e-3)
for itr in range(1, 31):
    s = torch.from_numpy(np.random.choice(np.arange(190, dtype=np.int64), 20, replace=False))
    batch_y0 = true_y[s]
    batch_y = torch.stack([true_y[s + i] for i in range(11)], dim=0)
    optimizer.zero_grad()
    loss = torch.mean(torch.abs(odeint(func, batch_y0, 10, 0.025) - batch_y))
    loss.backward()
    optimizer.step()
    if itr % 10 == 0:
        print(itr, loss.item())
