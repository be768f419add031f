"""Where it cannot be seen whether the samples of a batch are mixed, that is a blind spot with its reason."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import steadygrad as sg


class OnlyTrains(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            raise NotImplementedError("no inference yet")
        return torch.softmax(self.inner(x), 1)  # Something that could mix samples, so that the two passes are made.


def test_what_the_model_raises_in_eval_mode_is_told() -> None:
    report = sg.check(OnlyTrains(), (torch.randn(16, 4), torch.randint(0, 2, (16,))), nn.functional.cross_entropy)
    (told,) = [one.what for one in report.trace.blind_spots]
    assert "in eval mode the model or its loss raised NotImplementedError: no inference yet" in told


def test_a_failure_of_steadygrad_s_own_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steadygrad.steptest.mixing._must_not", None)
    batch = torch.randn(16, 4), torch.randint(0, 2, (16,))
    model = nn.Sequential(nn.Unflatten(1, (1, 4)), nn.Flatten(), nn.Linear(4, 2), nn.Softmax(0))
    report = sg.check(model, batch, nn.functional.cross_entropy)
    (told,) = [one.what for one in report.trace.blind_spots]
    assert "steadygrad itself failed on this model, which is not at fault: TypeError" in told
