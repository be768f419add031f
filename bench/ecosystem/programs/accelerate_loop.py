# Shape: Accelerate: prepare, accumulate, clip_grad_norm_, gather_for_metrics
# Expected: no error
import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

set_seed(42)
accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
x = torch.randn(640, 16)
data = TensorDataset(x, (x @ torch.randn(16, 3)).argmax(1))
model = nn.Sequential(nn.Linear(16, 48), nn.LayerNorm(48), nn.GELU(), nn.Dropout(0.1), nn.Linear(48, 3))
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, 40)
model, optimizer, loader, scheduler = accelerator.prepare(model, optimizer, DataLoader(data, 32, shuffle=True), scheduler)
for epoch in range(4):
    model.train()
    right = seen = 0
    for inputs, targets in loader:
        with accelerator.accumulate(model):
            outputs = model(inputs)
            loss = nn.functional.cross_entropy(outputs, targets)
            accelerator.backward(loss)
            if accelerator.sync_gradients:
                accelerator.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
        predictions, references = accelerator.gather_for_metrics((outputs.argmax(1), targets))
        right += (predictions == references).sum().item()
        seen += len(references)
    accelerator.print(f"epoch {epoch}: {right / seen:.4f} {loss.item():.5f}")
