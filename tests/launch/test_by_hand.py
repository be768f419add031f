"""Programs without a torch.optim.Optimizer: gradients are watched at each backward pass, nothing is changed, nothing made up."""

from __future__ import annotations

from pathlib import Path

import pytest

from steadygrad.journal.read import read
from tests.families import always
from tests.launch.pairs import Pair, pair

BEGIN = (
    "import torch\ntorch.manual_seed(0)\n"
    "model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))\n"
)
LOSS = "(model(x) - x.sum(1, keepdim=True)).square().mean()"
UPDATE = "    for p in model.parameters():\n        p.data.add_(p.grad, alpha=-rate)\n"
END = "print([p.double().sum().item() for p in model.parameters()])\n"


CLEAR = "model.zero_grad()"


def trained(
    *, steps: int = 30, each: str = "", rate: str = "rate = 0.1", update: str = UPDATE, clear: str = CLEAR
) -> str:
    return (
        f"{BEGIN}for i in range({steps}):\n    x = torch.randn(16, 4)\n    {rate}\n    {each or 'pass'}\n    {clear}\n"
        f"    loss = {LOSS}\n    loss.backward()\n{update}{END}"
    )


def told(text: str, folder: Path, *options: str) -> Pair:
    (folder / "train.py").write_text(text)
    both = pair(["train.py"], folder, options=list(options))
    assert both.bare.code == both.watched.code == 0, both.watched.stderr
    assert both.watched.stdout == both.bare.stdout
    assert both.watched.theirs == both.bare.stderr
    return both


def alarms(both: Pair) -> list[str]:
    return [line for line in both.watched.ours if line.startswith("steadygrad: step ")]


SICK = {
    "non-finite batch": (trained(each="x[3] = float('nan') if i == 20 else 0.5"), "step 21: error[SG203]"),
    "a leap of the gradient": (trained(each="x *= 1e4 if i == 24 else 1"), "step 25: "),
    "a rate too high": (trained(rate="rate = 1000.0", steps=6), "step 1: error[SG204]"),
}


@pytest.mark.long
@pytest.mark.parametrize("name", always(SICK, "a leap of the gradient"))
def test_what_goes_wrong_is_named_at_its_step(name: str, tmp_path: Path) -> None:
    text, begin = SICK[name]
    lines = alarms(told(text, tmp_path, "--no-journal"))
    assert lines and lines[0].startswith(f"steadygrad: {begin}"), lines


HEALTHY = {
    "zeroed by the model": trained(),
    "set to none": trained(clear="[setattr(p, 'grad', None) for p in model.parameters()]"),
    "zeroed through data": trained(clear="[p.grad.data.zero_() for p in model.parameters() if p.grad is not None]"),
    "clipped": trained(update=f"    torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)\n{UPDATE}"),
    "accumulated over four": trained(
        steps=48,
        clear="model.zero_grad() if i % 4 == 0 else None",
        update="    if i % 4 != 3:\n        continue\n" + UPDATE.replace("-rate", "-rate / 4"),
    ),
    "an optimizer of its own kind": (
        f"{BEGIN}class Own:\n    def step(self):\n        with torch.no_grad():\n            for p in model.parameters():\n"
        f"                p.sub_(0.1 * p.grad)\nown = Own()\nfor i in range(30):\n    x = torch.randn(16, 4)\n"
        f"    model.zero_grad()\n    {LOSS}.backward()\n    own.step()\n{END}"
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("name", always(HEALTHY, "clipped"))
def test_a_healthy_program_is_quiet(name: str, tmp_path: Path) -> None:
    both = told(HEALTHY[name], tmp_path)
    assert alarms(both) == []
    assert sum("gradients are watched at each backward pass" in line for line in both.watched.ours) == 1
    (journal,) = (tmp_path / "runs").glob("*.sgj")
    run = read(journal)
    assert run.steps == (48 if "accumulated" in name else 30)
    assert {one.name for one in run.watched} == {"0.weight", "0.bias", "2.weight", "2.bias"}
    assert run.series.losses[0] > run.series.losses[-1] > 0


@pytest.mark.long
@pytest.mark.parametrize("passes", always([3, 30], "3"))
def test_a_program_that_only_looks_at_gradients_is_let_alone(passes: int, tmp_path: Path) -> None:
    x = "x = torch.randn(16, 4, requires_grad=True)"
    text = f"{BEGIN}for i in range({passes}):\n    {x}\n    {LOSS}.backward()\n    print(x.grad.sum())\n"
    both = told(text, tmp_path)
    assert both.watched.ours == [
        "steadygrad: no torch.optim.Optimizer was made, so "
        f"{passes} backward passes were not watched: no weight of a torch.nn.Module was seen to change"
    ]
    assert not list((tmp_path / "runs").glob("*"))


@pytest.mark.long
def test_an_optimizer_that_comes_later_is_guarded(tmp_path: Path) -> None:
    text = (
        f"{BEGIN}x = torch.randn(16, 4)\n{LOSS}.backward()\nprint(model[0].weight.grad.norm())\n"
        "o = torch.optim.SGD(model.parameters(), lr=0.1)\nfor i in range(12):\n    o.zero_grad()\n"
        f"    {LOSS}.backward()\n    o.step()\n"
    )
    both = told(text, tmp_path)
    assert any(line.startswith("steadygrad: 12 steps") for line in both.watched.ours)
    assert len(list((tmp_path / "runs").glob("*.sgj"))) == 1
