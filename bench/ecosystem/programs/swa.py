# Shape: stochastic weight averaging: AveragedModel, SWALR, update_bn, best model kept by deepcopy
# Expected: no error
import copy

import torch
import torch.nn as nn
from torch.optim.swa_utils import SWALR, AveragedModel, update_bn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x = torch.randn(640, 16)
loader = DataLoader(TensorDataset(x, (x @ torch.randn(16, 4)).argmax(1)), 64, shuffle=True)
model = nn.Sequential(nn.Linear(16, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 4))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
swa_model, swa_scheduler = AveragedModel(model), SWALR(optimizer, swa_lr=0.02)
best, best_loss = None, float("inf")
for epoch in range(6):
    for input, target in loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(input), target)
        loss.backward()
        optimizer.step()
    if epoch >= 2:
        swa_model.update_parameters(model)
        swa_scheduler.step()
    if loss.item() < best_loss:
        best, best_loss = copy.deepcopy(model), loss.item()
    print(epoch, loss.item())
update_bn(((a,) for a, _ in loader), swa_model)
torch.save(best, "best.pth")
print(sum(p.double().sum().item() for p in swa_model.parameters()), sorted(vars(best)))
