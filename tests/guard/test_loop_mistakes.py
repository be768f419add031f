"""Loops that use their gradients wrongly: each is told, at the step at which it began, soon after it has been done thrice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import clip_grad_norm_

import steadygrad
from tests.families import always
from tests.guard.loops import batch, net

STEPS = 130


@dataclass(frozen=True)
class Mistake:
    """A loop, and the alarm that it is to raise."""

    loop: Callable[[Mistake, Any], None]
    code: str
    words: str
    steps: tuple[int, ...]
    """Steps that the alarm may name as its beginning."""
    latest: int
    """The last step at which it may be told."""
    begins: int = 1


def _run(take: Callable[[int, nn.Module, torch.optim.Optimizer], None], make: Callable[[Any, Any], Any]) -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-5)
    make(model, optimizer)
    for step in range(1, STEPS + 1):
        take(step, model, optimizer)


def _loss(step: int, model: nn.Module) -> Any:
    x, y = batch(step, -1)
    return F.mse_loss(model(x), y)


def never_cleared(mistake: Mistake, make: Any) -> None:
    def take(step: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        if step < mistake.begins:
            optimizer.zero_grad()
        _loss(step, model).backward()
        optimizer.step()

    _run(take, make)


def no_new_backward(mistake: Mistake, make: Any) -> None:
    def take(step: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        if step < mistake.begins:
            optimizer.zero_grad()
            _loss(step, model).backward()
        optimizer.step()

    _run(take, make)


def cleared_before_step(mistake: Mistake, make: Any) -> None:
    def take(step: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        _loss(step, model).backward()
        if step >= mistake.begins:
            optimizer.zero_grad()
        optimizer.step()

    _run(take, make)


def zeroed_before_step(mistake: Mistake, make: Any) -> None:
    def take(step: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        _loss(step, model).backward()
        optimizer.zero_grad(set_to_none=False)
        optimizer.step()

    _run(take, make)


def clip_after_step(mistake: Mistake, make: Any) -> None:
    def take(step: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        _loss(step, model).backward()
        optimizer.step()
        if step >= mistake.begins:
            clip_grad_norm_(model.parameters(), 1.0)

    _run(take, make)


def clip_of_a_part(mistake: Mistake, make: Any) -> None:
    def take(step: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        _loss(step, model).backward()
        clip_grad_norm_(list(model.parameters())[:4], 1.0)
        optimizer.step()

    _run(take, make)


def two_clips(mistake: Mistake, make: Any) -> None:
    def take(step: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        _loss(step, model).backward()
        clip_grad_norm_(model.parameters(), 1.0)
        clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()

    _run(take, make)


def clip_before_unscale(mistake: Mistake, make: Any) -> None:
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**8)

    def take(step: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        scaler.scale(_loss(step, model)).backward()
        if step >= mistake.begins:
            clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()

    _run(take, make)


def cleared_every_second_time(mistake: Mistake, make: Any) -> None:
    def take(step: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        if step < mistake.begins or step % 2:
            optimizer.zero_grad()
        _loss(step, model).backward()
        optimizer.step()

    _run(take, make)


def not_unscaled(mistake: Mistake, make: Any) -> None:
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**8)

    def take(step: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        scaler.scale(_loss(step, model)).backward()
        if step >= mistake.begins:
            optimizer.step()
        else:
            scaler.step(optimizer)
            scaler.update()

    _run(take, make)


MISTAKES = {
    "cleared every second time": Mistake(cleared_every_second_time, "SG307", "10 of 19 steps so far added", (2,), 25),
    "cleared every second time from step 60": Mistake(
        cleared_every_second_time, "SG307", "steps so far added", (60,), 84, begins=60
    ),
    "not unscaled": Mistake(not_unscaled, "SG307", "still hold the loss scale (×256)", (1,), 10),
    "not unscaled from step 60": Mistake(
        not_unscaled, "SG307", "still hold the loss scale (×256)", (60,), 80, begins=60
    ),
    "never cleared": Mistake(never_cleared, "SG307", "in a row added", (1, 2), 5),
    "not cleared from step 60": Mistake(never_cleared, "SG307", "in a row added", (60,), 65, begins=60),
    "no new backward": Mistake(no_new_backward, "SG307", "no backward pass ran", (60,), 65, begins=60),
    "no new backward from step 2": Mistake(no_new_backward, "SG307", "no backward pass ran", (2,), 7, begins=2),
    "cleared before the step": Mistake(cleared_before_step, "SG307", "had no gradients", (1,), 4),
    "cleared before the step from step 60": Mistake(
        cleared_before_step, "SG307", "had no gradients", (60,), 65, begins=60
    ),
    "set to zero before the step": Mistake(zeroed_before_step, "SG307", "had no gradients", (1,), 4),
    "clip before unscale": Mistake(clip_before_unscale, "SG306", "still hold the loss scale", (1, 2, 3), 6),
    "clip before unscale from step 60": Mistake(
        clip_before_unscale, "SG306", "still hold the loss scale", (60, 61, 62, 63), 66, begins=60
    ),
    "clip after step": Mistake(clip_after_step, "SG306", "ran after the step", (1, 2, 3, 4), 7),
    "clip after step from step 60": Mistake(
        clip_after_step, "SG306", "ran after the step", (60, 61, 62, 63, 64), 67, begins=60
    ),
    "clip of a part": Mistake(clip_of_a_part, "SG306", "4 of 6 gradients", tuple(range(1, 101)), 100),
    "two clips": Mistake(two_clips, "SG306", "two clips", tuple(range(1, 101)), 100),
}


@pytest.mark.parametrize(
    "name",
    always(
        MISTAKES, "no new backward", "cleared before the step", "clip before unscale", "clip after step", "two clips"
    ),
)
def test_it_is_told(name: str) -> None:
    mistake = MISTAKES[name]
    made: list[Any] = []

    def make(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        made.append(steadygrad.guard(model, optimizer, say=lambda line: None))

    mistake.loop(mistake, make)
    (guard,) = made
    guard.detach()
    told = [alarm for alarm in guard.alarms if alarm.code in ("SG306", "SG307") and mistake.words in alarm.message]
    assert [alarm.code for alarm in told] == [mistake.code], [alarm.message for alarm in guard.alarms]
    assert told[0].step in mistake.steps
    assert told[0].noticed <= mistake.latest


@pytest.mark.parametrize("name", ["never cleared", "no new backward", "cleared before the step"])
def test_it_stands_where_the_step_is_taken(name: str) -> None:
    mistake = MISTAKES[name]
    made: list[Any] = []
    mistake.loop(
        mistake, lambda model, optimizer: made.append(steadygrad.guard(model, optimizer, say=lambda line: None))
    )
    (told,) = (alarm for alarm in made[0].alarms if alarm.code == "SG307")
    assert told.location is not None
    assert (Path(told.location.path), told.location.text) == (Path(__file__), "optimizer.step()")


def test_a_rate_of_0_stands_where_the_step_is_taken() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-5)
    guard = steadygrad.guard(model, optimizer, say=lambda line: None)
    for step in range(1, STEPS + 1):
        optimizer.zero_grad()
        _loss(step, model).backward()
        optimizer.step()
        optimizer.param_groups[0]["lr"] = 0.0
    guard.detach()
    (told,) = (alarm for alarm in guard.alarms if alarm.code == "SG106")
    assert told.location is not None
    assert told.location.text == "optimizer.step()"
    assert "scheduler" in told.advice


@pytest.mark.long
@pytest.mark.parametrize(("bound", "turns"), [(1e-3, True), (1e3, False)])
def test_a_clip_by_value_of_the_program_that_changes_the_direction_is_told(bound: float, turns: bool) -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-5)
    guard = steadygrad.guard(model, optimizer, say=lambda line: None)
    for step in range(1, STEPS + 1):
        optimizer.zero_grad()
        _loss(step, model).backward()
        torch.nn.utils.clip_grad_value_(model.parameters(), bound)
        optimizer.step()
    guard.detach()
    told = [alarm.message for alarm in guard.alarms if alarm.code == "SG306"]
    assert [message.startswith("clip_grad_value_(0.001) changes the direction: the median") for message in told] == [
        True
    ] * turns


@pytest.mark.long
def test_two_mistakes_of_one_loop_are_two_alarms() -> None:
    """One more incident does not hide them, whatever it is, and what comes of them is no alarm of its own."""
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-5)
    guard = steadygrad.guard(model, optimizer, say=lambda line: None)
    for step in range(1, STEPS + 1):
        loss = _loss(step, model) * (1e4 if step == 70 else 1)
        loss.backward()
        clip_grad_norm_(list(model.parameters())[:4], 1.0)
        optimizer.step()
    guard.detach()
    told = [alarm.code for alarm in guard.alarms]
    assert sorted(told) == sorted(set(told)) and {"SG306", "SG307"} <= set(told)
