"""A large update that is told where the rows behind it show harm, or where there are none."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from steadygrad.detect.history import PendingUpdate, State
from steadygrad.detect.judge import limits, logs
from steadygrad.detect.updates import confirmed
from steadygrad.record import Severity
from steadygrad.record.fault_kind import FaultKind
from tests.detect.made import rows, then, warm
from tests.detect.updating import QUIET, THREE, ran, updated

NAN, INF = math.nan, math.inf


def pending(ratio: float = 0.4, loss: float = 1.0, **given: Any) -> State:
    """A run whose step 61 changed its weights by much, without a usual update to compare that with."""
    state = warm(THREE, losses=loss if math.isfinite(loss) else None)
    then(state, [1.0], losses=[loss])
    assert updated(state, 61, [ratio] * 3, loss=loss, **given) == []
    return state


@pytest.mark.parametrize(("ratio", "waits"), [(1 / 3, True), (0.333, False)])
def test_an_update_of_a_third_waits_for_the_rows_behind_it(ratio: float, waits: bool) -> None:
    state = pending(ratio)
    assert (limits(state).loss == -INF) == waits
    assert bool(then(state, [1.0], losses=[1.6])) == waits


@pytest.mark.parametrize(
    ("loss", "harmless", "harmful", "words"),
    [(1.0, 1.5, 1.51, "from 1 to 1.51"), (-2.0, -1.0, -0.99, "from -2 to -0.99"), (4.0, 6.0, 6.01, "from 4 to 6.01")],
)
def test_a_loss_that_rises_by_half_its_size_shows_harm(
    loss: float, harmless: float, harmful: float, words: str
) -> None:
    assert then(pending(loss=loss), [1.0], losses=[harmless]) == []
    (one,) = then(pending(loss=loss), [1.0], losses=[harmful])
    assert (one.code, one.severity, one.step, one.last_step) == ("SG204", Severity.ERROR, 61, 62)
    assert (one.column, one.columns, one.kind) == (0, (0, 2), FaultKind.RATE)
    assert one.message == (
        f"one step changes this weight by 0.4 times its norm, and 1 more weight by over a third; the loss then rises {words}"
    )
    assert one.cause == "the learning rate of 0.125 is too high for this optimizer"


def test_a_gradient_that_grows_threefold_shows_harm() -> None:
    assert then(pending(), [3.1], losses=[1.0]) == []
    (one,) = then(pending(), [3.2], losses=[1.0])
    assert one.message.endswith("; the gradient norm then grows by ×3.2") and one.step == 61
    assert len(then(pending(loss=NAN), [3.2], losses=[NAN])) == 1


def test_what_was_not_known_of_the_step_shows_no_harm() -> None:
    assert then(pending(loss=NAN), [1.0], losses=[1e6]) == []
    assert then(pending(total=NAN), [9.0], losses=[1.0]) == []


@pytest.mark.parametrize(("norm", "loss", "harm"), [(NAN, 1.0, True), (1.0, INF, True), (1.0, NAN, False)])
def test_a_next_step_that_is_not_finite_shows_harm(norm: float, loss: float, harm: bool) -> None:
    found = [one for one in then(pending(), [norm], losses=[loss]) if one.code == "SG204"]
    assert [one.message.endswith("; the next step is not finite") for one in found] == [True] * harm


@pytest.mark.parametrize("blocks", [1, 10])
@pytest.mark.parametrize(("quiet", "harm"), [(2, True), (3, False)])
def test_harm_shows_within_three_rows(quiet: int, harm: bool, blocks: int) -> None:
    state = pending()
    found = then(state, np.ones(quiet + 1), losses=[1.0] * quiet + [1.6], blocks=blocks)
    assert [one.step for one in found] == [61] * harm
    assert limits(state).loss > 0, "it waits no longer"


def test_rows_before_the_step_show_no_harm_of_it() -> None:
    state = warm(THREE, losses=1.0)
    assert updated(state, 61, [0.4] * 3) == []
    assert then(state, [1.0], losses=[1.6]) == []
    assert len(then(state, [1.0], losses=[1.6])) == 1


@pytest.mark.parametrize(
    ("ratios", "words"),
    [
        ([0.4, 9.0, QUIET], "0.4 times its norm; the"),
        ([0.4, 0.1, 0.5], "0.5 times its norm, and 1 more weight by over a third; the"),
    ],
)
def test_a_harmful_update_names_the_weight_it_changed_most(ratios: list[float], words: str) -> None:
    state = warm(THREE, losses=1.0)
    then(state, [1.0], losses=[1.0])
    updated(state, 61, ratios)
    (one,) = then(state, [1.0], losses=[1.6])
    assert words in one.message and one.column == (2 if "more" in words else 0)


def test_a_program_that_subtracts_by_itself_has_no_rate_to_blame() -> None:
    (one,) = then(pending(rate=NAN), [1.0], losses=[1.6])
    assert one.kind is FaultKind.UNKNOWN and one.cause.startswith("what the program subtracts")


def test_only_the_first_of_several_waits() -> None:
    state = pending()
    updated(state, 62, [0.5] * 3)
    assert [one.step for one in then(state, [1.0, 1.0], losses=[1.0, 1.6], blocks=2)] == [61]


def test_an_update_that_was_told_does_not_wait() -> None:
    state = ran()
    assert len(updated(state, 61, [0.5] * 3)) == 1
    assert limits(state).loss == INF


def test_a_large_last_step_of_a_run_is_told() -> None:
    state, none, some = pending(), rows(np.zeros((0, 3))), rows(np.ones((1, 3)), steps=[61])
    assert list(confirmed(state, some, logs(some))) == []
    (one,) = confirmed(state, some, logs(some), ending=True)
    assert one.message.endswith("; the run ends right after it") and one.last_step == 61
    (one,) = confirmed(pending(), none, logs(none), ending=True)
    assert one.last_step == 61
    later = rows(np.ones((1, 3)), steps=[62])
    assert list(confirmed(pending(), later, logs(later), ending=True)) == []


def test_three_weights_are_two_more() -> None:
    state = warm(THREE)
    state.pending_update = PendingUpdate(61, 0, 0.4, (0, 1, 2), 1.0, 0.0, 0.1)
    (one,) = confirmed(state, rows(np.zeros((0, 3))), np.zeros((0, 4)), ending=True)
    assert "and 2 more weights by over a third" in one.message
