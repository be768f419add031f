"""A function that makes NaN of a number at which it is not defined is told as that: a clamp would hide a wrong sign."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import steadygrad as sg


class Ends(nn.Module):
    def __init__(self, end: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.layer, self.end = nn.Linear(4, 4), end

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self.layer(x))


@pytest.mark.parametrize(
    ("end", "seen", "cure"),
    [
        (torch.log, "negative", "softplus"),
        (torch.sqrt, "negative", "softplus"),
        (lambda x: torch.log(torch.softmax(1e4 * x, 1)), "infinity", "clamp_min"),
        (lambda x: torch.acos(3 * x), "beyond -1 or 1", "clamping"),
    ],
    ids=["log", "sqrt", "log of zero", "acos"],
)
def test_it_says_where_the_number_lay(end: Callable[[Tensor], Tensor], seen: str, cure: str) -> None:
    torch.manual_seed(0)
    report = sg.check(Ends(end), (torch.randn(32, 4), torch.randn(32, 4)), nn.functional.mse_loss, trial=0)
    assert report.findings[0].code == "SG203"
    assert seen in report.findings[0].message
    assert cure in report.findings[0].cures[0].why


class Rooted(nn.Module):
    """Its root has an infinite derivative wherever the rectifier is off, which puts 0 in its place, or where all is 0."""

    def __init__(self, before: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.layer, self.before, self.head = nn.Linear(4, 16), before, nn.Linear(16, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.sqrt(self.before(self.layer(x))))


@pytest.mark.parametrize(
    ("before", "severity", "so"),
    [
        (torch.relu, "warning", "these steps harmed no weight"),
        (lambda x: (x - x) ** 2, "error", "every weight becomes NaN at the first step"),
    ],
    ids=["behind a rectifier", "of a square that is 0"],
)
def test_an_infinite_derivative_that_harmed_nothing_is_a_warning(
    before: Callable[[Tensor], Tensor], severity: str, so: str
) -> None:
    torch.manual_seed(0)
    x = torch.randn(64, 4)
    model = Rooted(before)
    report = sg.check(
        model, (x, x[:, :1]), nn.functional.mse_loss, optimizer=torch.optim.Adam(model.parameters(), lr=1e-2)
    )
    first = report.findings[0]
    assert (first.code, first.severity.value, first.consequence.startswith(so)) == ("SG203", severity, True), first
    assert first.location is not None
    assert first.location.text == "torch.sqrt(self.before(self.layer(x)))"
