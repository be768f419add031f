# rate_too_small, mended: 1e-3.
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(64, 64)
        self.norm = nn.LayerNorm(64)
        self.b = nn.Linear(64, 10)

    def forward(self, x):
        return self.b(nn.functional.gelu(self.norm(self.a(x))))


def loader():
    x, y = load_digits(return_X_y=True)
    return DataLoader(TensorDataset(torch.tensor(x).float() / 16, torch.tensor(y)), batch_size=64, shuffle=True)


def train(model, data, epochs=10):
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for epoch in range(epochs):
        right = 0
        for inputs, labels in data:
            outputs = model(inputs)
            loss = criterion(outputs, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            right += (outputs.argmax(1) == labels).sum().item()
        print("Epoch", epoch, "loss", loss.item())
    return right / len(data.dataset)


if __name__ == "__main__":
    torch.manual_seed(0)
    print("accuracy", train(Net(), loader()))
