# Shape: WGAN with gradient penalty: autograd.grad with create_graph, five critic steps to one of the generator
# Expected: no error
import numpy as np
import torch
import torch.autograd as autograd
import torch.nn as nn

np.random.seed(0)
torch.manual_seed(0)
generator = nn.Sequential(nn.Linear(4, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 2))
critic = nn.Sequential(nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))
optimizer_G = torch.optim.Adam(generator.parameters(), lr=5e-4, betas=(0.5, 0.9))
optimizer_D = torch.optim.Adam(critic.parameters(), lr=5e-4, betas=(0.5, 0.9))


def compute_gradient_penalty(D, real, fake):
    alpha = torch.tensor(np.random.random((real.size(0), 1)), dtype=torch.float32)
    inter = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
    d = D(inter)
    gradients = autograd.grad(
        outputs=d, inputs=inter, grad_outputs=torch.ones_like(d), create_graph=True, retain_graph=True, only_inputs=True
    )[0]
    return ((gradients.norm(2, dim=1) - 1) ** 2).mean()


for i in range(75):
    angle = 6.2832 * torch.rand(64)
    real = torch.stack([angle.cos(), angle.sin()], 1) + 0.05 * torch.randn(64, 2)
    optimizer_D.zero_grad()
    z = torch.tensor(np.random.normal(0, 1, (64, 4)), dtype=torch.float32)
    fake = generator(z)
    d_loss = -critic(real).mean() + critic(fake.detach()).mean() + 10 * compute_gradient_penalty(critic, real, fake.detach())
    d_loss.backward()
    optimizer_D.step()
    if i % 5 == 0:
        optimizer_G.zero_grad()
        g_loss = -critic(generator(z)).mean()
        g_loss.backward()
        optimizer_G.step()
        print(f"[{i}] [D loss: {d_loss.item():.5f}] [G loss: {g_loss.item():.5f}]")
