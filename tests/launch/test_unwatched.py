"""What was not watched is told of at the end, with the reason and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.families import always
from tests.launch.pairs import pair

BEGIN = "import torch\ntorch.manual_seed(0)\nmodel = torch.nn.Linear(4, 1)\n"
LOSS = "model(torch.randn(8, 4)).square().mean()"
COMPILED = "import torch._dynamo\ntorch._dynamo.config.trace_autograd_ops = True\n@torch.compile(backend='aot_eager')\n"
SGD = "optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n"
PROGRAMS = {
    "tensors of no module": (
        f"{BEGIN}w = torch.randn(4, 1, requires_grad=True)\nfor _ in range(5):\n"
        "    (torch.randn(8, 4) @ w).square().mean().backward()\n    with torch.no_grad():\n        w -= 0.1 * w.grad\n"
        "        w.grad = None\n",
        "no torch.optim.Optimizer was made, so 5 backward passes were not watched: no weight of a torch.nn.Module",
    ),
    "compiled": (
        f"{BEGIN}optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n"
        "@torch.compile(backend='eager')\ndef step():\n    optimizer.step()\n"
        f"for _ in range(3):\n    optimizer.zero_grad()\n    {LOSS}.backward()\n    step()\n",
        "the 3 steps so far called no hook of the optimizer: optimizer.step() is compiled by torch.compile",
    ),
    "backward is compiled": (
        f"{BEGIN}{SGD}{COMPILED}def back(x):\n    model(x).square().mean().backward()\n"
        "for _ in range(6):\n    optimizer.zero_grad()\n    back(torch.randn(8, 4))\n    optimizer.step()\n",
        "6 of 6 steps had gradients of no backward pass that was seen: they were read at the step, and the loss is "
        "unknown; it runs inside of what torch.compile compiled",
    ),
    "all is compiled": (
        f"{BEGIN}{COMPILED}def step(x):\n    model(x).square().mean().backward()\n    with torch.no_grad():\n"
        "        for p in model.parameters():\n            p.sub_(0.1 * p.grad)\n            p.grad = None\n"
        "for _ in range(6):\n    step(torch.randn(8, 4))\n",
        "nothing was watched: no optimizer was made, and no backward pass was seen; backward runs inside of what torch.compile "
        "compiled",
    ),
    "gradients of torch.autograd.grad": (
        f"{BEGIN}{SGD}weights = list(model.parameters())\nfor _ in range(6):\n"
        f"    given = torch.autograd.grad({LOSS}, weights)\n    for p, one in zip(weights, given):\n        p.grad = one\n"
        "    optimizer.step()\n",
        "6 of 6 steps had gradients of no backward pass that was seen: they were read at the step, and the loss is "
        "unknown; torch.autograd.grad or the program itself made them",
    ),
    "gradients of torch.autograd.grad, no optimizer": (
        f"{BEGIN}weights = list(model.parameters())\nfor _ in range(6):\n    given = torch.autograd.grad({LOSS}, weights)\n"
        "    for p, one in zip(weights, given):\n        p.data -= 0.1 * one\n",
        "nothing was watched: no optimizer was made, and no backward pass was seen; what torch.autograd.grad and torch.func give "
        "is not watched",
    ),
    "never stepped": (
        f"{BEGIN}optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\nfor _ in range(3):\n    {LOSS}.backward()\n",
        "3 backward passes, and no step was watched: optimizer.step() was never called",
    ),
}
END = "print([p.double().sum().item() for p in model.parameters()])\n"


@pytest.mark.long
@pytest.mark.parametrize("name", always(PROGRAMS, "tensors of no module", "never stepped"))
def test_what_was_not_watched_is_told_once_with_the_reason(name: str, tmp_path: Path) -> None:
    text, words = PROGRAMS[name]
    (tmp_path / "train.py").write_text(text + END)
    both = pair(["train.py"], tmp_path, options=["--no-journal"])
    assert both.bare.code == both.watched.code == 0, both.watched.stderr
    assert both.watched.stdout == both.bare.stdout
    assert "SG307" not in both.watched.stderr
    assert [line.count(words) for line in both.watched.stderr.splitlines() if words in line] == [1], both.watched.stderr
