import torch
from torch import nn

torch.manual_seed(0)
device = "cpu"
model = nn.Sequential(nn.Linear(16, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 4)).to(device)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
scaler = torch.amp.GradScaler(device, init_scale=2.0**10)
data, target = torch.randn(512, 16), torch.randint(0, 4, (512,))

for step in range(16):
    idx = torch.randint(0, 512, (64,))
    with torch.autocast(device_type=device, dtype=torch.bfloat16):
        logits = model(data[idx])
        loss = nn.functional.cross_entropy(logits, target[idx])
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad(set_to_none=True)
    if step % 5 == 0:
        print(step, loss.dtype, f"{loss.item():.7f}", scaler.get_scale())
print(torch.cat([p.detach().flatten() for p in model.parameters()]).double().norm().item())
