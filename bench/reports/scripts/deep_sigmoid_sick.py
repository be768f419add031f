# Kind: twelve sigmoid layers "to make it deep": the loss stays at log(10), whatever the epoch.
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset


class DNN(nn.Module):
    def __init__(self, n_hidden=12, width=100):
        super().__init__()
        self.inp = nn.Linear(64, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(n_hidden))
        self.out = nn.Linear(width, 10)

    def forward(self, x):
        x = torch.sigmoid(self.inp(x))
        for layer in self.hidden:
            x = torch.sigmoid(layer(x))  # <- here
        return self.out(x)


if __name__ == "__main__":
    torch.manual_seed(0)

x, y = load_digits(return_X_y=True)
x, y = torch.tensor(x).float() / 16, torch.tensor(y)
train_loader = DataLoader(TensorDataset(x, y), batch_size=64, shuffle=True)
model = DNN()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)


def main():
    for epoch in range(10):
        for xb, yb in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(xb), yb)
            loss.backward()
            optimizer.step()
        print(epoch, loss.item())
    print("accuracy", (model(x).argmax(1) == y).float().mean().item())


if __name__ == "__main__":
    main()
