"""What a run's own first steps show: that nothing is learned is an alarm; what learns, or warms up, is let alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.launch.pairs import Pair, pair, watched

SCRIPT = """import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
torch.manual_seed(0)
x = torch.randn(6400, 8)
y = {target}
loader = DataLoader(TensorDataset(x, y), batch_size=32, shuffle=True)
net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, {outputs}))
opt = torch.optim.Adam(net.parameters(), lr={rate})
schedule = torch.optim.lr_scheduler.LambdaLR(opt, lambda step: {schedule})
criterion = nn.{criterion}()
taken = 0
while taken < {steps}:
    for xb, yb in {batches}:
        opt.zero_grad()
        loss = criterion(net(xb), yb)
        loss.backward()
        opt.step()
        schedule.step()
        taken += 1
        if taken == {steps}:
            break
print(loss.item(), torch.rand(1).item(), [p.sum().item() for p in net.parameters()])
"""

LEARNABLE = "x[:, :4].argmax(1)"
RANDOM = "torch.randint(0, 4, (6400,))"


def ran(folder: Path, target: str, **changed: str) -> Pair:
    settings = {
        "outputs": "4",
        "rate": "1e-2",
        "schedule": "1.0",
        "criterion": "CrossEntropyLoss",
        "steps": "220",
        "batches": "loader",
        **changed,
    }
    (folder / "train.py").write_text(SCRIPT.format(target=target, **settings))
    both = pair(["train.py"], folder, options=["--no-journal"])
    assert both.watched.stdout == both.bare.stdout
    assert both.watched.code == both.bare.code == 0
    return both


def told(both: Pair) -> list[str]:
    lines = [line.removeprefix("steadygrad: ") for line in both.watched.ours]
    return [line for line in lines if line.startswith("step ")]


@pytest.mark.long
def test_random_labels_are_an_error_after_three_hundred_steps(tmp_path: Path) -> None:
    [line] = told(ran(tmp_path, RANDOM, steps="320"))
    assert line.startswith("step 301: error[SG109] nothing-learned: after 300 steps on fresh batches"), line
    assert "next: check that inputs and targets belong together" in line


@pytest.mark.long
@pytest.mark.parametrize(("steps", "seen"), [("220", "204"), ("150", "104")])
def test_a_shorter_run_is_told_at_its_end(steps: str, seen: str, tmp_path: Path) -> None:
    [line] = told(ran(tmp_path, RANDOM, steps=steps))
    assert line.startswith(f"step {steps}: warning[SG109] nothing-learned: after {seen} steps on fresh batches"), line


@pytest.mark.long
def test_what_learns_is_let_alone(tmp_path: Path) -> None:
    assert told(ran(tmp_path, LEARNABLE)) == []


@pytest.mark.long
def test_so_is_a_regression(tmp_path: Path) -> None:
    assert told(ran(tmp_path, "x[:, :1] - x[:, 1:2]", outputs="1", criterion="MSELoss")) == []
    [line] = told(ran(tmp_path, "torch.randn(6400, 1)", outputs="1", criterion="MSELoss"))
    assert "SG109" in line


@pytest.mark.long
def test_a_warm_up_is_no_net_that_does_not_learn(tmp_path: Path) -> None:
    """In its first hundreds of steps the rate is too small for anything to be learned."""
    warm_up = "1e-5 * 1.03 ** min(step, 400)"
    assert told(ran(tmp_path, LEARNABLE, schedule=warm_up, steps="500")) == []


@pytest.mark.long
def test_where_no_loader_gives_batches_nothing_is_judged(tmp_path: Path) -> None:
    by_hand = "[(x[i : i + 32], y[i : i + 32]) for i in range(0, 6400, 32)]"
    assert told(ran(tmp_path, RANDOM, batches=by_hand)) == []


REPORTS = Path(__file__).parents[2] / "bench" / "reports" / "scripts"


@pytest.mark.long
def test_what_the_first_step_warns_of_is_an_error_as_soon_as_the_run_has_shown_it_twice(tmp_path: Path) -> None:
    """Ten steps on one batch leave it open; ten and a hundred of the run's own do not."""
    (tmp_path / "train.py").write_text((REPORTS / "plain_conv_sick.py").read_text())
    ran = watched(["train.py"], tmp_path, options=["--no-journal"])
    [line] = [line for line in ran.ours if "error[" in line]
    assert line.startswith("steadygrad: step 105: error[SG301]"), line


@pytest.mark.long
@pytest.mark.parametrize(("epochs", "stopped"), [(30, True), (5, False)])
def test_its_error_stops_a_run_that_is_to_be_stopped_unless_it_is_over(
    epochs: int, stopped: bool, tmp_path: Path
) -> None:
    (tmp_path / "train.py").write_text(
        (REPORTS / "bf16_weights_sick.py").read_text().replace("range(30)", f"range({epochs})")
    )
    ran = watched(["train.py"], tmp_path, options=["--no-journal", "--on-alarm", "stop"])
    assert any("error[SG108]" in line for line in ran.ours), ran.stderr
    assert ("accuracy" in ran.stdout) is not stopped
    assert "Traceback" not in ran.stderr
