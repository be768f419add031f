# Shape: two tasks on a shared trunk, parameter groups, OneCycleLR, weights of the losses learned as log-variances
# Expected: no error
import torch
from torch import nn

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(16, 64), nn.ELU(), nn.Linear(64, 64), nn.ELU())
        self.heads = nn.ModuleDict({"kind": nn.Linear(64, 3), "value": nn.Linear(64, 1)})
        self.log_var = nn.Parameter(torch.zeros(2))

    def forward(self, x):
        h = self.trunk(x)
        return {name: head(h) for name, head in self.heads.items()}


model = Net()
groups = [{"params": model.trunk.parameters(), "lr": 1e-3}, {"params": model.heads.parameters()}, {"params": [model.log_var], "lr": 1e-2}]
optimizer = torch.optim.AdamW(groups, lr=3e-3)
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=[3e-3, 1e-2, 1e-2], total_steps=80)
rule, line = torch.randn(16, 3), torch.randn(16) / 4
for step in range(80):
    x = torch.randn(64, 16)
    out = model(x)
    losses = torch.stack(
        [nn.functional.cross_entropy(out["kind"], (x @ rule).argmax(1)), nn.functional.mse_loss(out["value"].squeeze(1), x @ line)]
    )
    loss = (losses * torch.exp(-model.log_var) + model.log_var).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    if step % 20 == 0:
        print(step, losses.tolist(), scheduler.get_last_lr()[0])
