"""What is usual is what a run has shown: losses that climb, stay up or were always so, norms that burst now and then."""

from __future__ import annotations

import numpy as np
import pytest

from steadygrad.detect.history import State
from steadygrad.detect.judge import judge
from steadygrad.detect.losses import stands_still, worth_a_question
from steadygrad.detect.symptoms import Symptom
from steadygrad.record.rows import Array, Columns, Rows

COLUMNS = Columns(("0.weight", "0.bias", "1.weight", "1.bias"), (64, 8, 64, 8), (True, False) * 2)


def judged(norms: Array, losses: Array, blocks: int = 32) -> tuple[State, list[Symptom]]:
    """Each gradient with the norm of its step, in blocks of so many rows as a guard judges them."""
    state, found = State(COLUMNS), list[Symptom]()
    for begin in range(0, len(norms), blocks):
        steps = np.arange(begin + 1, min(begin + blocks, len(norms)) + 1)
        wide = np.repeat(norms[steps - 1, None], 4, axis=1).astype(np.float32)
        ones = np.ones(len(steps), np.float32)
        found += judge(state, Rows(steps, steps * 1.0, wide, ones, 0.1 * ones, losses[steps - 1]))
    return state, found


def noisy(steps: int, level: float = 1.0, seed: int = 0) -> Array:
    return level * np.exp(0.1 * np.random.default_rng(seed).standard_normal(steps))


@pytest.mark.parametrize("factor", [1.5, 2.0, 3.0])
@pytest.mark.parametrize("blocks", [1, 32, 128])
def test_a_loss_that_climbs_by_a_factor_each_step_is_told_before_it_is_a_hundredfold(
    factor: float, blocks: int
) -> None:
    losses = noisy(300)
    losses[250:] = factor ** np.arange(1, 51)
    _, found = judged(noisy(300), losses, blocks)
    assert {one.code for one in found} == {"SG207"}
    climb = found[0]
    assert 251 <= climb.step <= climb.last_step and losses[climb.last_step - 1] < 100
    assert losses[climb.step - 2] <= 1.5, "it begins where the loss leaves what it was"


@pytest.mark.parametrize("at", [226, 237, 250])
def test_a_loss_that_is_up_from_one_step_on_has_risen_at_that_step(at: int) -> None:
    losses = np.concatenate([2.4 * 0.99 ** np.arange(at - 1), noisy(120, 2.3)])
    state, found = judged(noisy(len(losses)), losses)
    assert found == [] and worth_a_question(state.losses)
    still = stands_still(state, len(losses), 0.0)
    assert still is not None and still.step == at


def test_a_loss_that_comes_down_again_is_no_question() -> None:
    losses = np.concatenate([noisy(250, 0.3), noisy(20, 2.3), 2.3 * 0.9 ** np.arange(50)])
    state, _ = judged(noisy(len(losses)), losses)
    assert not worth_a_question(state.losses)


def bursts(steps: int = 400) -> Array:
    """A run that falls by three decades, and at every fifteenth step has up to a hundred times its norm, more or less."""
    norms = noisy(steps) * np.maximum(1e-3, 0.8 ** np.arange(steps))
    norms[45::15] *= np.exp(np.random.default_rng(1).uniform(np.log(50), np.log(120), len(norms[45::15])))
    return norms


def test_a_gradient_that_bursts_now_and_then_is_usual_until_it_exceeds_its_bursts() -> None:
    norms = bursts()
    _, found = judged(norms, np.full(400, np.nan))
    assert [one.step for one in found] == []
    norms[300] = 5.0
    _, found = judged(norms, np.full(400, np.nan))
    assert [one.step for one in found] == [301]


@pytest.mark.parametrize("apart", [10, 30, 90])
def test_what_was_told_once_is_not_usual_afterwards(apart: int) -> None:
    norms = noisy(400)
    norms[[200, 200 + apart]] *= 100
    _, found = judged(norms, np.full(400, np.nan))
    assert [one.step for one in found] == [201, 201 + apart]
