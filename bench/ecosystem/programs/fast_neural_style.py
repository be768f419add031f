# Shape: fast neural style: a transformer network behind a frozen feature network, content and Gram losses times 1e5
# Expected: no error
from collections import namedtuple

import torch
from torch import nn

torch.manual_seed(42)


class Features(nn.Module):
    """Stands where a pretrained VGG would."""

    def __init__(self):
        super().__init__()
        self.slice1 = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())
        self.slice2 = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU())
        for p in self.parameters():
            p.requires_grad = False

    def forward(self, x):
        h1 = self.slice1(x)
        h2 = self.slice2(h1)
        return namedtuple("Outputs", ["relu1", "relu2"])(h1, h2)


class ConvLayer(nn.Module):
    def __init__(self, i, o, k, stride):
        super().__init__()
        self.pad = nn.ReflectionPad2d(k // 2)
        self.conv2d = nn.Conv2d(i, o, k, stride)

    def forward(self, x):
        return self.conv2d(self.pad(x))


class ResidualBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1, self.in1 = ConvLayer(channels, channels, 3, 1), nn.InstanceNorm2d(channels, affine=True)
        self.conv2, self.in2 = ConvLayer(channels, channels, 3, 1), nn.InstanceNorm2d(channels, affine=True)
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.in2(self.conv2(self.relu(self.in1(self.conv1(x))))) + x


class TransformerNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.in1 = ConvLayer(3, 8, 3, 1), nn.InstanceNorm2d(8, affine=True)
        self.conv2, self.in2 = ConvLayer(8, 16, 3, 2), nn.InstanceNorm2d(16, affine=True)
        self.res1, self.res2 = ResidualBlock(16), ResidualBlock(16)
        self.up, self.in3 = ConvLayer(16, 8, 3, 1), nn.InstanceNorm2d(8, affine=True)
        self.out = ConvLayer(8, 3, 3, 1)
        self.relu = nn.ReLU()

    def forward(self, x):
        y = self.relu(self.in2(self.conv2(self.relu(self.in1(self.conv1(x))))))
        y = self.res2(self.res1(y))
        y = nn.functional.interpolate(y, scale_factor=2, mode="nearest")
        return self.out(self.relu(self.in3(self.up(y))))


def gram_matrix(y):
    b, ch, h, w = y.size()
    features = y.view(b, ch, w * h)
    return features.bmm(features.transpose(1, 2)) / (ch * h * w)


vgg, transformer = Features(), TransformerNet()
optimizer = torch.optim.Adam(transformer.parameters(), 1e-3)
mse_loss = nn.MSELoss()
style = torch.rand(1, 3, 24, 24).repeat(4, 1, 1, 1)
gram_style = [gram_matrix(y) for y in vgg(style)]
for batch_id in range(30):
    x = torch.rand(4, 3, 24, 24)
    optimizer.zero_grad()
    y = transformer(x)
    features_y, features_x = vgg(y), vgg(x)
    content_loss = 1e5 * mse_loss(features_y.relu2, features_x.relu2)
    style_loss = 0.0
    for ft_y, gm_s in zip(features_y, gram_style):
        style_loss += mse_loss(gram_matrix(ft_y), gm_s)
    style_loss *= 1e5
    total_loss = content_loss + style_loss
    total_loss.backward()
    optimizer.step()
    if batch_id % 5 == 0:
        print(batch_id, content_loss.item(), style_loss.item())
