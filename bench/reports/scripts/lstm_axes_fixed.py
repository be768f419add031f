# lstm_axes, mended: batch_first=True.
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


class Forecast(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.lstm = nn.LSTM(1, hidden, batch_first=True)
        self.fc = nn.Linear(hidden, 1)

    def forward(self, x):
        out, _ = self.lstm(x)
        return self.fc(out[:, -1, :])


def windows(n=1000, length=12):
    """How many of the readings lay above zero? The last one tells little of it."""
    g = torch.Generator().manual_seed(0)
    x = torch.randn(n, length, 1, generator=g)
    y = (x > 0).float().sum(1)
    return x, (y - y.mean()) / y.std()


torch.manual_seed(0)
x, y = windows()
train_loader = DataLoader(TensorDataset(x, y), batch_size=32, shuffle=True)
model = Forecast()
criterion = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)

if __name__ == "__main__":
    for epoch in range(15):
        errors = []
        for xb, yb in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(xb), yb)
            loss.backward()
            optimizer.step()
            errors.append(loss.item())
        print(epoch, loss.item())
    print("r2", 1 - sum(errors) / len(errors))
