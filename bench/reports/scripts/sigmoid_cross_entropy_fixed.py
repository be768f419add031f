# sigmoid_cross_entropy, mended: raw class scores into cross_entropy.
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

CLASSES = 30


class Head(nn.Module):
    """Box features to class scores."""

    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(40, 128), nn.BatchNorm1d(128), nn.LeakyReLU(0.1))
        self.cls = nn.Linear(128, CLASSES)

    def forward(self, x):
        x = self.trunk(x)
        return self.cls(x)


def boxes(n=3000):
    g = torch.Generator().manual_seed(5)
    centre = torch.randn(CLASSES, 40, generator=g)
    kind = torch.randint(0, CLASSES, (n,), generator=g)
    return centre[kind] + 1.2 * torch.randn(n, 40, generator=g), kind


torch.manual_seed(0)
model = Head()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
dataset = TensorDataset(*boxes())
dataloader = DataLoader(dataset, batch_size=100, shuffle=True)
criterion = F.cross_entropy


def main():
    for epoch in range(6):
        for features, targets in dataloader:
            loss = criterion(model(features), targets)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        print(f"[epoch {epoch}] [class loss {loss.item():.3f}]")
    model.eval()
    with torch.no_grad():
        probability = F.softmax(model(dataset.tensors[0]), dim=1)
    print("confidence", probability.gather(1, dataset.tensors[1][:, None]).mean().item())


if __name__ == "__main__":
    main()
