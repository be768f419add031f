"""What only steps show: what died in them, what they learn of fresh batches, what stands in front of a loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import steadygrad as sg
from steadygrad import rules
from steadygrad.record import Finding, Severity, StepTest
from steadygrad.record.steptest import Unseen
from steadygrad.rules.read_steptest import informed_fall


class Clipped(nn.Module):
    """Its output passes a rectifier: one large step, and it is 0 for every input."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(4, 16)
        self.head = nn.Linear(16, 1)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.tanh(self.hidden(x))
        return torch.relu(self.head(hidden))


def below_zero() -> tuple[Tensor, Tensor]:
    x = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
    return x, -1 - x[:, :1].abs()


def test_a_net_that_dies_in_the_steps_is_told_at_the_expression_where_it_died() -> None:
    torch.manual_seed(0)
    model = Clipped()
    report = sg.check(model, below_zero(), F.mse_loss, optimizer=torch.optim.SGD(model.parameters(), lr=0.5))
    assert report.verdict is sg.Verdict.WILL_NOT_TRAIN
    first = report.findings[0]
    assert first.code == "SG103" and first.location is not None
    assert first.location.text == "torch.relu(self.head(hidden))"
    assert "alive at the start, dead after 1 step: relu" in first.message
    assert report.trial is not None and report.trial.second is not None and report.trial.second.gone


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_what_is_learned_to_the_end_has_no_gradient_either_and_is_healthy(seed: int) -> None:
    torch.manual_seed(seed)
    x = torch.eye(4)
    model = nn.Linear(4, 1, bias=False).double()
    optimizer = torch.optim.LBFGS(model.parameters(), lr=1, max_iter=50)
    report = sg.check(model, (x.double(), torch.zeros(4, 1).double()), F.mse_loss, optimizer=optimizer)
    assert report.verdict is sg.Verdict.HEALTHY, report.findings


