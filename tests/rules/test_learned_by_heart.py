"""One batch is learned by heart: what is wrong all the same where there is no other; and what few samples do not show."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import steadygrad as sg
from steadygrad.record import Severity, StepTest
from steadygrad.record.steptest import Unseen
from steadygrad.rules.plateau import never_begins
from steadygrad.rules.read_trunk import vanishing


@pytest.mark.parametrize(("samples", "never"), [(1, False), (31, False), (32, True), (None, True)])
def test_whether_a_net_never_begins_is_a_matter_of_the_samples_that_it_has_seen(
    samples: int | None, never: bool
) -> None:
    flat = Unseen(1.0, 1.0, 1.0, None, 1.0)
    hundred = StepTest(100, "Adam", (1.0,) * 101, 0.0, 0.5, 0.0, unseen=flat)
    trial = StepTest(300, "Adam", (1.0,) * 301, 0.0, 0.5, 0.0, hundred=hundred, unseen=flat)
    assert never_begins(trial, samples) is never


class TooLarge(nn.Module):
    def __init__(self, std: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(200, 200) for _ in range(6)])
        self.head = nn.Linear(200, 10)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=std)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.head(x)


@pytest.mark.parametrize(("std", "codes"), [(1.0, ["SG301"]), (0.07, [])])
def test_weights_far_too_large_are_an_error_though_one_batch_is_learned_by_heart(std: float, codes: list[str]) -> None:
    torch.manual_seed(0)
    model = TooLarge(std)
    batch = torch.randn(64, 200), torch.randint(0, 10, (64,))
    report = sg.check(model, batch, F.cross_entropy, optimizer=torch.optim.Adam(model.parameters(), lr=1e-3))
    assert report.trial is not None and report.trial.fall > 0
    assert [one.code for one in report.findings if one.severity is Severity.ERROR] == codes, report.findings


@pytest.mark.parametrize(("steps", "after", "severity"), [(100, 1.0, "error"), (10, 1.0, "warning"), (100, 0.2, None)])
def test_what_not_even_learns_one_batch_by_heart_will_not_train(steps: int, after: float, severity: str | None) -> None:
    """Where so much of the gradient is lost, and yet the samples come out further apart than rounding puts them."""
    torch.manual_seed(0)
    layers = [layer for _ in range(13) for layer in (nn.Linear(64, 64), nn.Sigmoid())]
    model = nn.Sequential(*layers, nn.Linear(64, 10))
    trace = sg.check(model, (torch.randn(64, 64), torch.randint(0, 10, (64,))), F.cross_entropy, trial=0).trace
    parameters = tuple(replace(one, update_ratio=1e-3) for one in trace.parameters)
    trace = replace(trace, output_spread=1e-12, parameters=parameters)
    trial = StepTest(steps, "Adam", (1.0,) * steps + (after,), 0.0, 1e-11, 0.0)
    found = vanishing(trace, trial)
    assert (found and found.value) == severity


class Looking(nn.Module):
    """Two looks, of which the first is far too sharp."""

    def __init__(self, sharp: float) -> None:
        super().__init__()
        self.token, self.head, self.sharp = nn.Embedding(500, 64), nn.Linear(64, 20), sharp

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.token(tokens)
        for sharp in (self.sharp, 0.02):
            x = torch.softmax(sharp * (x @ x.transpose(1, 2)), dim=-1) @ x
        return self.head(x).flatten(0, 1)


@pytest.mark.parametrize(("sharp", "codes"), [(3.0, ["SG305"]), (0.02, [])])
def test_one_layer_that_looks_at_one_place_is_a_warning_where_a_batch_is_learned_by_heart(
    sharp: float, codes: list[str]
) -> None:
    torch.manual_seed(0)
    model = Looking(sharp)
    batch = torch.randint(0, 500, (32, 8)), torch.randint(0, 20, (256,))
    report = sg.check(model, batch, F.cross_entropy, optimizer=torch.optim.Adam(model.parameters(), lr=1e-2))
    assert [one.code for one in report.findings if one.severity is Severity.WARNING] == codes, report.findings


def test_a_squash_too_many_is_a_warning_though_one_batch_is_learned_by_heart() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(40, 128), nn.ReLU(), nn.Linear(128, 30), nn.Sigmoid())
    batch = torch.randn(100, 40), torch.randint(0, 30, (100,))
    report = sg.check(model, batch, F.cross_entropy, optimizer=torch.optim.Adam(model.parameters(), lr=1e-2))
    assert report.verdict is sg.Verdict.AT_RISK
    assert report.findings[0].code == "SG303"
