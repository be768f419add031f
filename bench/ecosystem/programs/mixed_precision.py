# Shape: mixed precision on the CPU: autocast to bfloat16, GradScaler, unscale_ before the clip
# Expected: no error
import torch
import torch.nn as nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 5))
loss_fn = nn.CrossEntropyLoss()
opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
scaler = torch.amp.GradScaler("cpu")
rule = torch.randn(32, 5)
for step in range(60):
    input = torch.randn(64, 32)
    target = (input @ rule).argmax(1)
    with torch.autocast(device_type="cpu", dtype=torch.bfloat16):
        output = net(input)
        loss = loss_fn(output, target)
    scaler.scale(loss).backward()
    scaler.unscale_(opt)
    torch.nn.utils.clip_grad_norm_(net.parameters(), max_norm=1.0)
    scaler.step(opt)
    scaler.update()
    opt.zero_grad()
    if step % 10 == 0:
        print(step, loss.item(), scaler.get_scale())
