"""A clip that makes the steps too small is the cause, where the optimizer's step follows the gradient's length."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import steadygrad as sg
from steadygrad.record import Severity

Made = Callable[[nn.Module], torch.optim.Optimizer]


def sgd(rate: float, momentum: float = 0.0) -> Made:
    return lambda model: torch.optim.SGD(model.parameters(), lr=rate, momentum=momentum)


def adam(rate: float) -> Made:
    return lambda model: torch.optim.Adam(model.parameters(), lr=rate)


def _report(optimizer: Made, clip: str | None) -> sg.Report:
    x, y = (torch.tensor(part) for part in load_digits(return_X_y=True))
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    loader = DataLoader(TensorDataset(x.float() / 16, y), batch_size=64, shuffle=True)
    return sg.check(model, loader, nn.CrossEntropyLoss(), optimizer=optimizer(model), clip=clip)


@pytest.mark.parametrize("optimizer", [sgd(0.1), sgd(0.1, 0.9)], ids=["plain", "with momentum"])
def test_a_clip_far_below_the_norms_is_the_cause(optimizer: Made) -> None:
    first = _report(optimizer, "norm:1e-5").findings[0]
    assert (first.code, first.severity) == ("SG306", Severity.ERROR)
    assert "norm:1e-05" in first.message


@pytest.mark.parametrize(
    ("optimizer", "clip", "code"),
    [
        (sgd(0.1), "norm:1.0", None),
        (sgd(0.1), "norm:0.1", None),
        (sgd(0.1), None, None),
        (adam(1e-3), "norm:1e-4", None),
        (adam(1e-8), "norm:1e-4", "SG106"),
        (sgd(1e-7), "norm:0.1", "SG106"),
    ],
    ids=["at 1", "at 0.1", "none", "Adam, whose steps are as long", "a rate that is too small", "the same under SGD"],
)
def test_another_is_not(optimizer: Made, clip: str | None, code: str | None) -> None:
    report = _report(optimizer, clip)
    assert "SG306" not in [one.code for one in report.findings]
    if code is not None:
        assert report.findings[0].code == code


@pytest.mark.long
def test_what_it_did_to_the_first_gradient_is_on_record() -> None:
    """Held against torch's own clip on the same gradient."""
    report = _report(sgd(0.1), "norm:0.01")
    assert report.trial is not None and report.trial.clipped is not None
    assert report.trial.clipped.after == pytest.approx(0.01, rel=1e-3)
    assert report.trial.clipped.before > 0.1
    assert _report(sgd(0.1), None).trial.clipped is None  # type: ignore[union-attr]
