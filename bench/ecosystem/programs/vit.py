# Shape: vision transformer over (batch, patches, features), batch_first
# Expected: no error
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class ViT(nn.Module):
    def __init__(self, dim=32, patches=9, classes=9):
        super().__init__()
        self.patch = nn.Linear(16, dim)
        self.position = nn.Parameter(0.5 * torch.randn(1, patches + 1, dim))
        self.token = nn.Parameter(torch.zeros(1, 1, dim))
        layer = nn.TransformerEncoderLayer(dim, 4, 64, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(dim, classes)

    def forward(self, images):
        tiles = images.unfold(1, 4, 4).unfold(2, 4, 4).reshape(len(images), 9, 16)
        x = torch.cat([self.token.expand(len(images), -1, -1), self.patch(tiles)], 1) + self.position
        return self.head(self.encoder(x)[:, 0])


torch.manual_seed(0)
y = torch.randint(0, 9, (1280,))
images = 0.3 * torch.randn(1280, 12, 12)
for i, k in enumerate(y.tolist()):
    images[i, 4 * (k // 3) : 4 * (k // 3) + 4, 4 * (k % 3) : 4 * (k % 3) + 4] += 2.5
model = ViT()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
for epoch in range(5):
    right = 0
    for x, target in DataLoader(TensorDataset(images, y), 64, shuffle=True):
        out = model(x)
        loss = nn.functional.cross_entropy(out, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        right += (out.argmax(1) == target).sum().item()
    print(epoch, loss.item(), right / 1280)
