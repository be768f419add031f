# bf16_weights, mended: weights in float32, the products under autocast.
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(64, 256)
        self.b = nn.Linear(256, 10)
        for p in self.parameters():
            nn.init.normal_(p, std=0.3 if p.dim() > 1 else 0.1)

    def forward(self, x):
        return self.b(torch.tanh(self.a(x)))


torch.manual_seed(0)
x, y = load_digits(return_X_y=True)
x, y = torch.tensor(x).float() / 16, torch.tensor(y)
loader = DataLoader(TensorDataset(x, y), batch_size=64, shuffle=True)
model = Net()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=3e-3)


def main():
    for epoch in range(30):
        for xb, yb in loader:
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16):
                loss = criterion(model(xb), yb)
            loss.backward()
            optimizer.step()
        if epoch % 5 == 0:
            print(epoch, loss.item())
    print("accuracy", (model(x).argmax(1) == y).float().mean().item())


if __name__ == "__main__":
    main()
