# loss_item, mended: the losses themselves are added up.
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

X, y = load_digits(return_X_y=True)
dataset = TensorDataset(torch.tensor(X, dtype=torch.float32) / 16, torch.tensor(y))
loader = DataLoader(dataset, batch_size=100, shuffle=True)


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(64, 64), nn.ReLU())
        self.digit = nn.Linear(64, 10)
        self.parity = nn.Linear(64, 2)

    def forward(self, x):
        h = self.body(x)
        return self.digit(h), self.parity(h)


cross_entropy = nn.CrossEntropyLoss()


def total_loss(outputs, labels):
    digit, parity = outputs
    first = cross_entropy(digit, labels)
    second = cross_entropy(parity, labels % 2)
    return first + second


def main():
    torch.manual_seed(0)
    model = TwoHeads()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for epoch in range(8):
        for inputs, labels in loader:
            optimizer.zero_grad()
            loss = total_loss(model(inputs), labels)
            loss.backward()
            optimizer.step()
        print("Epoch", epoch, loss.item())
    digit, _ = model(dataset.tensors[0])
    print("accuracy", (digit.argmax(1) == dataset.tensors[1]).float().mean().item())


if __name__ == "__main__":
    main()