class Force(nn.Module):
    """Answers with a gradient of its own output, so that its pass needs gradients enabled."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.head = nn.Linear(4, 16), nn.Linear(16, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.clone().requires_grad_()
        energy = self.head(torch.tanh(self.hidden(x)))
        (force,) = torch.autograd.grad(energy.sum(), x, create_graph=True)
        return energy, force


def test_a_model_that_needs_gradients_in_its_pass_is_held_against_other_targets() -> None:
    def batch(step: int) -> tuple[Tensor, Tensor]:
        x = torch.randn(64, 4, generator=torch.Generator().manual_seed(step))
        return x, x.sin()

    torch.manual_seed(0)
    report = sg.check(Force(), batch, lambda out, y: F.mse_loss(out[1], y), optimizer="adam:1e-2")
    assert report.verdict is sg.Verdict.HEALTHY, report.findings
    assert report.trial is not None and report.trial.unseen is not None
    assert report.trial.unseen.exchanged is not None and report.trial.unseen.exchanged > report.trial.unseen.after


@pytest.mark.parametrize(
    ("last", "loss", "target", "severity"),
    [
        (nn.ReLU, F.binary_cross_entropy_with_logits, lambda x: (x[:, :1] > 0).float(), Severity.ERROR),
        (nn.Softplus, F.binary_cross_entropy_with_logits, lambda x: (x[:, :1] > 0).float(), Severity.ERROR),
        (nn.ReLU, F.cross_entropy, lambda x: x.argmax(1), Severity.WARNING),
        (nn.LeakyReLU, F.cross_entropy, lambda x: x.argmax(1), None),
        (nn.ReLU, F.mse_loss, lambda x: x.abs(), None),
        (nn.ReLU, F.mse_loss, lambda x: x, Severity.WARNING),
        (nn.ReLU, lambda o, t: ((t - o) ** 2).mean(), lambda x: x, Severity.WARNING),
        (nn.Identity, F.mse_loss, lambda x: x, None),
    ],
)
def test_a_rectifier_in_front_of_a_loss_that_takes_logits(
    last: type[nn.Module], loss: Callable[..., Tensor], target: Callable[[Tensor], Tensor], severity: Severity | None
) -> None:
    torch.manual_seed(0)
    x = torch.randn(128, 4)
    y = target(x)
    outputs = 4 if y.dim() == 1 else y.shape[1]
    model = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, outputs), last())
    report = sg.check(model, (x, y), loss, optimizer=torch.optim.Adam(model.parameters(), lr=3e-3))
    told = [one.severity for one in report.findings if one.code == "SG308"]
    assert told == ([] if severity is None else [severity]), report.findings


@pytest.mark.parametrize(
    ("loss", "marked"),
    [
        (lambda o, t: F.mse_loss(o, t), "F.mse_loss(o, t)"),
        (lambda o, t: F.smooth_l1_loss(o, t), "F.smooth_l1_loss(o, t)"),
        (lambda o, t: ((o - t) ** 2).mean(), "o - t"),
        (lambda o, t: (t - o).abs().mean(), "t - o"),
        (lambda o, t: torch.mean(torch.square(o - t)), "o - t"),
        (lambda o, t: F.mse_loss(o.squeeze(-1), t), ""),
        (lambda o, t: F.mse_loss(o, t[:, None]), ""),
        (lambda o, t: (o - t[:, None]).square().mean() + 0 * (o - o[:, 0]).abs().amax(), ""),
    ],
)
@pytest.mark.filterwarnings("ignore:Using a target size")
def test_a_column_against_a_row(loss: Callable[..., Tensor], marked: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(64, 8)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1))
    report = sg.check(model, (x, x[:, 0]), loss, optimizer=torch.optim.Adam(model.parameters(), lr=1e-3))
    told = [one for one in report.findings if one.code == "SG309"]
    assert [one.location.text for one in told if one.location is not None] == ([marked] if marked else [])
    assert not marked or "64 × 64" in told[0].message


def test_samples_that_are_all_the_same_are_told_as_that() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4))
    report = sg.check(model, (torch.ones(32, 8), torch.arange(32) % 4), F.cross_entropy)
    assert [one.code for one in report.findings] == ["SG105"] and "no gradient problem" in report.findings[0].message


def noise(step: int) -> Any:
    source = torch.Generator().manual_seed(step)
    return torch.randn(64, 16, generator=source), torch.randint(4, (64,), generator=source)


@pytest.mark.long
def test_a_batch_learned_by_heart_is_seen_through_where_there_are_fresh_ones() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 256), nn.ReLU(), nn.Linear(256, 4))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    alone = sg.check(model, noise(0), F.cross_entropy, optimizer=optimizer)
    assert alone.verdict is sg.Verdict.HEALTHY
    assert any("by heart" in note for note in alone.notes)
    fresh = sg.check(model, noise, F.cross_entropy, optimizer=optimizer)
    assert [one.code for one in fresh.findings] == ["SG109"] and fresh.verdict is not sg.Verdict.HEALTHY
    assert fresh.trial is not None and fresh.trial.steps >= 100 and not fresh.notes


@pytest.mark.long
def test_a_risk_on_one_batch_is_certain_on_fresh_ones() -> None:
    """Thirty layers of tanh at default initialisation learn a fifth of one batch of digits, and nothing of the others."""
    torch.manual_seed(0)
    layers = [nn.Linear(64, 64), nn.Tanh(), *(part for _ in range(29) for part in (nn.Linear(64, 64), nn.Tanh()))]
    model = nn.Sequential(*layers, nn.Linear(64, 10))
    digits = load_digits()
    data = TensorDataset(torch.tensor(digits.data, dtype=torch.float32) / 16, torch.tensor(digits.target))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    alone = sg.check(model, data[:64], F.cross_entropy, optimizer=optimizer)
    assert alone.verdict is sg.Verdict.AT_RISK
    fresh = sg.check(model, DataLoader(data, 64, shuffle=True), F.cross_entropy, optimizer=optimizer)
    assert fresh.verdict is sg.Verdict.WILL_NOT_TRAIN and fresh.findings[0].code == alone.findings[0].code == "SG301"


def test_the_steps_end_as_soon_as_they_tell() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 4))

    def batch(step: int) -> Any:
        x = torch.randn(64, 16, generator=torch.Generator().manual_seed(step))
        return x, x[:, :4].argmax(1)

    steps = {}
    for rate in (1e-2, 1e-3, 3e-4):
        optimizer = torch.optim.Adam(model.parameters(), lr=rate)
        report = sg.check(model, batch, F.cross_entropy, optimizer=optimizer)
        assert report.verdict is sg.Verdict.HEALTHY and report.trial is not None
        steps[rate] = report.trial.steps
    assert steps[1e-2] == 3 < steps[1e-3] < steps[3e-4] <= 100


@pytest.mark.parametrize(
    ("unseen", "learned"),
    [
        (Unseen(2.3, 1.15, 2.3, None, 2.3), 0.5),
        (Unseen(2.3, 2.3, 2.3, 9.0, 2.3), 0.0),
        (Unseen(2.3, 1.0, None, 4.0, 2.3), 0.75),
        (Unseen(2.3, 1.0, None, None, 2.3), None),
        (Unseen(-1.0, -3.0, -1.0, None, -1.0), 2.0),
    ],
)
def test_learned_is_one_minus_the_loss_without_the_input(unseen: Unseen, learned: float | None) -> None:
    assert unseen.learned == (None if learned is None else pytest.approx(learned))


def test_on_fresh_batches_one_batch_that_is_harder_is_no_rise() -> None:
    losses = (2.3, 2.2, 9.0, 2.1, 2.0, 2.0, 1.9, 1.9, 1.8, 1.8, 1.8)
    fresh = StepTest(10, "Adam", losses, 0.1, 0.5, unseen=Unseen(2.3, 1.8, 2.3, None, 2.3))
    assert fresh.greatest_rise == 0.0
    assert StepTest(10, "Adam", losses, 0.1, 0.5).greatest_rise == pytest.approx((9.0 - 2.2) / 2.3)
    assert (
        StepTest(10, "Adam", (2.3, *[23.0] * 10), 0.1, 0.5, unseen=Unseen(2.3, 23.0, 2.3, None, 23.0)).greatest_rise
        == 9.0
    )


def heavy_tailed(step: int) -> Any:
    source = torch.Generator().manual_seed(step)
    x = torch.randn(16, 4, generator=source) ** 3
    return x, x[:, :1]


def test_batches_of_heavy_tails_are_no_rise_and_a_rate_that_bounces_is() -> None:
    rises = {}
    for rate in (1e-6, 1.0):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 1))
        report = sg.check(model, heavy_tailed, F.mse_loss, optimizer=torch.optim.Adam(model.parameters(), lr=rate))
        assert report.trial is not None
        losses = report.trial.losses
        rises[rate] = report.trial.greatest_rise, max(losses) / losses[0]
    assert rises[1e-6][0] < 0.01 and rises[1e-6][1] > 2
    assert rises[1.0][0] > 2


class OwnLoss(nn.Module):
    """An autoencoder that makes its own loss; of a small factor its code is noise alone."""

    def __init__(self, carries: float) -> None:
        super().__init__()
        self.encode, self.decode, self.carries = nn.Linear(16, 4), nn.Linear(4, 16), carries

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        code = self.carries * self.encode(x) + torch.randn(len(x), 4)
        return {"loss": ((self.decode(code) - x) ** 2).mean()}


def structured(step: int) -> Tensor:
    source = torch.Generator().manual_seed(step)
    return 1 + torch.randn(64, 2, generator=source) @ torch.randn(2, 16, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("carries", "told"), [(1.0, []), (1e-3, ["SG109"])])
def test_a_code_that_carries_nothing_is_told_where_the_model_makes_its_own_loss(
    carries: float, told: list[str]
) -> None:
    torch.manual_seed(0)
    model = OwnLoss(carries)
    report = sg.check(model, structured, optimizer=torch.optim.Adam(model.parameters(), lr=1e-2))
    assert report.trial is not None and report.trial.unseen is not None
    assert report.trial.unseen.constant is None and report.trial.unseen.exchanged is not None
    assert [one.code for one in report.findings if one.severity is not Severity.INFO] == told, report.findings


def found(code: str, severity: Severity) -> Finding:
    return Finding(code, "rule", severity, "seen", None, "", (), ())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([("SG109", Severity.ERROR), ("SG102", Severity.WARNING)], [("SG102", Severity.ERROR)]),
        ([("SG109", Severity.WARNING), ("SG102", Severity.WARNING)], [("SG102", Severity.WARNING)]),
        ([("SG109", Severity.ERROR)], [("SG109", Severity.ERROR)]),
        ([("SG109", Severity.ERROR), ("SG205", Severity.INFO)], [("SG109", Severity.ERROR), ("SG205", Severity.INFO)]),
        ([("SG109", Severity.WARNING), ("SG204", Severity.ERROR)], [("SG204", Severity.ERROR)]),
    ],
)
def test_what_was_a_risk_is_the_cause_where_nothing_is_learned(
    before: list[tuple[str, Severity]], after: list[tuple[str, Severity]]
) -> None:
    assert [(one.code, one.severity) for one in rules.causes([found(*one) for one in before])] == after


@pytest.mark.parametrize(("offset", "scale", "told"), [(2e5, 5e4, ["SG310"]), (0.0, 1.0, []), (3.0, 2.0, [])])
def test_prices_are_told_as_targets_that_are_not_scaled(offset: float, scale: float, told: list[str]) -> None:
    def prices(step: int) -> Any:
        x = torch.randn(64, 8, generator=torch.Generator().manual_seed(step))
        return x, offset + scale * x[:, :1]

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 1))

    def loss_fn(output: Tensor, target: Tensor) -> Tensor:
        return ((output - target) ** 2).mean()

    report = sg.check(model, prices, loss_fn, optimizer=torch.optim.Adam(model.parameters(), lr=1e-2))
    assert [one.code for one in report.findings if one.severity is not Severity.INFO] == told
    where = [one.location.text for one in report.findings if one.location is not None]
    assert where == ["output - target" for _ in told]


class Equation(nn.Module):
    """u' = u on points that it is given, or draws; no layer of it is left out."""

    def __init__(self, drawn: bool) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 1))
        self.drawn = drawn

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = torch.rand(64, 1, requires_grad=True) if self.drawn else x.detach().requires_grad_()
        u = self.net(x)
        (slope,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        return {"loss": ((slope - u) ** 2).mean() + (self.net(torch.zeros(1, 1)) - 1).square().mean()}


@pytest.mark.parametrize("drawn", [False, True])
def test_a_coordinate_that_a_derivative_is_taken_by_is_no_weight(drawn: bool) -> None:
    torch.manual_seed(0)
    model = Equation(drawn)
    # A rate that learns nothing, so that whatever the rule has to say is said.
    report = sg.check(model, torch.rand(64, 1), optimizer=torch.optim.SGD(model.parameters(), lr=1e-9))
    assert [one for one in report.findings if one.code == "SG107"] == []
    assert all(one.registered for one in report.trace.parameters)


@pytest.mark.parametrize(
    ("before", "after", "informed"), [(0.95, 0.94, 0.01), (1.0, 0.96, 0.04), (0.3, 0.25, 0.55), (1.2, 0.96, 0.04)]
)
def test_what_random_outputs_fit_by_chance_is_not_learned(before: float, after: float, informed: float) -> None:
    unseen = Unseen(before, after, constant=1.0, exchanged=None, greatest=before)
    trial = StepTest(10, "Adam", (before, *[after] * 10), 0.1, 0.5, constant_fall=0.0, unseen=unseen)
    assert informed_fall(trial) == pytest.approx(informed)
