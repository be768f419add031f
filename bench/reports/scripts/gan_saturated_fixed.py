# gan_saturated, mended: the generator maximises log D (by logits), and both learn at one pace.
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 2))

    def forward(self, z):
        return self.net(z)


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))

    def forward(self, x):
        return self.net(x)


real_data = torch.randn(1500, 2) * 0.5 + torch.tensor([12.0, -9.0])
loader = DataLoader(TensorDataset(real_data), batch_size=50, shuffle=True)
G, D = Generator(), Discriminator()
opt_g = torch.optim.Adam(G.parameters(), lr=1e-3, betas=(0.5, 0.999))
opt_d = torch.optim.Adam(D.parameters(), lr=1e-3, betas=(0.5, 0.999))
bce = nn.functional.binary_cross_entropy_with_logits

if __name__ == "__main__":
    for epoch in range(40):
        for (real,) in loader:
            fake = G(torch.randn(len(real), 4))
            loss_d = (bce(D(real), torch.ones(len(real), 1)) + bce(D(fake.detach()), torch.zeros(len(real), 1))) / 2
            opt_d.zero_grad()
            loss_d.backward()
            opt_d.step()
            loss_g = bce(D(fake), torch.ones(len(real), 1))
            opt_g.zero_grad()
            loss_g.backward()
            opt_g.step()
        if epoch % 10 == 0:
            print(epoch, "D", loss_d.item(), "G", loss_g.item())
    with torch.no_grad():
        distance = (G(torch.randn(500, 4)).mean(0) - real_data.mean(0)).norm().item()
    print("closeness", 1 - distance / 15)
