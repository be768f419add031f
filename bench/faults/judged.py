"""One fault under one policy: the guarded run, and whether its alarm and its end are what they should be.

A policy promises: "warn" changes nothing; "skip" leaves out the ill step, and only that; "lower" and "clip" change rate and
clip, and nothing at that moment; "rollback" puts every bit back to the snapshot; "stop" raises before the ill step is taken,
with everything saved; a function is called once. Each promise is checked by fingerprints of all weights and optimizer state.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import steadygrad
from bench.faults.fault import Fault
from bench.faults.table import FAULTS
from bench.faults.training import Script, fingerprint
from steadygrad.record import Action, Alarm

LATER = ("SG102", "SG106", "SG204", "SG305", "SG306", "SG307")
"""Codes that are told by what a step did, or by several: it cannot be skipped any more."""
POLICIES = ("warn", "skip", "lower", "clip", "rollback", "stop", "callable")


@dataclass(frozen=True)
class Judged:
    """What the guard made of one fault under one policy."""

    fault: str
    policy: str
    alarms: tuple[Alarm, ...]
    actions: tuple[Action, ...]
    end: str
    """How the run ended, in words."""
    wrong: tuple[str, ...]
    """What was not as it should be; empty where all was right."""
    right_step: bool
    right_place: bool
    """Whether code, layer and cause are named."""


def examine(name: str, policy: str, *, every: int | None = None) -> Judged:
    """Run the fault, guarded. ``every`` None: at the guard's default."""
    torch.manual_seed(0)
    fault = FAULTS[name]
    script = fault.make()
    called: list[Alarm] = []
    sparse = {} if every is None else {"every": every}
    with tempfile.TemporaryDirectory() as folder:
        guard = steadygrad.guard(
            script.model,
            script.optimizer,
            on_alarm=called.append if policy == "callable" else policy,
            journal=Path(folder, "run.sgj"),
            say=lambda line: None,
            **fault.options,
            **sparse,
        )
        script.run()
        guard.detach()
        alarms = [alarm for alarm in guard.alarms if fault.info or alarm.severity != "info"]
        wrong_step, wrong_place = step_of(fault, alarms), place_of(fault, alarms)
        wrong = [
            *number_of(fault, alarms),
            *wrong_step,
            *wrong_place,
            *kept(name, policy, script, guard, called, folder),
        ]
    done = len(script.prints) - 1
    end = f"stopped at {done + 1}" if script.stopped is not None else f"ran {done}"
    return Judged(
        name,
        policy,
        tuple(alarms),
        tuple(guard.actions),
        end,
        tuple(dict.fromkeys(wrong)),
        not wrong_step,
        not wrong_place,
    )


def work(job: tuple[str, str, int | None]) -> Judged:
    """``examine`` in a process of its own."""
    torch.set_num_threads(1)
    name, policy, every = job
    return examine(name, policy, every=every)


def number_of(fault: Fault, alarms: list[Alarm]) -> list[str]:
    """Whether it is one alarm, where one is all that there is to tell."""
    if len(alarms) > 1 and fault.alone:
        return [f"{len(alarms)} alarms: {', '.join(f'{a.code} at {a.step}' for a in alarms)}"]
    return []


def step_of(fault: Fault, alarms: list[Alarm]) -> list[str]:
    """Whether the first alarm names the step, and in time."""
    if not alarms:
        return ["no alarm"]
    first, wrong = alarms[0], []
    if not first.step - first.delay - fault.drift <= fault.step <= first.step + fault.early:
        wrong.append(f"step {first.step} - {first.delay}, not {fault.step}")
    if first.noticed > fault.step + fault.late * (1 + first.delay) + first.delay + fault.drift:
        wrong.append(f"noticed at {first.noticed} only")
    return wrong


def place_of(fault: Fault, alarms: list[Alarm]) -> list[str]:
    """Whether the first alarm names what it is, the layer and the cause."""
    if not alarms:
        return ["no alarm"]
    first, wrong = alarms[0], []
    if first.code not in fault.codes:
        wrong.append(f"{first.code}, not {' or '.join(fault.codes)}")
    if first.parameter not in fault.parameters:
        wrong.append(f"{first.parameter or 'the model'}, not {fault.parameters[0] or 'the model'}")
    said = f"{first.message} {first.cause} {first.location or ''}"
    if not re.search(fault.says, said):
        wrong.append(f"nothing of {fault.says!r} in {said!r}")
    return wrong


