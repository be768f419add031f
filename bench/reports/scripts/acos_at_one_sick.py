# Kind: an angle by acos of a clamped cosine: where two vectors agree the slope is infinite and the gradient NaN.
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Aim(nn.Module):
    """Turns a reading into a direction; starts as the identity, so that samples without a turn are right already."""

    def __init__(self):
        super().__init__()
        self.turn = nn.Linear(2, 2, bias=False)
        nn.init.eye_(self.turn.weight)

    def forward(self, x):
        return nn.functional.normalize(self.turn(x), dim=1)


def angle_loss(direction, target):
    cosine = (direction * target).sum(1).clamp(-1, 1)
    return torch.acos(cosine).mean()  # <- here


def readings(n=800):
    g = torch.Generator().manual_seed(0)
    x = nn.functional.normalize(torch.randn(n, 2, generator=g), dim=1)
    x[:8] = torch.tensor([1.0, 0.0])
    shear = torch.tensor([[1.0, 0.0], [0.8, 1.0]])
    return x, nn.functional.normalize(x @ shear, dim=1)


torch.manual_seed(0)
x, y = readings()
loader = DataLoader(TensorDataset(x, y), batch_size=100)
model = Aim()
criterion = angle_loss
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)

if __name__ == "__main__":
    for epoch in range(30):
        for reading, direction in loader:
            optimizer.zero_grad()
            loss = criterion(model(reading), direction)
            loss.backward()
            optimizer.step()
        if epoch % 5 == 0:
            print(epoch, loss.item())
    print("cosine", (model(x) * y).sum(1).mean().item())
