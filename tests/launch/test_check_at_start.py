"""A run's first words are a check's: the script's own batch, loss, optimizer and clip, on a copy, before the first step."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.families import always
from tests.launch.pairs import SCRIPTS, pair, watched

HEAD = """import random
import torch
from torch import nn
from torch.nn import functional as F
torch.manual_seed(0)
random.seed(0)
x = torch.randn(256, 8)
y = x[:, :4].argmax(1)
"""

LOOP = """
for step in range(20):
    rows = torch.tensor(random.sample(range(256), 64))
    opt.zero_grad()
    loss = F.cross_entropy(net(x[rows]), y[rows])
    loss.backward()
    {clip}
    opt.step()
print(loss.item(), random.random(), torch.rand(1).item())
"""

HEALTHY = "net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 4))\nopt = {optimizer}\n"
ADAM = "torch.optim.Adam(net.parameters(), lr=1e-2)"


def script(folder: Path, body: str = HEALTHY, *, optimizer: str = ADAM, clip: str = "pass") -> str:
    (folder / "train.py").write_text(HEAD + body.format(optimizer=optimizer) + LOOP.format(clip=clip))
    return "train.py"


def first_words(lines: list[str]) -> str:
    told = [line.removeprefix("steadygrad: ") for line in lines if "first step: " in line]
    return told[0] if told else ""


@pytest.mark.long
def test_a_healthy_run_is_called_so_and_nothing_changes(tmp_path: Path) -> None:
    both = pair([script(tmp_path)], tmp_path, options=["--no-journal"])
    assert both.watched.stdout == both.bare.stdout
    assert first_words(both.watched.ours).startswith("first step: healthy: in 10 steps on a copy the loss fell by ")


@pytest.mark.long
def test_without_it_the_gradient_alone_is_spoken_of(tmp_path: Path) -> None:
    ran = watched([script(tmp_path)], tmp_path, options=["--no-journal", "--no-check"])
    assert first_words(ran.ours).startswith("first step: no gradient problem; from the loss to the input ")


@pytest.mark.long
@pytest.mark.parametrize(
    ("optimizer", "code"),
    [
        ("torch.optim.AdamW(net.parameters(), lr=20.0)", "SG204"),
        pytest.param("torch.optim.Adam(net.parameters(), lr=1e-9)", "SG106", marks=pytest.mark.long),
    ],
)
def test_a_rate_that_cannot_work_is_an_error_before_the_first_step(optimizer: str, code: str, tmp_path: Path) -> None:
    both = pair([script(tmp_path, optimizer=optimizer)], tmp_path, options=["--no-journal"])
    assert both.watched.stdout == both.bare.stdout
    assert first_words(both.watched.ours).startswith(f"first step: error[{code}]"), both.watched.stderr
    assert f"20 steps · first step: error {code} " in both.watched.ours[-1]


@pytest.mark.long
def test_the_clip_of_the_loop_is_in_the_steps(tmp_path: Path) -> None:
    """A gradient a million times too large diverges under plain SGD; with the loop's own clip it learns."""
    body = HEALTHY.replace("nn.Linear(32, 4))", "nn.Linear(32, 4), Scaled())")
    body = "class Scaled(nn.Module):\n    def forward(self, x):\n        return 1e3 * x\n\n" + body
    sgd = "torch.optim.SGD(net.parameters(), lr=0.5)"
    clip = "nn.utils.clip_grad_norm_(net.parameters(), 1.0)"
    free = watched([script(tmp_path, body, optimizer=sgd)], tmp_path, options=["--no-journal"])
    assert first_words(free.ours).startswith("first step: error[SG20"), free.stderr
    clipped = watched([script(tmp_path, body, optimizer=sgd, clip=clip)], tmp_path, options=["--no-journal"])
    assert first_words(clipped.ours).startswith("first step: healthy"), clipped.stderr


@pytest.mark.long
def test_what_dies_in_the_first_steps_is_told_where(tmp_path: Path) -> None:
    body = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.head = nn.Linear(8, 32), nn.Linear(32, 4)

    def forward(self, x):
        return torch.relu(self.head(torch.tanh(self.hidden(x))) - 2)

