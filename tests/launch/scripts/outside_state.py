"""A forward pass that counts its calls, anneals by them, logs and prints, and hooks that do so too."""

import collections
import logging
import sys

import helper_module
import numpy as np
import torch
from torch import nn

logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
calls, seen, table = 0, [], {"norms": collections.deque(maxlen=5), "count": collections.Counter()}
running = torch.zeros(8)
history = np.zeros(4)


class Meter:
    def __init__(self):
        self.total, self.values = 0.0, []

    def update(self, value):
        self.total += value
        self.values.append(value)


meter = Meter()


def counted(function):
    def call(*args):
        call.calls += 1
        return function(*args)

    call.calls = 0
    return call


@counted
def bend(x):
    return torch.tanh(x)


def make_hook():
    times, kept = 0, []

    def hook(module, args, output):
        nonlocal times
        times += 1
        kept.append(times)
        seen.append(float(output.detach().mean()))
        return output * (1 + 0.01 * times)

    return hook


class Base(nn.Module):
    made = set()
    temperature = 1.0


class Annealed(Base):
    passes = 0

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 8), nn.Linear(8, 2)

    def forward(self, x):
        global calls
        calls += 1
        Annealed.passes += 1
        Base.temperature *= 0.99
        self.made.add(calls)
        meter.update(calls)
        table["count"]["forward"] += 1
        table["norms"].append(float(x.norm()))
        history[calls % 4] += 1
        helper_module.count()
        hidden = bend(self.a(x) * (1 + 0.1 * calls) * Base.temperature)
        running.mul_(0.9).add_(hidden.detach().mean(0), alpha=0.1)
        print("forward", calls)
        logging.info("logged %d", calls)
        return self.b(hidden * (1 + running))


torch.manual_seed(0)
model = Annealed()
model.a.register_forward_hook(make_hook())
model.a.weight.register_hook(lambda gradient: meter.update(float(gradient.norm())))
nn.modules.module.register_module_forward_hook(lambda module, args, output: table["count"].update([type(module).__name__]))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(5):
    x, y = torch.randn(8, 4), torch.randint(0, 2, (8,))
    if step == 3:
        x = x * 1e4  # An alarm, and a look at it.
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    print(step, loss.item(), calls, Annealed.passes, sorted(Base.made), Base.temperature, len(seen), bend.calls)
print(meter.total, meter.values, table, running.tolist(), history.tolist(), helper_module.calls)
