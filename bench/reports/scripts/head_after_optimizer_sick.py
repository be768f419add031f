# Kind: fine-tuning: the new head is put in after the optimizer was made, and the body is frozen: nothing learns.
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

X, y = load_digits(return_X_y=True)
X = torch.tensor(X).float() / 16
y = torch.tensor(y)


class Backbone(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU())
        self.fc = nn.Linear(128, classes)

    def forward(self, x):
        return self.fc(self.body(x))


def build_model():
    """Stands for a pretrained one of a thousand classes."""
    torch.manual_seed(0)
    model = Backbone(1000)
    for p in model.parameters():
        p.requires_grad = False
    return model


def make_loader():
    return DataLoader(TensorDataset(X, y), batch_size=64, shuffle=True)


if __name__ == "__main__":
    model = build_model()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)  # <- here
    model.fc = nn.Linear(128, 10)  # <- here
    criterion = nn.CrossEntropyLoss()
    for epoch in range(10):
        for inputs, targets in make_loader():
            optimizer.zero_grad()
            loss = criterion(model(inputs), targets)
            loss.backward()
            optimizer.step()
        print("epoch", epoch, loss.item())
    print("accuracy", (model(X).argmax(1) == y).float().mean().item())
