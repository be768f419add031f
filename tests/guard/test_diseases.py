"""Diseases of long runs are named, at the layer and with their cause; the same runs as they should be are left in peace."""

from __future__ import annotations

import pytest
import torch

import steadygrad as sg
from bench.faults.diseases import FAULTS, HEALTHY
from bench.faults.judged import examine
from tests.families import always


@pytest.mark.long
@pytest.mark.parametrize("name", always(list(FAULTS), "drifting-gain"))
def test_step_layer_and_cause_are_named(name: str) -> None:
    assert examine(name, "warn").wrong == ()


@pytest.mark.long
@pytest.mark.parametrize("name", always(list(HEALTHY), "drifting-gain"))
def test_the_same_run_as_it_should_be_has_no_alarm(name: str) -> None:
    torch.manual_seed(0)
    script = HEALTHY[name]()
    guard = sg.guard(script.model, script.optimizer, say=lambda line: None, **FAULTS[name].options)
    script.run(fingerprints=False)
    guard.detach()
    assert guard.alarms == []
