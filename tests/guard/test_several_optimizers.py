"""Of several optimizers each line says which it is about, and steps that nobody looks at are told of with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import steadygrad
from steadygrad.launch.console import summary_lines
from steadygrad.launch.tallies import tally_of


class Generator(nn.Sequential):
    """A model with a name of its own."""


class Discriminator(nn.Sequential):
    """Another one."""


def adversaries(said: list[str]) -> steadygrad.Guard:
    """The discriminator takes forty steps, one of them with a huge gradient; the generator eight."""
    torch.manual_seed(0)
    made = Generator(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
    judge = Discriminator(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 1))
    first, second = torch.optim.Adam(made.parameters()), torch.optim.Adam(judge.parameters())
    guard = steadygrad.guard([made, judge], [first, second], say=said.append)
    for step in range(40):
        fake = made(torch.randn(32, 4))
        second.zero_grad()
        (judge(torch.randn(32, 2) + 2).mean() - judge(fake.detach()).mean()).backward()
        if step == 30:
            for parameter in judge.parameters():
                parameter.grad = 1e6 * parameter.grad  # type: ignore[operator]
        second.step()
        if step % 5 == 0:
            first.zero_grad()
            judge(fake).mean().backward()
            first.step()
    return guard


def test_each_line_says_which() -> None:
    said: list[str] = []
    guard = adversaries(said)
    guard.detach()
    assert [one.step for one in guard.optimizers] == [8, 40]
    names = ("Generator's Adam: ", "Discriminator's Adam: ")
    assert all(line.startswith(names) for line in said)
    assert [line.split(":")[0] for line in said if "first step" in line] == ["Discriminator's Adam", "Generator's Adam"]
    alarms = [line for line in said if "[SG201]" in line or "[SG206]" in line]
    assert alarms
    assert all(line.startswith("Discriminator's Adam: step 31: ") for line in alarms)
    told = summary_lines(tally_of(guard), clips=False, folder=Path())[0]
    assert told.startswith("40 steps · Generator's Adam 8, Discriminator's Adam 40 · ")


def one_model(kinds: tuple[type[Any], type[Any]]) -> list[str]:
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    parts = [kind(model[at].parameters(), lr=0.01) for kind, at in zip(kinds, (0, 2), strict=True)]
    said: list[str] = []
    with steadygrad.guard(model, parts, say=said.append):
        for _ in range(3):
            for one in parts:
                one.zero_grad()
            model(torch.randn(8, 4)).square().mean().backward()
            for one in parts:
                one.step()
    return said


def test_an_optimizer_whose_steps_are_not_looked_at_is_told_of_once() -> None:
    said = one_model((torch.optim.SGD, torch.optim.Adam))
    assert [line for line in said if line.startswith("no probe")] == [
        "no probe at the steps of Adam: its parameters are probed with the steps of Sequential's SGD, which hold most of it"
    ]


def test_a_look_that_the_budget_leaves_out_is_told_of_once() -> None:
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    said: list[str] = []
    with steadygrad.guard(model, optimizer, probe_every=2, overhead=1e-6, say=said.append) as guard:
        for _ in range(9):
            optimizer.zero_grad()
            model(torch.randn(8, 4)).square().mean().backward()
            optimizer.step()
    assert len(guard.looks) == 1
    assert [line for line in said if "not probed" in line] == [
        "some steps were not probed: probes have used their share of the run's time (1e-06); next: raise --overhead for more"
    ]


class Plain(nn.Module):
    """Three layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Linear(8, 32), nn.Linear(32, 32), nn.Linear(32, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.third(torch.tanh(self.second(torch.tanh(self.first(x)))))


@pytest.mark.long
def test_an_alarm_about_the_second_of_two_models_has_its_line_and_what_was_seen_there() -> None:
    """Two models of one class that no variables hold get a number; what a second run of the step shows has the model's own."""
    torch.manual_seed(0)
    models = [Plain(), Plain()]
    both = [torch.optim.Adam(model.parameters()) for model in models]
    guard = steadygrad.guard(models, both, say=lambda line: None)
    for step in range(1, 81):
        for model, optimizer in zip(models, both, strict=True):
            optimizer.zero_grad()
            model(torch.randn(32, 8)).square().mean().backward()
            if step == 70 and model is models[1]:
                weight = model.second.weight
                assert weight.grad is not None
                weight.grad *= 1e6
            optimizer.step()
    guard.detach()
    (alarm,) = guard.alarms
    assert (alarm.step, alarm.parameter, alarm.optimizer) == (70, "Plain#2.second.weight", 1)
    assert alarm.location is not None
    assert "changed it after backward()" in alarm.cause


def test_two_models_of_one_class_are_told_apart_by_their_variables() -> None:
    generator, critic = nn.Sequential(nn.Linear(4, 4)), nn.Sequential(nn.Linear(4, 1))
    both = [torch.optim.Adam(generator.parameters()), torch.optim.SGD(critic.parameters(), 0.1)]
    guard = steadygrad.guard([generator, critic], both, quiet=True)
    assert guard.which == ["generator's Adam", "critic's SGD"]
    assert guard.optimizers[1].columns.names == ("critic.0.weight", "critic.0.bias")
    guard.detach()


def test_attributes_of_self_tell_two_models_of_one_class_apart() -> None:
    class Trainer:
        def __init__(self) -> None:
            self.student, self.teacher = Plain(), Plain()

        def start(self) -> steadygrad.Guard:
            models = [self.student, self.teacher]
            return steadygrad.guard(models, [torch.optim.Adam(one.parameters()) for one in models], quiet=True)

    guard = Trainer().start()
    assert guard.which == ["student's Adam", "teacher's Adam"]
    guard.detach()


def test_steps_of_another_optimizer_of_the_same_weights_are_not_its_own() -> None:
    model = nn.Linear(4, 1)
    warm, after = torch.optim.Adam(model.parameters()), torch.optim.SGD(model.parameters(), lr=0.01)
    said: list[str] = []
    with steadygrad.guard(model, [warm, after], say=said.append) as guard:
        for optimizer in (warm,) * 5 + (after,) * 4:
            optimizer.zero_grad()
            model(torch.randn(8, 4)).square().mean().backward()
            optimizer.step()
    assert [one.step for one in guard.optimizers] == [5, 4]
    assert not any("no hook" in line for line in said)
