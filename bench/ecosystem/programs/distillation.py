# Shape: knowledge distillation: a student on softened scores of a frozen teacher, SGD with Nesterov
# Expected: no error
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
rule = torch.randn(20, 6)


def batch(n=64):
    x = torch.randn(n, 20)
    return x, (x @ rule).argmax(1)


teacher = nn.Sequential(nn.Linear(20, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 6))
student = nn.Sequential(nn.Linear(20, 24), nn.ReLU(), nn.Linear(24, 6))
opt = torch.optim.Adam(teacher.parameters(), lr=2e-3)
for step in range(60):
    x, y = batch()
    opt.zero_grad()
    F.cross_entropy(teacher(x), y).backward()
    opt.step()
teacher.eval()
opt = torch.optim.SGD(student.parameters(), lr=0.05, momentum=0.9, nesterov=True)
T, alpha = 4.0, 0.7
for step in range(80):
    x, y = batch()
    with torch.no_grad():
        soft = F.softmax(teacher(x) / T, dim=1)
    scores = student(x)
    loss = alpha * T * T * F.kl_div(F.log_softmax(scores / T, dim=1), soft, reduction="batchmean")
    loss = loss + (1 - alpha) * F.cross_entropy(scores, y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 20 == 0:
        print(step, loss.item(), (scores.argmax(1) == y).float().mean().item())
