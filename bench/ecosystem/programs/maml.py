# Shape: MAML: an inner step through autograd.grad with create_graph and functional_call, an outer Adam
# Expected: no error
import torch
from torch import nn
from torch.func import functional_call

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(1, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 1))
meta = torch.optim.Adam(model.parameters(), lr=3e-3)
for iteration in range(50):
    meta.zero_grad()
    total = 0.0
    for task in range(4):
        amplitude, phase = 0.5 + 1.5 * torch.rand(1), 3 * torch.rand(1)
        x, x_ = (10 * torch.rand(20, 1) - 5 for _ in range(2))
        fast = dict(model.named_parameters())
        loss = nn.functional.mse_loss(functional_call(model, fast, (x,)), amplitude * torch.sin(x + phase))
        gradients = torch.autograd.grad(loss, list(fast.values()), create_graph=True)
        fast = {name: p - 0.01 * g for (name, p), g in zip(fast.items(), gradients)}
        total = total + nn.functional.mse_loss(functional_call(model, fast, (x_,)), amplitude * torch.sin(x_ + phase))
    total = total / 4
    total.backward()
    meta.step()
    if iteration % 10 == 0:
        print(iteration, total.item())