def kept(name: str, policy: str, script: Script, guard: Any, called: list[Alarm], folder: str) -> list[str]:
    """Whether the run ended as the policy promises."""
    prints, actions, fault = script.prints, list(guard.actions), FAULTS[name]
    of = {kind: [one for one in actions if one.kind == kind] for kind in (*POLICIES[1:-1], "call")}
    wrong: list[str] = []

    def must(held: bool, words: str) -> None:
        if not held:
            wrong.append(words)

    alarm = guard.alarms[0] if guard.alarms else None
    # Where everything is watched, what is sudden is caught before its step is taken.
    caught = alarm is not None and alarm.noticed == alarm.step and alarm.code not in LATER
    if policy == "warn":
        must(not actions and script.stopped is None, "warn acted")
        must("clip" in fault.options or prints == bare(name), "warn changed the run")
    if policy == "callable":
        must(len(called) == len(guard.alarms), f"called {len(called)} times for {len(guard.alarms)} alarms")
        must(prints == bare(name), "a call changed the run")
    if policy == "skip":
        must(all(prints[one.step] == script.found[one.step - 1] for one in of["skip"]), "a skipped step was taken")
        must(not caught or bool(of["skip"]), "nothing was skipped")
        must(not fault.once or (len(actions) == 1 and script.stopped is None), "one ill step took more than one skip")
    if policy in ("lower", "clip"):
        must(bool(of[policy]), f"no {policy}")
        must(prints[: _first(of[policy])] == bare(name)[: _first(of[policy])], "changed before its action")
    if policy == "lower" and of["lower"]:
        factor = guard.optimizers[0].rate_factor
        must(factor == 0.5 ** len(of["lower"]), f"rate factor {factor} after {len(of['lower'])}")
    if policy == "clip" and of["clip"] and of["clip"][0].after:
        must(guard.optimizers[0].clipper is not None, "no clip")
    if policy == "rollback":
        must(bool(of["rollback"]), "no rollback")
        for one in of["rollback"]:
            must(prints[one.step] == prints[int(one.after["step"])], f"step {one.step}: not the snapshot's bits")
            must(fault.late > 100 or one.after["step"] < fault.step, "the snapshot was ill itself")
        must(
            not fault.once or (len(actions) == 1 and resumes(name, script, of["rollback"])),
            "did not resume bit for bit",
        )
    if policy == "stop":
        must(script.stopped is not None, "did not stop")
        must(len(actions) == 1 and actions[0].kind == "stop", "other actions than stop")
        if script.stopped is not None and caught and alarm is not None:
            must(len(prints) == alarm.step, f"stopped after {len(prints) - 1} steps")
        last = fingerprint(script.model, script.optimizer)
        saved = Path(folder, "run.stopped.pt")
        must(saved.exists() and _saved(saved, fault) == last, "what was saved is not the run's last state")
    limits = {"skip": 5, "lower": 3, "clip": 3, "rollback": 3}
    if policy in limits:
        must(len(of[policy]) <= limits[policy], f"{len(of[policy])} times {policy}")
        must((script.stopped is not None) == bool(of["stop"]), "stopped without its action")
    return wrong


def resumes(name: str, script: Script, rolled: list[Action]) -> bool:
    """Whether the run goes on from the snapshot as a bare run does that was never ill."""
    (one,) = rolled
    torch.manual_seed(0)
    again = FAULTS[name].make()
    again.steps, last = int(one.after["step"]), again.steps
    again.run()
    again.steps = last
    again.run(begin=one.step + 1)
    return again.prints[-1] == script.prints[-1]


_bare: dict[str, list[str]] = {}


def bare(name: str) -> list[str]:
    """Fingerprints of the same run, with nobody watching."""
    if name not in _bare:
        torch.manual_seed(0)
        _bare[name] = FAULTS[name].make().run().prints
    return _bare[name]


def _first(actions: list[Action]) -> int:
    return actions[0].step if actions else 0


def _saved(path: Path, fault: Fault) -> str:
    """The fingerprint of what was saved."""
    held = torch.load(path, weights_only=True)
    script = fault.make()
    script.model.load_state_dict(held["model"][0])
    script.optimizer.load_state_dict(held["optimizer"][0])
    return fingerprint(script.model, script.optimizer)
