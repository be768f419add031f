# Kind: a loss that is summed over every pixel of the batch, at a rate that suits a mean: SGD leaps and ends in NaN.
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Upscale(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 4, 3, padding=1), nn.PixelShuffle(2)
        )

    def forward(self, x):
        return self.net(x)


torch.manual_seed(0)
large = torch.tensor(load_digits().images).float()[:, None] / 8 - 1
small = nn.functional.avg_pool2d(large, 2)
train_loader = DataLoader(TensorDataset(small, large), batch_size=32, shuffle=True)
model = Upscale()
criterion = nn.MSELoss(reduction="sum")  # <- here
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)  # <- here

if __name__ == "__main__":
    for epoch in range(8):
        for x, y in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
        print(epoch, loss.item())
    with torch.no_grad():
        print("r2", 1 - (model(small) - large).pow(2).mean().item() / large.var(0).mean().item())
