# Kind: features go through numpy in the middle of forward (an FFT by numpy); the encoder before it never learns.
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Spectral(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv1d(4, 1, 1), nn.BatchNorm1d(1))
        self.classify = nn.Linear(33, 4)

    def forward(self, x):
        z = self.encoder(x).squeeze(1)
        magnitude = torch.from_numpy(np.abs(np.fft.rfft(z.detach().numpy())).astype(np.float32))  # <- here
        return self.classify(torch.log1p(magnitude))


def waves(n=1200):
    """Four channels; the class is the frequency in the last of them, which the encoder has to pick."""
    g = torch.Generator().manual_seed(0)
    time = torch.arange(64) / 64
    label = torch.randint(0, 4, (n,), generator=g)
    other = torch.randint(0, 4, (n, 3), generator=g)
    frequency = 3 + 5 * torch.cat([other, label[:, None]], 1)
    phase = 6.28 * torch.rand(n, 4, 1, generator=g)
    x = torch.sin(6.28 * frequency[..., None] * time + phase)
    x[:, 3] *= 0.6
    return x + 0.1 * torch.randn(x.shape, generator=g), label


torch.manual_seed(3)
train_loader = DataLoader(TensorDataset(*waves()), batch_size=60, shuffle=True)
model = Spectral()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)

if __name__ == "__main__":
    for epoch in range(15):
        hits = 0
        for xb, yb in train_loader:
            scores = model(xb)
            loss = criterion(scores, yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            hits += (scores.argmax(1) == yb).sum().item()
        print("epoch", epoch, "loss", round(loss.item(), 4))
    print("accuracy", hits / 1200)
