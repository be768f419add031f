"""``--cure at-start``: numbers alone, before the first step; where that cannot be, it is said and nothing is changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.launch.pairs import SCRIPTS, pair, watched

OPTIONS = ("--cure", "at-start", "--no-journal")


def longer(tmp_path: Path) -> str:
    """The sick script with something to learn, and the time to do so."""
    text = (SCRIPTS / "sick.py").read_text()
    text = text.replace("torch.randint(0, 4, (64,))", "None\ny = x[:, :4].argmax(1)").replace("range(5)", "range(60)")
    (tmp_path / "sick.py").write_text(text)
    return "sick.py"


@pytest.mark.long
def test_a_sick_net_learns(tmp_path: Path) -> None:
    both = pair([longer(tmp_path)], tmp_path, options=OPTIONS)
    assert float(both.bare.stdout) > 1.3
    assert float(both.watched.stdout) < 0.7, both.watched.stderr
    (told,) = [line for line in both.watched.ours if "cured before the first step" in line]
    assert "folded initialisation: numbers only: 16 layers folded, same modules, same state_dict keys" in told
    assert told.endswith("will not train became healthy; the first step was left out")


@pytest.mark.long
@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("plain.py", "nothing to cure: the model is healthy as set up"),
        pytest.param("two_models.py", "not cured at the start: 2 optimizers train 2 models", marks=pytest.mark.long),
        pytest.param("closure.py", "before the first step; training goes on as it is set up", marks=pytest.mark.long),
    ],
)
def test_where_there_is_nothing_to_cure_nothing_changes(script: str, told: str, tmp_path: Path) -> None:
    both = pair([str(SCRIPTS / script)], tmp_path, options=OPTIONS)
    assert both.watched.stdout == both.bare.stdout
    assert any(line.endswith(told) for line in both.watched.ours), both.watched.stderr


@pytest.mark.long
def test_it_says_why_a_loss_cannot_be_followed(tmp_path: Path) -> None:
    (tmp_path / "decays.py").write_text(
        "import torch\nfrom torch import nn\nm = nn.Linear(4, 1)\no = torch.optim.SGD(m.parameters(), lr=0.1)\n"
        "for _ in range(3):\n    loss = m(torch.ones(8, 4)).mean() + m.weight.pow(2).sum()\n    loss.backward()\n    o.step()\n"
    )
    ran = watched(["decays.py"], tmp_path, options=OPTIONS)
    assert ran.code == 0
    assert any(
        "not cured at the start: the loss reads parameters beside the model's output" in line for line in ran.ours
    )
