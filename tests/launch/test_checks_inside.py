"""A program may ask for checks itself: under ``steadygrad run`` they give what they give bare, and training is watched."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.launch.pairs import pair

BEGIN = """import torch
import steadygrad as sg
from torch import nn
torch.manual_seed(0)

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.mlp = nn.ModuleDict({"up": nn.Linear(8, 16), "down": nn.Linear(16, 8)})
        m = self.mlp
        self.run = lambda x: m.down(torch.tanh(m.up(x)))

    def forward(self, x):
        return x + self.run(x)

model = nn.Sequential(Block(), Block(), nn.Linear(8, 3))
batch = torch.randn(32, 8), torch.randint(0, 3, (32,))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
"""
ASKS = {
    "check": "print(sg.check(model, batch, nn.functional.cross_entropy, optimizer=optimizer).to_json()[:200])\n",
    "find_lr": "print(sg.find_lr(model, batch, nn.functional.cross_entropy, optimizer=optimizer).rate)\n",
}
TRAIN = """
for _ in range(5):
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(batch[0]), batch[1]).backward()
    optimizer.step()
print([p.double().sum().item() for p in model.parameters()])
"""


@pytest.mark.long
@pytest.mark.parametrize("ask", ASKS)
def test_a_check_that_the_program_asks_for_is_what_it_is_bare(ask: str, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(BEGIN + ASKS[ask] + TRAIN)
    both = pair(["train.py"], tmp_path, options=["--no-journal"])
    assert both.bare.code == both.watched.code == 0, both.watched.stderr
    assert both.watched.stdout == both.bare.stdout
    assert both.watched.ours[-1] == "steadygrad: 5 steps · no alarm"
    assert any("first step: healthy" in line for line in both.watched.ours)


OWN_GUARD = "guard = sg.guard(model, optimizer, quiet=True, probe_every=0)\n"
USED = "model(batch[0])\n"


@pytest.mark.long
@pytest.mark.parametrize("before", ["", USED], ids=["before ours", "after ours"])
def test_a_guard_of_the_programs_own_goes_on(before: str, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(BEGIN + before + OWN_GUARD + TRAIN + "print(guard.steps)\n")
    both = pair(["train.py"], tmp_path, options=["--no-journal", "--no-check"])
    assert both.bare.code == both.watched.code == 0, both.watched.stderr
    assert both.watched.stdout == both.bare.stdout and both.bare.stdout.endswith("\n5\n")
    if not before:
        assert any("the program has a guard of its own around it" in line for line in both.watched.ours)
