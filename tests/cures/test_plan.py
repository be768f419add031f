"""The planner: least intrusive first, the same plan for the same seed, only what was seen to work, within what is allowed."""

from __future__ import annotations

import ast
import copy
import inspect

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import steadygrad as sg
from bench.corpus.case import Made
from bench.corpus.cases import cases
from steadygrad import cures
from steadygrad.cures import candidates, evaluate
from steadygrad.cures import plan as planner
from steadygrad.cures.evaluate import LEARNS, Outcome
from steadygrad.cures.reasons import why_none
from steadygrad.record import GROUPS, Candidate, CureRecord, Tried, Verdict
from tests.cures.kinds import Functional
from tests.families import always

SICK = cases("sick")

PLANNED = (
    "softmax-into-cross-entropy-sgd",
    "decoupled-decay-30",
    "lstm-rmsprop-rate-1",
    "tanh-100-default",
    "weights-all-alike",
    "softmax-hidden-layers",
    "prices-sgd",
    "cube-activation",
    "hardtanh-output-clipped",
    "logits-times-the-root",
)


def made(name: str) -> Made:
    return SICK[name].make()


@pytest.mark.long
@pytest.mark.parametrize("name", always(PLANNED, "softmax-into-cross-entropy-sgd"))
def test_nothing_less_intrusive_would_have_done(name: str) -> None:
    one = made(name)
    cured = sg.cure(one.model, one.batch, one.loss_fn, optimizer=one.optimizer)
    assert cured.taken is not None
    assert cured.after.verdict is Verdict.HEALTHY
    lower = GROUPS[: GROUPS.index(cured.taken.candidate.group)]
    if not lower:
        return  # A set-up put right: there is nothing less.
    again = sg.cure(one.model, one.batch, one.loss_fn, optimizer=one.optimizer, best=True, allow=lower)
    alone = [one for one in again.tried if "+" not in one.candidate.name]
    assert not [one for one in alone if one.verdict is Verdict.HEALTHY and (one.learned or 0.0) >= LEARNS]


@pytest.mark.parametrize(
    ("learned", "told"),
    [
        (0.04, "4% of the loss of the best trivial answer (a constant, or the input itself) is gone"),
        (None, "but at no learning rate that was tried does its loss begin to fall"),
    ],
)
def test_what_is_healthy_and_not_taken_has_its_reason(learned: float | None, told: str) -> None:
    candidate = Candidate("learning-rate", "learning rate 1", "learning rate", "safe", ())
    outcome = Outcome(Tried(candidate, Verdict.HEALTHY, -1.0, 0.5, 0.1, learned, 1.0))
    words = why_none([outcome], [candidate], late=False)
    assert words.startswith("not cured: learning rate 1 is healthy by the check, but ") and told in words


def plan(cured: CureRecord) -> list[tuple[object, ...]]:
    return [(one.candidate.name, one.verdict, one.decades, one.learned, one.rate, one.taken) for one in cured.tried]


def sigmoids(depth: int = 12) -> tuple[nn.Module, tuple[torch.Tensor, torch.Tensor]]:
    torch.manual_seed(0)
    x = torch.randn(64, 16)
    return Functional(depth), (x, (x[:, :2] > 0).long() @ torch.tensor([1, 2]))


@pytest.mark.long
def test_the_same_seed_gives_the_same_plan() -> None:
    model, batch = sigmoids()
    torch.manual_seed(1)
    one = sg.cure(model, batch, F.cross_entropy)
    torch.manual_seed(2)
    other = sg.cure(copy.deepcopy(model), batch, F.cross_entropy)
    assert plan(one) == plan(other)
    assert all(torch.equal(a, b) for a, b in zip(one.model.parameters(), other.model.parameters(), strict=True))


@pytest.mark.long
def test_what_is_to_be_kept_rules_candidates_out() -> None:
    model, batch = sigmoids()
    kept = sg.cure(model, batch, F.cross_entropy, keep=("numbers", "activation"))
    assert kept.taken is not None
    assert kept.taken.candidate.group in ("normalisation", "residual")


@pytest.mark.long
def test_what_is_not_allowed_is_not_tried() -> None:
    model, batch = sigmoids()
    allowed = sg.cure(model, batch, F.cross_entropy, allow="activation")
    assert {one.candidate.group for one in allowed.tried} == {"activation"}


