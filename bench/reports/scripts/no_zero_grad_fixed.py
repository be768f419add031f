# no_zero_grad, mended: zero_grad before each backward.
import torch
import torch.nn as nn
from sklearn.datasets import load_diabetes
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x, y = load_diabetes(return_X_y=True, scaled=False)
x = torch.tensor((x - x.mean(0)) / x.std(0), dtype=torch.float32)
y = torch.tensor((y - y.mean()) / y.std(), dtype=torch.float32)[:, None]
loader = DataLoader(TensorDataset(x, y), batch_size=26, shuffle=True)


class Regressor(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(10, 64), nn.Tanh(), nn.Linear(64, 1))

    def forward(self, x):
        return self.layers(x)


model = Regressor()
criterion = nn.MSELoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.03)

if __name__ == "__main__":
    for epoch in range(20):
        for xb, yb in loader:
            optimizer.zero_grad()
            loss = criterion(model(xb), yb)
            loss.backward()
            optimizer.step()
        print("epoch", epoch, "loss", loss.item())
    with torch.no_grad():
        print("r2", 1 - criterion(model(x), y).item() / y.var().item())
