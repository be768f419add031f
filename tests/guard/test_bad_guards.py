"""Whatever a guard cannot do is said in one clear sentence when it is attached, and never in the training loop."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import steadygrad
from steadygrad import Clip, OnAlarm

MODEL = nn.Linear(3, 2)
OTHER = nn.Linear(3, 2)


def sgd(model: nn.Module = MODEL) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.1)


def empty() -> torch.optim.Optimizer:
    optimizer = sgd()
    optimizer.param_groups.clear()
    return optimizer


class Wrapper:
    """As libraries wrap an optimizer."""

    def __init__(self) -> None:
        self.optimizer = sgd()


def guard(*given: Any, **options: Any) -> Callable[[], Any]:
    def attach() -> Any:
        return steadygrad.guard(*(one() if one in (sgd, empty, Wrapper) else one for one in given), **options)

    return attach


BAD: dict[str, tuple[Callable[[], Any], str]] = {
    "lo > hi": (lambda: Clip.value(1, -1), "expected low ≤ high"),
    "a NaN bound": (lambda: Clip.value(math.nan, 1), "is NaN"),
    "a NaN norm": (lambda: Clip.norm(math.nan), "is NaN"),
    "a negative norm": (lambda: Clip.norm(-1), "expected 0 or more"),
    "a norm of a strange type": (lambda: Clip.norm(1, 3), "expected 2 or inf"),
    "a share above 1": (lambda: Clip.quantile(1.5), "expected 0 to 1"),
    "a ratio of 0": (lambda: Clip.adaptive(0), "expected a number above 0"),
    "a bound that is text": (lambda: Clip.norm("large"), "expected a number"),  # type: ignore[arg-type]
    "an unknown clip": (lambda: Clip.parse("valeu:1"), "did you mean value"),
    "a clip without its numbers": (lambda: Clip.parse("value:1"), "expected 2"),
    "an optimizer without parameters": (guard(MODEL, empty), "holds no parameters"),
    "parameters not in the model": (guard(OTHER, sgd), "none of the optimizer's 2 parameters is the model's"),
    "a model that is no module": (guard("net", sgd), "the model is str"),
    "a function for a model": (guard(F.relu, sgd), "expected a torch.nn.Module"),
    "no model": (guard([], sgd), "no model to guard"),
    "no optimizer": (guard(MODEL, []), "no optimizer to guard"),
    "an optimizer that is none": (guard(MODEL, 3), "the optimizer is int"),
    "a wrapped optimizer": (guard(MODEL, Wrapper), "pass its .optimizer"),
    "the same optimizer twice": (lambda: (lambda o: steadygrad.guard(MODEL, [o, o]))(sgd()), "passed twice"),
    "a clip that is a number": (guard(MODEL, sgd, clip=1.0), "expected a steadygrad.Clip"),
    "an unknown action": (guard(MODEL, sgd, on_alarm="skipp"), "did you mean skip"),
    "an action that is a number": (guard(MODEL, sgd, on_alarm=3), "or a function"),
    "a limit of 0": (lambda: OnAlarm("skip", at_most=0), "above 0"),
    "a limit that is text": (lambda: OnAlarm("skip", within="day"), "above 0"),  # type: ignore[arg-type]
    "an unknown last resort": (lambda: OnAlarm("skip", then="explode"), "unknown action 'explode'"),
    "a policy cut short": (lambda: OnAlarm.parse("skip:5"), "expected KIND:AT_MOST/WITHIN:THEN"),
    "an overhead of 0": (guard(MODEL, sgd, overhead=0), "overhead is 0"),
    "an overhead above 1": (guard(MODEL, sgd, overhead=2), "overhead is 2"),
    "a negative probe_every": (guard(MODEL, sgd, probe_every=-1), "0 or more"),
    "a broken number of steps": (guard(MODEL, sgd, probe_every=1.5), "whole number"),
    "every 0 steps": (guard(MODEL, sgd, every=0), "1 or more"),
    "a journal that is a number": (guard(MODEL, sgd, journal=3), "expected a path"),
    "a negative snapshot": (guard(MODEL, sgd, snapshot_bytes=-1), "0 or more"),
}


@pytest.mark.parametrize("name", BAD)
def test_it_is_one_clear_sentence(name: str) -> None:
    attach, words = BAD[name]
    with pytest.raises(steadygrad.SteadygradError) as raised:
        attach()
    text = str(raised.value)
    assert words in text
    assert "\n" not in text and len(text) < 250
    assert not MODEL._forward_hooks


def _no_journal(path: Path) -> None:
    path.write_text("step,loss\n1,2.3\n" * 100)


def _other_database(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("create table mine (x)")
    connection.close()


def _newer(path: Path) -> None:
    guard = steadygrad.guard(MODEL, sgd(), journal=path)
    guard.detach()
    connection = sqlite3.connect(path)
    connection.execute("pragma user_version = 999")
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("make", "words"),
    [(_no_journal, "journal"), (_other_database, "journal"), (_newer, "version 999")],
    ids=["text", "other", "newer"],
)
def test_a_file_that_is_no_journal_of_ours_is_left_alone(
    make: Callable[[Path], None], words: str, tmp_path: Path
) -> None:
    path = tmp_path / "run.sgj"
    make(path)
    before = path.read_bytes()
    optimizer = sgd()
    with pytest.raises(steadygrad.SteadygradError, match=words) as raised:
        steadygrad.guard(MODEL, optimizer, journal=path)
    assert "\n" not in str(raised.value)
    assert not optimizer._optimizer_step_pre_hooks and not MODEL._forward_hooks
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_written_to_never_stops_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said: list[str] = []
    model = nn.Linear(3, 2)
    optimizer = sgd(model)
    guard = steadygrad.guard(model, optimizer, journal=tmp_path / "file" / "run.sgj", say=said.append, probe_every=0)
    for _ in range(5):
        optimizer.zero_grad()
        model(torch.randn(4, 3)).square().mean().backward()
        optimizer.step()
    guard.detach()
    assert guard.steps == 5
    assert len(said) == 1 and "journal" in said[0]