net = Net()
opt = {optimizer}
"""
    both = pair([script(tmp_path, body)], tmp_path, options=["--no-journal"])
    assert both.watched.stdout == both.bare.stdout
    told = first_words(both.watched.ours)
    assert told.startswith(("first step: error[SG103] train.py:16:16", "first step: error[SG308] train.py:16:16")), told


@pytest.mark.long
@pytest.mark.parametrize("name", always(["two_models.py", "closure.py", "mixed_precision.py"], "closure.py"))
def test_where_it_cannot_be_made_nothing_is_called_healthy(name: str, tmp_path: Path) -> None:
    both = pair([str(SCRIPTS / name)], tmp_path, options=["--no-journal"])
    assert both.watched.stdout == both.bare.stdout and both.watched.code == both.bare.code
    if name != "closure.py":
        assert "healthy" not in both.watched.stderr


@pytest.mark.long
def test_functions_that_the_program_put_into_torch_are_called_as_without_us(tmp_path: Path) -> None:
    body = HEALTHY + "F.cross_entropy, plain = lambda *a: 2 * plain(*a), F.cross_entropy\n"
    both = pair([script(tmp_path, body)], tmp_path, options=["--no-journal"])
    assert both.watched.code == 0 and both.watched.stdout == both.bare.stdout
    assert "no gradient problem; from the loss" in first_words(both.watched.ours)


@pytest.mark.long
def test_under_lightning_too(tmp_path: Path) -> None:
    both = pair([str(SCRIPTS / "with_lightning.py")], tmp_path, options=["--no-journal"])
    assert both.watched.stdout == both.bare.stdout
    assert first_words(both.watched.ours).startswith("first step: healthy"), both.watched.stderr


@pytest.mark.long
def test_after_the_first_step_torch_s_functions_are_called_as_ever(tmp_path: Path) -> None:
    """The loss of the first step is noted by a mode, which hears of every function; ``backward`` is one of them."""
    (tmp_path / "train.py").write_text(
        "import torch\nmodel = torch.nn.Linear(4, 2)\noptimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n"
        "for _ in range(3):\n    optimizer.zero_grad()\n"
        "    torch.nn.functional.cross_entropy(model(torch.randn(8, 4)), torch.arange(8) % 2).backward()\n"
        "    optimizer.step()\n    print(torch._C._len_torch_function_stack())\n"
    )
    ran = watched(["train.py"], tmp_path)
    assert ran.stdout == "0\n0\n0\n"
    assert any("first step: " in line for line in ran.ours)


@pytest.mark.long
@pytest.mark.parametrize(
    ("loss", "marked"),
    [
        ("torch.tensor(F.cross_entropy(out, y).item(), requires_grad=True)", "torch.tensor(...)"),
        ("F.cross_entropy(out.detach().requires_grad_(), y)", "out.detach()"),
        pytest.param(
            "F.mse_loss(out.argmax(1).float(), y.float()).requires_grad_()", "out.argmax(1)", marks=pytest.mark.long
        ),
        pytest.param(
            "(torch.tensor(F.cross_entropy(out, y).item()) * 2).requires_grad_()",
            "torch.tensor(...)",
            marks=pytest.mark.long,
        ),
    ],
)
def test_what_cuts_the_path_outside_of_the_model_is_marked(loss: str, marked: str, tmp_path: Path) -> None:
    body = HEALTHY.format(optimizer=ADAM) + LOOP.format(clip="pass").replace(
        "loss = F.cross_entropy(net(x[rows]), y[rows])", f"out, y = net(x[rows]), y_[rows]\n    loss = {loss}"
    )
    text = HEAD.replace("\ny = x", "\ny_ = x") + body
    (tmp_path / "train.py").write_text(text)
    both = pair(["train.py"], tmp_path, options=["--no-journal"])
    assert both.watched.stdout == both.bare.stdout
    line, source = next((n, one) for n, one in enumerate(text.splitlines(), 1) if one.startswith("    loss = "))
    place = f"train.py:{line}:{source.index(marked.removesuffix('(...)')) + 1} "
    assert f"error[SG107] {place}" in both.watched.stderr
