# Shape: super resolution: sub-pixel convolution, orthogonal weights, MSE and PSNR, whole model saved
# Expected: no error
from math import log10

import torch
import torch.nn as nn
import torch.nn.init as init
import torch.optim as optim

torch.manual_seed(123)


class Net(nn.Module):
    def __init__(self, upscale_factor):
        super().__init__()
        self.relu = nn.ReLU()
        self.conv1 = nn.Conv2d(1, 16, (5, 5), (1, 1), (2, 2))
        self.conv2 = nn.Conv2d(16, 16, (3, 3), (1, 1), (1, 1))
        self.conv3 = nn.Conv2d(16, 8, (3, 3), (1, 1), (1, 1))
        self.conv4 = nn.Conv2d(8, upscale_factor**2, (3, 3), (1, 1), (1, 1))
        self.pixel_shuffle = nn.PixelShuffle(upscale_factor)
        for conv in (self.conv1, self.conv2, self.conv3):
            init.orthogonal_(conv.weight, init.calculate_gain("relu"))
        init.orthogonal_(self.conv4.weight)

    def forward(self, x):
        x = self.relu(self.conv1(x))
        x = self.relu(self.conv2(x))
        x = self.relu(self.conv3(x))
        return self.pixel_shuffle(self.conv4(x))


def pictures(n):
    places = torch.linspace(0, 6, 24)
    shift, pace = 6 * torch.rand(n, 1, 1), 0.5 + torch.rand(n, 1, 1)
    return (0.5 + 0.25 * (torch.sin(pace * places[None, :, None] + shift) + torch.cos(pace * places[None, None] - shift))).unsqueeze(1)


model = Net(upscale_factor=3)
criterion = nn.MSELoss()
optimizer = optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(1, 4):
    for iteration in range(1, 17):
        target = pictures(8)
        input = nn.functional.avg_pool2d(target, 3)
        optimizer.zero_grad()
        loss = criterion(model(input), target)
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        target = pictures(16)
        mse = criterion(model(nn.functional.avg_pool2d(target, 3)), target)
    print(f"===> Epoch {epoch}: Loss: {loss.item():.5f} PSNR: {10 * log10(1 / mse.item()):.4f} dB")
    torch.save(model, f"model_epoch_{epoch}.pth")
