# Shape: diffusion: noise predicted at random times, sinusoidal time embedding, EMA of the weights, sampling at the end
# Expected: no error
import copy
import math

import torch
from torch import nn

torch.manual_seed(0)
steps = 50
betas = torch.linspace(1e-4, 0.1, steps)
alphas = 1 - betas
bars = torch.cumprod(alphas, 0)


def embedding(t, dim=16):
    frequencies = torch.exp(-math.log(1000) * torch.arange(dim // 2) / (dim // 2))
    angles = t[:, None].float() * frequencies[None]
    return torch.cat([angles.sin(), angles.cos()], 1)


class Denoiser(nn.Module):
    def __init__(self):
        super().__init__()
        self.time = nn.Sequential(nn.Linear(16, 64), nn.SiLU(), nn.Linear(64, 64))
        self.inp = nn.Linear(2, 64)
        self.mid = nn.ModuleList(nn.Sequential(nn.LayerNorm(64), nn.SiLU(), nn.Linear(64, 64)) for _ in range(3))
        self.out = nn.Linear(64, 2)

    def forward(self, x, t):
        h = self.inp(x) + self.time(embedding(t))
        for block in self.mid:
            h = h + block(h)
        return self.out(h)


model = Denoiser()
ema = copy.deepcopy(model).requires_grad_(False)
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
for step in range(100):
    angle = 2 * math.pi * torch.rand(128)
    x0 = torch.stack([angle.cos(), angle.sin()], 1)
    t = torch.randint(0, steps, (128,))
    noise = torch.randn_like(x0)
    xt = bars[t].sqrt()[:, None] * x0 + (1 - bars[t]).sqrt()[:, None] * noise
    loss = nn.functional.mse_loss(model(xt, t), noise)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    with torch.no_grad():
        for slow, fast in zip(ema.parameters(), model.parameters()):
            slow.lerp_(fast, 0.05)
    if step % 20 == 0:
        print(step, loss.item())
with torch.no_grad():
    x = torch.randn(64, 2)
    for t in reversed(range(steps)):
        eps = ema(x, torch.full((64,), t))
        x = (x - betas[t] / (1 - bars[t]).sqrt() * eps) / alphas[t].sqrt()
        if t:
            x = x + betas[t].sqrt() * torch.randn_like(x)
    print(x.norm(dim=1).mean().item())
