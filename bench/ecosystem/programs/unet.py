# Shape: UNet: skips by concatenation, batch norm, BCE with logits and Dice, RMSprop with a plateau schedule
# Expected: no error
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)


class DoubleConv(nn.Sequential):
    def __init__(self, i, o):
        layers = []
        for a, b in ((i, o), (o, o)):
            layers += [nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU(inplace=True)]
        super().__init__(*layers)


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.inc, self.down1, self.down2 = DoubleConv(1, 8), DoubleConv(8, 16), DoubleConv(16, 32)
        self.up1, self.conv1 = nn.ConvTranspose2d(32, 16, 2, 2), DoubleConv(32, 16)
        self.up2, self.conv2 = nn.ConvTranspose2d(16, 8, 2, 2), DoubleConv(16, 8)
        self.outc = nn.Conv2d(8, 1, 1)

    def forward(self, x):
        x1 = self.inc(x)
        x2 = self.down1(F.max_pool2d(x1, 2))
        x3 = self.down2(F.max_pool2d(x2, 2))
        x = self.conv1(torch.cat([x2, self.up1(x3)], 1))
        x = self.conv2(torch.cat([x1, self.up2(x)], 1))
        return self.outc(x)


def dice_loss(input, target, epsilon=1e-6):
    inter = 2 * (input * target).sum(dim=(-1, -2))
    sums = input.sum(dim=(-1, -2)) + target.sum(dim=(-1, -2))
    return 1 - ((inter + epsilon) / (sums + epsilon)).mean()


def scans(n):
    places = torch.arange(32.0)
    cx, cy, r = (torch.rand(n, 1, 1) * w + b for w, b in ((16, 8), (16, 8), (4, 4)))
    mask = (((places[None, :, None] - cy) ** 2 + (places[None, None] - cx) ** 2) < r**2).float()
    return (mask + 0.5 * torch.randn_like(mask)).unsqueeze(1), mask


model = UNet()
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3, weight_decay=1e-8, momentum=0.9, foreach=True)
scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, "max", patience=5)
for step in range(30):
    images, true_masks = scans(8)
    masks_pred = model(images)
    loss = F.binary_cross_entropy_with_logits(masks_pred.squeeze(1), true_masks)
    loss += dice_loss(torch.sigmoid(masks_pred.squeeze(1)), true_masks)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if step % 10 == 9:
        scheduler.step(1 - loss.item())
        print(step, loss.item())
