"""A normalisation takes back the scale of the layer in front of it: neither is to blame for what the two do to each other."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import steadygrad as sg


class Net(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(64, 64, bias=False) for _ in range(10))
        self.norms = nn.ModuleList(nn.LayerNorm(64) for _ in range(10))
        self.head = nn.Linear(64, 10)
        with torch.no_grad():
            for layer in self.layers:
                layer.weight.mul_(factor)

    def forward(self, x: Tensor) -> Tensor:
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = torch.sigmoid(norm(layer(x)))
        return self.head(x)


def report_of(factor: float, trial: int | None = 0) -> sg.Report:
    torch.manual_seed(0)
    model = Net(factor)
    return sg.check(
        model, (torch.randn(64, 64), torch.randint(10, (64,))), F.cross_entropy, optimizer="adamw:1e-3", trial=trial
    )


@pytest.mark.parametrize("factor", [0.01, 1.0, 100.0])
def test_the_activation_behind_them_is_to_blame(factor: float) -> None:
    trunk = report_of(factor).trunk
    assert trunk is not None
    assert min(trunk.blame, key=lambda cause: trunk.blame[cause]) == "activation derivative"


def test_it_is_marked_and_takes_no_more_than_all_there_is() -> None:
    (finding,) = (one for one in report_of(100.0, None).findings if one.code == "SG101")
    assert finding.location is not None and finding.location.text == "torch.sigmoid(norm(layer(x)))"
    assert "of which other steps give" in finding.label and "%" not in finding.label


def test_the_steps_stay_what_was_measured_and_net_they_add_up_to_the_same() -> None:
    trunk = report_of(100.0).trunk
    assert trunk is not None
    measured = {step.name: step.decades for step in trunk.steps}
    assert measured["layer_norm"] < -1 < 1 < measured["linear"]
    assert sum(step.decades for step in trunk.net) == pytest.approx(trunk.decades, abs=1e-9)
    assert sum(trunk.blame.values()) == pytest.approx(trunk.decades, abs=1e-9)
