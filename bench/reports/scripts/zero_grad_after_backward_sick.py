# Kind: zero_grad stands between backward and step, so that each step has nothing to go by.
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 10))

    def forward(self, x):
        return self.net(x)


def get_data():
    x, y = load_digits(return_X_y=True)
    return DataLoader(TensorDataset(torch.tensor(x).float() / 16, torch.tensor(y)), batch_size=64, shuffle=True)


def main():
    torch.manual_seed(0)
    model, loader = MLP(), get_data()
    loss_function = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for epoch in range(10):
        correct = 0
        for x, y in loader:
            out = model(x)
            loss = loss_function(out, y)
            loss.backward()
            optimizer.zero_grad()  # <- here
            optimizer.step()  # <- here
            correct += (out.argmax(1) == y).sum().item()
        print(f"epoch {epoch} loss {loss.item():.4f}")
    print("accuracy", correct / 1797)


if __name__ == "__main__":
    main()
