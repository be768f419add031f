import torch
from accelerate import Accelerator
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 1))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
x = torch.randn(240 * 16, 8)
x[119 * 16 : 120 * 16] *= 1e4
loader = DataLoader(TensorDataset(x, x.sum(1, keepdim=True)), batch_size=16)
model, optimizer, loader = accelerator.prepare(model, optimizer, loader)

for step, (given, target) in enumerate(loader):
    with accelerator.accumulate(model):
        loss = nn.functional.mse_loss(model(given), target)
        accelerator.backward(loss)
        if accelerator.sync_gradients:
            norm = accelerator.clip_grad_norm_(model.parameters(), 20.0)
            print(step // 2 + 1, float(norm), loss.item())
        optimizer.step()
        optimizer.zero_grad()
print(sum(p.double().sum() for p in model.parameters()).item())
