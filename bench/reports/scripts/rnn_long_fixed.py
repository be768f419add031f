# rnn_long, mended: the greatest of all states, so that the first one has a short way to the loss.
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Memory(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.rnn = nn.RNN(3, hidden, batch_first=True)
        self.out = nn.Linear(hidden, 4)

    def forward(self, x):
        states, _ = self.rnn(x)
        return self.out(states.amax(1))


def sequences(n=600, length=400):
    """The first step carries two signs; all that follows is noise. Which of the four was it?"""
    g = torch.Generator().manual_seed(0)
    label = torch.randint(0, 4, (n,), generator=g)
    x = 0.1 * torch.randn(n, length, 3, generator=g)
    x[:, 0, 0] = 3.0 * (2 * (label % 2) - 1)
    x[:, 0, 1] = 3.0 * (2 * (label // 2) - 1)
    return x, label


torch.manual_seed(0)
x, y = sequences()
train_loader = DataLoader(TensorDataset(x, y), batch_size=50, shuffle=True)
model = Memory()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

if __name__ == "__main__":
    for epoch in range(6):
        for xb, yb in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(xb), yb)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        print(epoch, loss.item())
    with torch.no_grad():
        print("accuracy", (model(x).argmax(1) == y).float().mean().item())
