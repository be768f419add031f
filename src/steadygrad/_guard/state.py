"""A guard's state as plain numbers, strings, lists and dicts, for a run that is resumed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from steadygrad._guard.one_optimizer import GuardedOptimizer
from steadygrad.detect.history import State
from steadygrad.errors import SettingsError


def summary_of(guard: Any) -> dict[str, Any]:
    """Steps, alarms by code, actions by kind, share clipped, looks of a ``Guard``."""
    return {
        "steps": guard.steps,
        "alarms": dict(Counter(alarm.code for alarm in guard.alarms)),
        "actions": dict(Counter(action.kind for action in guard.actions)),
        "clipped_share": guard.clipped_share,
        "interval": guard.options.every,
        "looks": len(guard.looks),
        "journal": guard.journal,
    }


def plain_state(optimizers: Sequence[GuardedOptimizer]) -> dict[str, Any]:
    """Running medians, levels, clip state and step counts."""
    return {
        "version": 1,
        "lanes": [
            {
                "step": one.step,
                "policy": one.state.as_plain(),
                "clip": None if one.clipper is None else one.clipper.as_plain(),
                "rate_factor": one.rate_factor,
            }
            for one in optimizers
        ],
    }


def load_plain(optimizers: Sequence[GuardedOptimizer], state: dict[str, Any]) -> None:
    """Go on from ``plain_state``'s. Raises ``SettingsError`` where it is not one, or of other optimizers."""
    if not isinstance(state, dict) or state.get("version") != 1 or not isinstance(state.get("lanes"), list):
        raise SettingsError("this is no state of a guard; pass what guard.state_dict() gave")
    if len(state["lanes"]) != len(optimizers):
        raise SettingsError(f"the state is of {len(state['lanes'])} optimizers, this guard has {len(optimizers)}")
    for one, kept in zip(optimizers, state["lanes"], strict=True):
        one.go_on_at(int(kept["step"]))
        one.know(State.from_plain(one.columns, kept["policy"]))
        one.rate_factor = float(kept["rate_factor"])
        if one.clipper is not None and kept["clip"] is not None:
            one.clipper.load_plain(kept["clip"])
