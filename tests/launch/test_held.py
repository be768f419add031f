"""An optimizer that steps other tensors than those that get the gradient is told of; one that leaves some out is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.families import always
from tests.launch.pairs import pair

HEAD = """import copy
import torch
from torch import nn
from torch.nn import functional as F
torch.manual_seed(0)
x = torch.randn(256, 8)
y = x[:, :4].argmax(1)

class Net(nn.Module):
    def __init__(self, classes=4):
        super().__init__()
        self.body, self.head = nn.Sequential(nn.Linear(8, 32), nn.ReLU()), nn.Linear(32, classes)

    def forward(self, x):
        return self.head(self.body(x))

def train(net, opt):
    for step in range(12):
        opt.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        opt.step()
    print(loss.item(), torch.rand(1).item())

def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.1)

net = Net()
"""

SICK = {
    "the model was made anew": ("opt = torch.optim.SGD(net.parameters(), lr=0.1)\nnet = Net()\n", "error", "of Net"),
    "the old model is kept": (
        "opt = torch.optim.SGD(net.parameters(), lr=0.1)\nold, net = net, copy.deepcopy(net)\n",
        "error",
        "of Net",
    ),
    "a new head on a frozen body": (
        "net.requires_grad_(False)\nopt = torch.optim.SGD(net.parameters(), lr=0.1)\nnet.head = nn.Linear(32, 4)\n",
        "error",
        "head.weight, head.bias of Net",
    ),
    "a new head on a body that learns": (
        "net = Net(9)\nopt = torch.optim.SGD(net.parameters(), lr=0.1)\nnet.head = nn.Linear(32, 4)\n",
        "warning",
        "head.weight, head.bias of Net",
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("name", always(SICK, "the model was made anew"))
def test_it_is_told_where_the_optimizer_is_made(name: str, tmp_path: Path) -> None:
    body, severity, names = SICK[name]
    (tmp_path / "train.py").write_text(HEAD + body + "train(net, opt)\n")
    both = pair(["train.py"], tmp_path, options=["--no-journal"])
    assert both.watched.stdout == both.bare.stdout
    line = next(n for n, text in enumerate((HEAD + body).splitlines(), 1) if text.startswith("opt = "))
    told = [one for one in both.watched.ours if "which no optimizer holds" in one and f"{severity}[SG107]" in one]
    assert len(told) == 1, both.watched.stderr
    assert f"train.py:{line}:7)" in told[0]
    assert names in told[0]
    assert told[0].startswith(("steadygrad: step 1:", "steadygrad: step 2:"))


HEALTHY = {
    "the head alone is trained": "train(net, sgd(net.head.parameters()))\n",
    "two optimizers for two halves": """
first, second = sgd(net.body.parameters()), sgd(net.head.parameters())
for step in range(6):
    F.cross_entropy(net(x), y).backward()
    one = first if step % 2 else second
    one.step()
    net.zero_grad()
print(torch.rand(1).item())
""",
    "a judge without an optimizer gets gradients": """
judge, opt = Net(), sgd(net.parameters())
for step in range(6):
    opt.zero_grad()
    (judge.body(x) - net.body(x)).square().mean().backward()
    opt.step()
print(torch.rand(1).item())
""",
    "a generator and its judge take turns": """
judge = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
first, second = sgd(net.parameters()), sgd(judge.parameters())
for step in range(6):
    second.zero_grad()
    (judge(net(x).detach()).mean() - judge(F.one_hot(y).float()).mean()).backward()
    second.step()
    first.zero_grad()
    (-judge(net(x)).mean()).backward()
    first.step()
print(torch.rand(1).item())
""",
    "the inputs are what is trained": """
moved = x.clone().requires_grad_()
opt = sgd([moved])
for step in range(6):
    opt.zero_grad()
    F.cross_entropy(net(moved), y).backward()
    opt.step()
print(torch.rand(1).item())
""",
    "cleared before the step": """
opt = sgd(net.parameters())
for step in range(6):
    F.cross_entropy(net(x), y).backward()
    opt.zero_grad()
    opt.step()
print(torch.rand(1).item())
""",
}


@pytest.mark.long
@pytest.mark.parametrize("name", always(HEALTHY, "the head alone is trained"))
def test_what_is_left_out_on_purpose_is_not(name: str, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(HEAD + HEALTHY[name])
    both = pair(["train.py"], tmp_path, options=["--no-journal"])
    assert both.watched.stdout == both.bare.stdout
    assert "SG107" not in both.watched.stderr, both.watched.stderr
