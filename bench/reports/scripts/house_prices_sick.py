# Kind: targets in the hundreds of thousands, as they are: Adam needs hundreds of epochs to come near their mean.
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


def houses(n=1000):
    g = torch.Generator().manual_seed(0)
    features = torch.randn(n, 8, generator=g)
    price = 250_000 + 60_000 * features[:, 0] + 40_000 * features[:, 1] * features[:, 2].sign()
    return features, price[:, None]


class PriceNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(8, 64)
        self.fc2 = nn.Linear(64, 64)
        self.fc3 = nn.Linear(64, 1)

    def forward(self, x):
        x = torch.relu(self.fc1(x))
        x = torch.relu(self.fc2(x))
        return self.fc3(x)


torch.manual_seed(0)
X, y = houses()
train_loader = DataLoader(TensorDataset(X, y), batch_size=50, shuffle=True)
model = PriceNet()
criterion = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)


def main():
    for epoch in range(40):
        for xb, yb in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(xb), yb)
            loss.backward()
            optimizer.step()
        if epoch % 10 == 0:
            print("epoch", epoch, "loss", loss.item())
    with torch.no_grad():
        print("r2", 1 - criterion(model(X), y).item() / y.var().item())


if __name__ == "__main__":
    main()
