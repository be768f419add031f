# Shape: variational autoencoder on 28 x 28 pictures, summed BCE and KL
# Expected: no error
import torch
from torch import nn, optim
from torch.nn import functional as F

torch.manual_seed(1)


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(784, 400)
        self.fc21 = nn.Linear(400, 20)
        self.fc22 = nn.Linear(400, 20)
        self.fc3 = nn.Linear(20, 400)
        self.fc4 = nn.Linear(400, 784)

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        return mu + torch.randn_like(std) * std

    def decode(self, z):
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z))))

    def forward(self, x):
        mu, logvar = self.encode(x.view(-1, 784))
        return self.decode(self.reparameterize(mu, logvar)), mu, logvar


def loss_function(recon_x, x, mu, logvar):
    BCE = F.binary_cross_entropy(recon_x, x.view(-1, 784), reduction="sum")
    KLD = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return BCE + KLD


def pictures(n):
    rows = torch.arange(28.0)
    cx, cy, r = (torch.rand(n, 1, 1) * w + b for w, b in ((14, 7), (14, 7), (5, 3)))
    return (((rows[:, None] - cy) ** 2 + (rows[None] - cx) ** 2) < r**2).float().unsqueeze(1)


model = VAE()
optimizer = optim.Adam(model.parameters(), lr=1e-3)
data = pictures(1280).split(128)
for epoch in range(1, 6):
    train_loss = 0
    for batch in data:
        optimizer.zero_grad()
        recon, mu, logvar = model(batch)
        loss = loss_function(recon, batch, mu, logvar)
        loss.backward()
        train_loss += loss.item()
        optimizer.step()
    print(f"====> Epoch: {epoch} Average loss: {train_loss / 1280:.4f}")
    with torch.no_grad():
        sample = model.decode(torch.randn(4, 20))
        print(sample.mean().item())
