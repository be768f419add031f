# Kind: batch norm over a batch of two (memory was short): each feature is plus or minus one, whatever it was.
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

Norm = nn.BatchNorm1d


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(64, 32), Norm(32), nn.ReLU(),  # <- here
            nn.Linear(32, 32), Norm(32), nn.ReLU(),  # <- here
            nn.Linear(32, 32), Norm(32), nn.ReLU(),  # <- here
            nn.Linear(32, 10),
        )

    def forward(self, x):
        return self.layers(x)


x, y = load_digits(return_X_y=True)
x, y = torch.tensor(x).float() / 16, torch.tensor(y)
train_loader = DataLoader(TensorDataset(x, y), batch_size=2, shuffle=True, drop_last=True)


def main():
    torch.manual_seed(0)
    model = Net()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for epoch in range(2):
        model.train()
        for xb, yb in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(xb), yb)
            loss.backward()
            optimizer.step()
        print("epoch", epoch, loss.item())
    model.eval()
    print("accuracy", (model(x).argmax(1) == y).float().mean().item())


if __name__ == "__main__":
    main()
