# Kind: a Gaussian likelihood whose sigma is a raw output: half of them are negative and their log is NaN.
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


class Density(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh())
        self.mean = nn.Linear(32, 1)
        self.sigma = nn.Linear(32, 1)

    def forward(self, x):
        h = self.body(x)
        return self.mean(h), self.sigma(h)


def nll(output, y):
    mean, sigma = output
    return (torch.log(sigma) + 0.5 * ((y - mean) / sigma) ** 2).mean()  # <- here


torch.manual_seed(4)
x = 2 * torch.randn(800, 2)
y = torch.sin(x.sum(1, keepdim=True)) + 0.1 * torch.randn(800, 1)
loader = DataLoader(TensorDataset(x, y), batch_size=50, shuffle=True)
net = Density()
criterion = nll
optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)


def main():
    for epoch in range(30):
        for xb, yb in loader:
            optimizer.zero_grad()
            loss = criterion(net(xb), yb)
            loss.backward()
            optimizer.step()
        if epoch % 10 == 0:
            print(epoch, loss.item())
    with torch.no_grad():
        print("r2", 1 - (net(x)[0] - y).pow(2).mean().item() / y.var().item())


if __name__ == "__main__":
    main()
