# softmax_wrong_dim, mended: over dim 1, the classes.
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(20, 64)
        self.fc2 = nn.Linear(64, 5)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        return F.log_softmax(self.fc2(x), dim=1)


def unbalanced(n=2000):
    """Five classes, the first of them six in ten."""
    g = torch.Generator().manual_seed(0)
    label = torch.randint(0, 10, (n,), generator=g).clamp(max=9)
    label = torch.where(label < 6, 0, label - 5)
    centre = 1.2 * torch.randn(5, 20, generator=g)
    return centre[label] + torch.randn(n, 20, generator=g), label


torch.manual_seed(0)
x, y = unbalanced()
train_loader = DataLoader(TensorDataset(x, y), batch_size=64, shuffle=True)
model = Net()
criterion = nn.NLLLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

if __name__ == "__main__":
    for epoch in range(15):
        for xb, yb in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(xb), yb)
            loss.backward()
            optimizer.step()
        print(epoch, loss.item())
    with torch.no_grad():
        one_by_one = torch.cat([model(row[None]) for row in x[:500]])
    print("accuracy", (one_by_one.argmax(1) == y[:500]).float().mean().item())
