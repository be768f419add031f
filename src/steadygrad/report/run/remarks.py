"""The lines under the head of one alarm: what moved first, why, for how long, what was done, what to do.

May rely on the run's record and the room's words; must not know of widths or colours.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from steadygrad import numerals
from steadygrad.record.run import Run
from steadygrad.record.training import Action, Alarm, Sign

ROWS_NAMED = 8
"""Samples of a batch that are named, at most."""
ACTIONS_NAMED = 3

SIGNS = {
    "batch": "batch",
    "forward": "output",
    "loss": "loss",
    "gradient": "gradient",
    "moments": "optimizer state",
    "weights": "update",
    "rate": "learning rate",
}
"""The quantity that moved, by the kind of a sign."""


def remarks(run: Run, alarm: Alarm) -> Iterator[tuple[str, str]]:
    """Pairs of a name and a text, in the order in which they are read."""
    if alarm.first_sign:
        yield "first sign", alarm.first_sign
    if alarm.signs:
        yield "order", order(alarm.signs)
    if alarm.rows:
        yield "batch", f"without {samples(alarm.rows)} of the batch the gradient norm is in its usual range"
    if alarm.cause:
        yield "cause", alarm.cause
    yield "lasted", lasted(run, alarm)
    if alarm.noticed > alarm.step or alarm.delay:
        yield "detected", _detected(alarm)
    if alarm.symptoms:
        yield "also seen", ", ".join(alarm.symptoms)
    yield "action", answer(run, alarm)
    yield "next", alarm.advice or f"steadygrad explain {alarm.code}"


def order(signs: tuple[Sign, ...]) -> str:
    """``update of layers.2.weight (step 344, ×12.5) → loss (350, ×3)``."""
    told = []
    for number, sign in enumerate(signs):
        what = SIGNS.get(sign.kind, sign.kind) + (f" of {sign.where}" if sign.where else "")
        when = f"step {sign.step:,}" if number == 0 else f"{sign.step:,}"
        told.append(f"{what} ({when}{'' if math.isnan(sign.factor) else f', ×{numerals.number(sign.factor)}'})")
    return " → ".join(told)


def samples(rows: tuple[int, ...]) -> str:
    """``row 17``, ``rows 17 and 40``, ``rows 1, 2, 3 and 9 more``."""
    *first, last = [f"{row:,}" for row in rows[:ROWS_NAMED]]
    if len(rows) > ROWS_NAMED:
        first, last = [*first, last], f"{len(rows) - ROWS_NAMED:,} more"
    return f"rows {', '.join(first)} and {last}" if first else f"row {last}"


def answer(run: Run, alarm: Alarm) -> str:
    """Say what the guard did about it: each action with its step, else what the alarm says."""
    done = [one for one in run.actions if one.alarm == alarm.number]
    if not done:
        return "the guard warned and changed nothing" if alarm.action in ("", "warned") else alarm.action
    told = [acted(one, to=f" at step {one.step:,}") for one in done[:ACTIONS_NAMED]]
    left = len(done) - len(told)
    return "; ".join([*told, f"and {numerals.count(left, 'more action')}"] if left else told)


def acted(action: Action, *, to: str | None = None) -> str:
    """``lower (alarm ▲1): the rate was halved [lr 1.8e-4 → 9e-5]``; ``to`` stands in place of the alarm."""
    names = list(dict.fromkeys([*action.before, *action.after]))
    changes = [f"{name} {_number(action.before, name)} → {_number(action.after, name)}" for name in names]
    if to is None:
        to = f" (alarm ▲{action.alarm})" if action.alarm else ""
    told = f"{action.kind}{to}: {action.message}" if action.message else f"{action.kind}{to}"
    return told + (f" [{', '.join(changes)}]" if changes else "")


def _number(values: dict[str, float], name: str) -> str:
    return numerals.number(values[name]) if name in values else "–"


def lasted(run: Run, alarm: Alarm) -> str:
    """Say for how many steps it was seen, and whether it is over."""
    last = max(alarm.last_step, alarm.step)
    steps = numerals.count(last - alarm.step + 1, "step")
    span = f"{steps} ({alarm.step:,} to {last:,})" if last > alarm.step else steps
    if alarm.ended:
        return span
    if not run.finished:
        return f"{span} so far"
    return f"{span}, to the end of the run" if run.steps <= last else f"{span}; still open when the run ended"


def _detected(alarm: Alarm) -> str:
    late = alarm.noticed - alarm.step
    after = f", {numerals.count(late, 'step')} after it began" if late > 0 else ""
    earlier = f"; it may have begun up to {numerals.count(alarm.delay, 'step')} earlier" if alarm.delay else ""
    return f"at step {max(alarm.noticed, alarm.step):,}{after}{earlier}"
