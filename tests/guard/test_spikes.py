"""Spikes of one batch from the fourth step on, first signs and bad rows: what is injected is there, and the guard names it.

The first tests do not ask the guard: they measure, with hooks of the bench's own, that each fault is what it is said to be.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from bench.faults import order, rows
from bench.faults.fault import AT
from bench.faults.healthy import alarms_of
from bench.faults.judged import examine
from bench.faults.recorder import Lane, Recorder
from bench.faults.spikes import FAULTS, LOOP_STEPS, LOOPS, NETS, SOME, spiking
from bench.faults.training import Script
from tests.families import always, one_in

SPIKES = [(net, at, "plain") for net in NETS for at in SOME] + [
    ("mlp", at, loop) for loop in LOOPS for at in LOOP_STEPS
]
TOLD = [f"spike-mlp-{at}" for at in range(4, 61, 4)] + [name for name in FAULTS if "mlp" not in name]


def recorded(script: Script) -> Lane:
    recorder = Recorder()
    recorder(script.model, [script.optimizer])
    try:
        script.run(fingerprints=False)
    finally:
        recorder.close()
    return recorder.lanes[0]


@pytest.mark.parametrize("spike", one_in(12, SPIKES, name=lambda spike: "-".join(map(str, spike))))
def test_the_spike_stands_a_decade_above_all_before_it(spike: tuple[str, int, str]) -> None:
    net, at, loop = spike
    torch.manual_seed(0)
    lane = recorded(spiking(net, at, loop))
    norms = np.array(lane.norms)
    total = np.sqrt(np.square(norms).sum(axis=1))
    first = norms[:, lane.names.index(NETS[net][1])]
    assert math.log10(total[at - 1] / total[: at - 1].max()) > 1
    assert math.log10(first[at - 1] / first[: at - 1].max()) > 1
    assert lane.losses[at - 1] > 10 * max(lane.losses[: at - 1]) or loop == "accumulated"


@pytest.mark.parametrize("run", one_in(5, range(len(rows.TASKS))))
def test_the_bad_rows_stand_apart(run: int) -> None:
    assert rows.planned(run).apart >= rows.APART


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name, case in order.CASES.items() if case.kind == "gradient"])
def test_loss_and_forward_pass_know_nothing_of_a_fault_of_the_gradient(name: str) -> None:
    torch.manual_seed(0)
    lane = recorded(order.CASES[name].make())
    total = np.sqrt(np.square(np.array(lane.norms)).sum(axis=1))
    assert lane.losses[AT - 1] < max(lane.losses[AT - 60 : AT - 1])
    assert not total[AT - 1] < 10 * total[: AT - 1].max()


@pytest.mark.parametrize(
    "name", one_in(6, [name for name, case in order.CASES.items() if case.kind in ("moments", "rate")])
)
def test_gradient_and_loss_of_an_oversized_step_are_usual(name: str) -> None:
    torch.manual_seed(0)
    case = order.CASES[name]
    lane = recorded(case.make())
    total = np.sqrt(np.square(np.array(lane.norms)).sum(axis=1))
    assert total[case.step - 1] < 3 * np.median(total[: case.step - 1])
    assert total[case.step] > 3 * np.median(total[: case.step - 1])


@pytest.mark.long
@pytest.mark.parametrize("name", one_in(16, TOLD))
def test_step_layer_and_cause_of_a_spike_are_named(name: str) -> None:
    assert examine(name, "warn").wrong == ()


@pytest.mark.long
@pytest.mark.parametrize("name", one_in(12, [name for name in order.CASES if "early" not in name]))
def test_the_first_sign_is_told_as_such(name: str) -> None:
    told = order.examine(name)
    assert told.right, told


@pytest.mark.long
@pytest.mark.parametrize("run", one_in(10, range(20)))
def test_exactly_the_bad_rows_are_told(run: int) -> None:
    told = rows.examine(run)
    assert told.right, told


@pytest.mark.long
@pytest.mark.parametrize(
    "name",
    always(["clip_norm", "zero_branches", "several_tasks", "proximal", "slow_start", "added_groups"], "clip_norm"),
)
def test_healthy_runs_of_more_kinds_are_quiet(name: str) -> None:
    assert alarms_of(name, 0, 1.0) == []
