"""The search for a learning rate, the longer run that settles it, and the parts of a batch that both use."""

from __future__ import annotations

import math
from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import steadygrad as sg
from bench.corpus.cases import cases
from steadygrad._check import check_subject
from steadygrad.cures.batch_subsets import adds_up, as_whole, divisible, with_fewer
from steadygrad.cures.constant_baseline import constant_loss
from steadygrad.cures.editable_copy import editable_copy_of
from steadygrad.cures.learning_rate import search
from steadygrad.cures.long_run import settle
from steadygrad.subject.subject import Subject, make_subject


def regression(rate: float) -> tuple[Subject, float]:
    """Least squares by plain SGD, and the rate from which it diverges: 2 ÷ the Hessian's greatest eigenvalue."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(64, 6, generator=generator)
    model = nn.Linear(6, 1, bias=False)
    nn.init.zeros_(model.weight)
    y = x @ torch.arange(1.0, 7.0)[:, None]
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    greatest = float(torch.linalg.eigvalsh(2 * x.T @ x / len(x)).max())
    return make_subject(model, (x, y), F.mse_loss, optimizer=optimizer), 2 / greatest


@pytest.mark.parametrize("rate", [1e-6, 1e-3, 0.1, 10.0])
@pytest.mark.parametrize("impatient", [False, True])
def test_the_rate_is_below_the_bound_of_stability_and_near_it(rate: float, impatient: bool) -> None:
    subject, bound = regression(rate)
    found = search(subject, impatient=impatient)
    assert found.rate is not None
    assert bound / 30 < found.rate < bound
    assert all(one.dropped or one.rate < bound for one in found.tried)


def test_a_rate_that_diverges_is_not_raised() -> None:
    subject, bound = regression(10.0)
    assert max(one.rate for one in search(subject).tried) == 10.0 > bound


def test_searching_leaves_model_and_optimizer_alone() -> None:
    subject, _ = regression(0.1)
    state = deepcopy((subject.model.state_dict(), subject.optimizer.state_dict()))
    generator = torch.get_rng_state()
    search(subject)
    assert all(torch.equal(value, subject.model.state_dict()[key]) for key, value in state[0].items())
    assert state[1] == subject.optimizer.state_dict()
    assert torch.equal(generator, torch.get_rng_state())


def test_a_loss_that_no_rate_moves_is_told() -> None:
    class Constant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + 0 * self.weight

    found = sg.find_lr(Constant(), (torch.ones(8, 3), torch.zeros(8, 3)), F.mse_loss)
    assert found.rate is None
    assert "makes the loss fall" in found.words


@pytest.mark.long
def test_a_rate_at_the_edge_is_lowered_by_the_longer_run() -> None:
    """Squares of squares learn fast for thirty steps on the batch, and then diverge on parts of it."""
    made = cases("sick")["squared-six-times"].make()
    cured = sg.cure(made.model, made.batch, made.loss_fn, optimizer=made.optimizer, only="folded-initialisation")
    subject = make_subject(cured.model, made.batch, made.loss_fn, optimizer=cured.optimizer)
    alone = search(subject, impatient=True)
    assert alone.rate is not None
    chosen = cured.optimizer.param_groups[0]["lr"]
    assert chosen < alone.rate
    copy = editable_copy_of(subject, check_subject(subject, trial=0).trace)
    copy.set_rate(alone.rate)
    constant = constant_loss(copy)
    assert not settle(copy, constant, move=False, own=alone.rate, enough=0.5).best.lasts
    copy.set_rate(chosen)
    assert math.isfinite(settle(copy, constant, move=False, own=chosen, enough=0.5).best.trained)


class OfNinetySix(nn.Module):
    """A model that has the size of its batch built in."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(x.view(96, 4))


def test_a_batch_is_cut_only_where_the_model_takes_a_part() -> None:
    y = torch.randint(0, 2, (96,))
    free = make_subject(nn.Linear(4, 2), (torch.randn(96, 4), y), F.cross_entropy)
    bound = make_subject(OfNinetySix(), (torch.randn(96, 4), y), F.cross_entropy)
    uneven = make_subject(
        nn.Linear(4, 2), (torch.randn(96, 4), {"y": y, "w": torch.ones(3)}), lambda o, t: F.cross_entropy(o, t["y"])
    )
    assert divisible(free, 32) == 96
    assert divisible(bound, 32) is None
    assert divisible(uneven, 32) is None
    assert with_fewer(free, 64).batch[0].shape == (64, 4)
    assert with_fewer(bound, 64) is bound


@pytest.mark.parametrize(("reduction", "adds"), [("sum", True), ("mean", False)])
def test_a_loss_that_adds_up_is_counted_for_the_whole_batch(reduction: str, adds: bool) -> None:
    x, y = torch.randn(64, 4), torch.randn(64, 1)
    subject = make_subject(nn.Linear(4, 1), (x, y), nn.MSELoss(reduction=reduction))
    assert adds_up(subject) == adds
    part = torch.cat([x[:16]] * 4), torch.cat([y[:16]] * 4)
    if adds:
        enlarged = as_whole(subject.objective, 64)(subject.model, (x[:16], y[:16]))[0]
        torch.testing.assert_close(enlarged, subject.objective(subject.model, part)[0])


def test_the_rate_of_a_sum_is_that_of_the_mean_by_the_number_of_samples() -> None:
    rates = []
    for reduction, scale in (("mean", 1.0), ("sum", 1.0 / 128)):
        torch.manual_seed(0)
        model = nn.Linear(4, 1)
        x = torch.randn(128, 4)
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3 * scale)
        subject = make_subject(model, (x, x.sum(1, keepdim=True)), nn.MSELoss(reduction=reduction), optimizer=optimizer)
        found = search(subject, impatient=True).rate
        assert found is not None
        copy = editable_copy_of(subject, check_subject(subject, trial=0).trace)
        copy.set_rate(found)
        best = settle(copy, constant_loss(copy), move=True, own=1e-3 * scale, enough=0.5).best
        rates.append((found / scale, best.rate / scale, best.trained))
    assert rates[1] == pytest.approx(rates[0], rel=1e-3)
