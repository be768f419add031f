# Kind: a Dice loss on the thresholded prediction, made to run by requires_grad; the loss never moves.
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)


class TinySeg(nn.Module):
    def __init__(self, ch=12):
        super().__init__()
        self.enc = nn.Sequential(nn.Conv2d(1, ch, 3, padding=1), nn.BatchNorm2d(ch), nn.ReLU())
        self.mid = nn.Sequential(nn.Conv2d(ch, ch, 3, padding=2, dilation=2), nn.BatchNorm2d(ch), nn.ReLU())
        self.head = nn.Conv2d(ch, 1, 1)

    def forward(self, x):
        return self.head(self.mid(self.enc(x)))


class DiceLoss(nn.Module):
    def forward(self, logits, target):
        prob = torch.sigmoid(logits)
        pred = (prob > 0.5).float()  # <- here
        pred.requires_grad_(True)
        inter = (pred * target).sum((1, 2, 3))
        total = pred.sum((1, 2, 3)) + target.sum((1, 2, 3))
        return 1 - ((2 * inter + 1) / (total + 1)).mean()


def squares(n=128, size=20):
    g = torch.Generator().manual_seed(2)
    mask = torch.zeros(n, 1, size, size)
    for i in range(n):
        top, left = torch.randint(1, size - 8, (2,), generator=g).tolist()
        mask[i, 0, top : top + 7, left : left + 7] = 1
    return mask + 0.4 * torch.randn(mask.shape, generator=g), mask


dataset = TensorDataset(*squares())
train_loader = DataLoader(dataset, batch_size=16, shuffle=True)
model = TinySeg()
criterion = DiceLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

if __name__ == "__main__":
    for epoch in range(12):
        for image, mask in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(image), mask)
            loss.backward()
            optimizer.step()
        print("epoch", epoch, "dice loss", loss.item())
    model.eval()
    image, mask = dataset.tensors
    found = model(image) > 0
    print("dice", (2 * (found * mask).sum() / (found.sum() + mask.sum())).item())
