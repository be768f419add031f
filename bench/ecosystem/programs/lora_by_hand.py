# Shape: LoRA by hand: frozen linear layers wrapped in modules with A and B, B begins at zero
# Expected: no error
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)


class LoRALinear(nn.Module):
    def __init__(self, linear, r=4, alpha=8):
        super().__init__()
        self.linear = linear
        self.linear.weight.requires_grad_(False)
        self.linear.bias.requires_grad_(False)
        self.A = nn.Parameter(torch.empty(r, linear.in_features))
        self.B = nn.Parameter(torch.zeros(linear.out_features, r))
        nn.init.kaiming_uniform_(self.A, a=math.sqrt(5))
        self.scaling = alpha / r

    def forward(self, x):
        return self.linear(x) + F.linear(F.linear(x, self.A), self.B) * self.scaling


base = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))
first, second = torch.randn(16, 4), torch.randn(16, 4)
pre = torch.optim.Adam(base.parameters(), lr=5e-3)
for _ in range(40):
    x = torch.randn(64, 16)
    pre.zero_grad()
    F.cross_entropy(base(x), (x @ first).argmax(1)).backward()
    pre.step()
for at in (0, 2, 4):
    base[at] = LoRALinear(base[at])
optimizer = torch.optim.AdamW([p for p in base.parameters() if p.requires_grad], lr=1e-2)
for step in range(60):
    x = torch.randn(64, 16)
    loss = F.cross_entropy(base(x), (x @ (first + second)).argmax(1))
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    if step % 10 == 0:
        print(step, loss.item())
