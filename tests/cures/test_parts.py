"""Parts of a batch: a model that takes the whole alone is found out without a word on the terminal."""

from __future__ import annotations

import pytest
import torch
from torch import fx, nn

from steadygrad.cures.batch_subsets import divisible
from steadygrad.subject.subject import make_subject


class OnAGraph(nn.Module):
    """Every sample is a node: the matrix of neighbours has the batch's size built in."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("neighbours", torch.eye(40))
        self.fc = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.neighbours @ x)


def test_a_batch_that_cannot_be_cut_stays_whole_and_no_traceback_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """A graph module prints its own traceback to standard error when its code raises."""
    traced = fx.symbolic_trace(OnAGraph())
    with pytest.raises(RuntimeError):
        traced(torch.randn(8, 8))
    assert "Traceback" in capsys.readouterr().err
    batch = torch.randn(40, 8), torch.randint(0, 3, (40,))
    subject = make_subject(traced, batch, nn.functional.cross_entropy, optimizer="adam:1e-3")
    assert divisible(subject, 8) is None
    written = capsys.readouterr()
    assert written.out == written.err == ""
