"""What is healthy by the check and stands still at first is given a longer run, where nothing else heals."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import steadygrad as sg
from steadygrad.cures import plan as planner
from steadygrad.cures.evaluate import Options, Outcome
from steadygrad.record import Candidate, Edit, Tried, Verdict
from steadygrad.subject.subject import make_subject

CLASSES, LENGTH, HIDDEN = 4, 200, 32


class Stacked(nn.Module):
    """Three LSTMs on top of each other; the last state is read."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(CLASSES + 1, HIDDEN, num_layers=3, batch_first=True)
        self.head = nn.Linear(HIDDEN, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.rnn(x)[0][:, -1])  # type: ignore[no-any-return]


def recall() -> tuple[torch.Tensor, torch.Tensor]:
    """The first step shows a class, 199 steps of noise follow."""
    torch.manual_seed(0)
    y = torch.arange(1024) % CLASSES
    x = 0.2 * torch.randn(1024, LENGTH, CLASSES + 1)
    x[:, 0, :CLASSES] += 2 * F.one_hot(y, CLASSES)
    return x, y


def trained(model: nn.Module, optimizer: torch.optim.Optimizer) -> float:
    """The share of right answers on samples not trained on, after 400 steps."""
    x, y = recall()
    for step in range(400):
        rows = torch.randperm(768, generator=torch.Generator().manual_seed(step))[:64]
        optimizer.zero_grad()
        F.cross_entropy(model(x[rows]), y[rows]).backward()
        optimizer.step()
    with torch.no_grad():
        return float((model(x[768:]).argmax(1) == y[768:]).float().mean())


@pytest.mark.long
def test_stacked_lstms_over_two_hundred_steps_are_cured_although_they_stand_still_for_a_hundred() -> None:
    x, y = recall()
    loader = DataLoader(TensorDataset(x[:768], y[:768]), batch_size=64, shuffle=True)
    torch.manual_seed(0)
    model = Stacked()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    cured = sg.cure(model, loader, F.cross_entropy, optimizer=optimizer)
    assert cured.taken is not None and cured.taken.candidate.name == "chrono"
    assert cured.before.verdict is Verdict.WILL_NOT_TRAIN
    assert trained(model, optimizer) < 0.4
    assert trained(cured.model, cured.optimizer) > 0.75


def outcome(name: str, verdict: Verdict, learned: float | None) -> Outcome:
    candidate = Candidate(name, name, "numbers", "safe", (Edit("recurrent", name),))
    return Outcome(Tried(candidate, verdict, -1.0, 0.5, 0.0, learned, None))


@pytest.mark.parametrize(
    ("heals", "waited", "taken"),
    [
        ("second", ["first", "second"], "second"),
        ("first", ["first"], "first"),
        ("third", ["first", "second"], None),
    ],
)
def test_the_first_two_that_stand_still_are_waited_for(
    monkeypatch: pytest.MonkeyPatch, heals: str, waited: list[str], taken: str | None
) -> None:
    seen: list[str] = []

    def wait_for(_subject: object, one: Outcome, *_: object) -> Outcome:
        name = one.tried.candidate.name
        seen.append(name)
        return replace(one, tried=replace(one.tried, learned=0.9 if name == heals else 0.0))

    monkeypatch.setattr(planner, "wait_for", wait_for)
    outcomes = [
        outcome("sick", Verdict.WILL_NOT_TRAIN, 0.0),
        outcome("first", Verdict.HEALTHY, None),
        outcome("learned", Verdict.HEALTHY, 0.2),
        outcome("second", Verdict.HEALTHY, 0.01),
        outcome("third", Verdict.HEALTHY, None),
    ]
    subject = make_subject(nn.Linear(2, 2), torch.randn(4, 2))
    found = planner._awaited(subject, Options(), outcomes, lambda: False, lambda _: None)
    assert seen == waited
    assert (None if found is None else found.tried.candidate.name) == taken
    assert planner._awaited(subject, Options(), outcomes, lambda: True, lambda _: None) is None
