"""A short selection of ``bench.faults``: what is injected is named, under every policy, and healthy runs are left in peace."""

from __future__ import annotations

import math

import pytest

from bench.faults import healthy, outside
from bench.faults.judged import POLICIES, examine
from bench.faults.sick import FAULTS
from steadygrad._guard import one_optimizer
from tests.families import always

QUICK = [name for name, fault in FAULTS.items() if fault.late < 100]
SLOW = [name for name in FAULTS if name not in QUICK]


@pytest.mark.parametrize("name", always(QUICK, "spike"))
def test_step_layer_and_cause_are_named(name: str) -> None:
    assert examine(name, "warn").wrong == ()


@pytest.mark.long
@pytest.mark.parametrize("name", always(SLOW, "detached-layer"))
def test_also_of_what_takes_two_thousand_steps(name: str) -> None:
    """Saturation shows first as a loss that stands still; a run that stops there never sees which layer it is."""
    assert examine(name, "warn" if name == "slow-saturation" else "stop").wrong == ()


@pytest.mark.long
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    "name", always(["nan-in-batch", "corrupted-weights", "detached-layer", "rate-jump"], "rate-jump")
)
def test_the_run_ends_as_the_policy_promises(name: str, policy: str) -> None:
    assert examine(name, policy).wrong == ()


@pytest.mark.long
def test_a_roll_back_forgets_what_was_seen_and_kept_in_ill_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Told only when the ring is full, seventy steps late: by then another snapshot has been taken, and the medians are off."""
    monkeypatch.setattr(one_optimizer, "LATE", math.inf)
    assert examine("dying-layer", "rollback").wrong == ()


@pytest.mark.long
@pytest.mark.parametrize(
    "name", always(["cosine", "batch_size_changes", "unfrozen", "frozen_midway", "lstm"], "batch_size_changes")
)
def test_healthy_runs_are_quiet(name: str) -> None:
    assert healthy.alarms_of(name, 0, 1.0) == []


@pytest.mark.parametrize("name", always(["sick-rank", "full-disk", "memory-in-look", "kill-9"]))
def test_faults_from_outside(name: str) -> None:
    _, wrong = outside.FAULTS[name]()
    assert wrong == []
