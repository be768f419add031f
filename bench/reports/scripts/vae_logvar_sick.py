# Kind: a VAE on unscaled pixels whose exp(logvar) overflows: the KL term is inf, then everything NaN.
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class VAE(nn.Module):
    def __init__(self, latent=8):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 128), nn.ReLU())
        self.mu = nn.Linear(128, latent)
        self.logvar = nn.Linear(128, latent)
        self.decoder = nn.Sequential(nn.Linear(latent, 128), nn.ReLU(), nn.Linear(128, 64))

    def forward(self, x):
        h = self.encoder(x)
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)  # <- here
        return self.decoder(z), mu, logvar


def vae_loss(output, x):
    reconstruction, mu, logvar = output
    kl = -0.5 * (1 + logvar - mu.pow(2) - logvar.exp()).sum(1).mean()  # <- here
    return ((reconstruction - x) ** 2).sum(1).mean() + kl


torch.manual_seed(0)
pixels = torch.tensor(load_digits().data).float() * 16 * 16
train_loader = DataLoader(TensorDataset(pixels, pixels), batch_size=64, shuffle=True)
model = VAE()
loss_fn = vae_loss
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

if __name__ == "__main__":
    for epoch in range(12):
        for x, target in train_loader:
            optimizer.zero_grad()
            loss = loss_fn(model(x), target)
            loss.backward()
            optimizer.step()
        print(epoch, loss.item())
    with torch.no_grad():
        rebuilt = model(pixels)[0]
    print("r2", 1 - ((rebuilt - pixels) ** 2).mean().item() / pixels.var(0).mean().item())
