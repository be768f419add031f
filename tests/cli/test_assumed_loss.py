"""A verdict on a model alone says which loss it is a verdict on."""

from __future__ import annotations

from pathlib import Path

import pytest

from steadygrad.cli import main

FILE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 32), nn.Linear(32, 4)
    def forward(self, x):
        return {last}(self.b(torch.relu(self.a(x))))
"""


@pytest.mark.parametrize(
    ("last", "told"),
    [
        ("nn.Identity()", "healthy, if the loss is cross-entropy on the output as logits · no findings"),
        ("nn.Softmax(1)", "healthy, if the loss is negative log-likelihood of the output's logarithm · no findings"),
    ],
)
def test_the_verdict_carries_the_assumption(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], last: str, told: str
) -> None:
    (tmp_path / "net.py").write_text(FILE.format(last=last))
    assert main(["check", str(tmp_path / "net.py:Net"), "--output-format", "concise"]) == 0
    assert capsys.readouterr().out.strip().endswith(told)