@pytest.mark.long
def test_keeping_the_optimizer_keeps_its_rate() -> None:
    model, batch = sigmoids()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    cured = sg.cure(model, batch, F.cross_entropy, optimizer=optimizer, keep="optimizer")
    assert cured.taken is not None
    assert cured.optimizer.param_groups[0]["lr"] == 2e-3


@pytest.mark.long
def test_the_best_learns_no_slower_than_the_least_intrusive() -> None:
    model, batch = sigmoids()
    names = ("folded-initialisation", "relu", "residual-span-2")
    best = sg.cure(model, batch, F.cross_entropy, only=names, best=True)
    assert best.taken is not None
    assert len(best.tried) == 3
    assert best.taken.learned >= max(one.learned or 0.0 for one in best.tried) - 0.02


def test_a_budget_that_is_spent_is_told() -> None:
    model, batch = sigmoids()
    cured = sg.cure(model, batch, F.cross_entropy, budget=1e-6)
    assert cured.taken is None
    assert "budget" in cured.words


def test_what_nothing_cures_is_not_called_cured() -> None:
    class Severed(Functional):
        def forward(self, x):
            return super().forward(x).detach() + 0 * self.head.bias.sum()

    model, batch = Severed(), sigmoids()[1]
    cured = sg.cure(model, batch, F.cross_entropy)
    assert cured.taken is None
    assert cured.after is cured.before
    assert cured.words.startswith("not cured: ")
    assert all(torch.equal(a, b) for a, b in zip(cured.model.parameters(), model.parameters(), strict=True))


def test_a_healthy_model_gets_nothing() -> None:
    model, batch = sigmoids(1)
    for fc in model.fcs:
        nn.init.xavier_normal_(fc.weight, gain=4)
    cured = sg.cure(model, batch, F.cross_entropy, optimizer=torch.optim.Adam(model.parameters(), lr=1e-2))
    assert cured.before.verdict is Verdict.HEALTHY
    assert cured.taken is None
    assert "nothing to cure" in cured.words


@pytest.mark.long
def test_a_clip_joins_what_diverges_in_all_but_slow_steps() -> None:
    """Squares of squares have cliffs: folded they learn, and a step off a cliff ends the run."""
    one = made("squared-six-times")
    cured = sg.cure(one.model, one.batch, one.loss_fn, optimizer=one.optimizer)
    alone = next(tried for tried in cured.tried if tried.candidate.name == "folded-initialisation")
    assert cured.taken is not None
    assert cured.taken.candidate.name == "folded-initialisation+clip-norm"
    assert alone.learned is not None
    assert cured.taken.learned is not None
    assert cured.taken.learned > alone.learned
    assert alone.rate is not None
    assert cured.optimizer.param_groups[0]["lr"] >= 10 * alone.rate
    assert "slow steps" in cured.words
    assert not [warning for change in cured.changes for warning in change.warnings]
    unclipped = sg.cure(one.model, one.batch, one.loss_fn, optimizer=one.optimizer, allow="numbers")
    assert unclipped.taken is not None
    assert unclipped.taken.candidate.name == "folded-initialisation"


@pytest.mark.long
def test_a_cure_of_two_is_named_by_both() -> None:
    model, batch = sigmoids(20)
    cured = sg.cure(model, batch, F.cross_entropy, only="xavier-initialisation+batch-norm-before")
    assert cured.taken is not None
    assert cured.taken.candidate.group == "normalisation"
    assert {edit.action for edit in cured.taken.candidate.edits} == {"initialise", "normalise"}


def test_the_planner_knows_no_cure_by_name() -> None:
    known = {name for cure in cures.load() for name in (cure.name, cure.name.replace("-", "_"), *cure.candidates)}
    for module in (planner, candidates, evaluate):
        tree = ast.parse(inspect.getsource(module))
        said = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        assert not said & (known - set(GROUPS)), module.__name__


def test_cures_that_act_on_numbers_come_behind_those_that_put_something_in() -> None:
    phases = {cure.name: cure.phase for cure in cures.load()}
    assert {name for name, phase in phases.items() if phase == 0} >= {"normalise", "residual", "swap-activation"}
    assert phases["initialise"] < phases["learning-rate"] < phases["clipping"]
    assert [cure.name for cure in cures.load() if cure.searches_rate] == ["learning-rate"]
