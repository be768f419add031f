"""Parts of a training step under torch.compile, as the first argument names them; what was compiled, and what came of it."""

import sys

import torch
from torch import nn
from torch._dynamo.utils import counters

torch.manual_seed(0)
what = sys.argv[1]
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
criterion = nn.functional.cross_entropy


def compiled(function):
    return torch.compile(function, backend="aot_eager")


called = model
if what == "hooked model":
    model[1].register_forward_hook(lambda module, args, output: output * 1.01)
    called = compiled(model)
elif what == "model":
    called = compiled(model)
elif what == "model in place":
    model.compile(backend="aot_eager")
elif what == "loss":
    criterion = compiled(lambda output, y: nn.functional.cross_entropy(output, y))
elif what == "step of the optimizer":
    optimizer.step = compiled(optimizer.step)
elif what == "clip":
    clip = compiled(lambda: nn.utils.clip_grad_norm_(model.parameters(), 1.0))


def step(x, y):
    optimizer.zero_grad()
    loss = criterion(called(x), y)
    loss.backward()
    if what == "clip":
        clip()
    elif what == "all and a clip":
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.detach()


if what.startswith("all"):
    step = compiled(step)
for _ in range(12):
    loss = step(torch.randn(16, 16), torch.randint(0, 4, (16,)))
    print(loss.item())
print(dict(counters["stats"]), dict(counters["aot_autograd"]), sorted(counters["graph_break"].values()))
print([p.double().sum().item() for p in model.parameters()])
