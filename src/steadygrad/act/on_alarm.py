"""The user's choice of what a guard does about an alarm, and how often at most. Pure: no torch, nothing is changed here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from steadygrad.errors import SettingsError, TrainingStopped
from steadygrad.record import Alarm
from steadygrad.written import nearest

KINDS = ("warn", "skip", "lower", "clip", "rollback", "stop")
"""Warn only; leave the step out; halve the learning rate; halve the clip's bound; go back to the last good snapshot; stop."""

LIMITS = {
    "warn": (0, 0),
    "skip": (5, 100),
    "lower": (3, 1000),
    "clip": (3, 1000),
    "rollback": (3, 1000),
    "stop": (1, 1),
}
"""By default: so many times within so many steps, then ``then``. 0 of 0: no limit."""

WAIT = 10
"""Steps that an action other than skipping is given to work before it is taken again in the same incident."""


@dataclass(frozen=True)
class OnAlarm:
    """``OnAlarm("skip", at_most=5, within=100, then="stop")``: what to do, how often at most, and what after that.

    ``kind`` may also be a function of the alarm, which is called; it may return one of the kinds, which is then done.
    ``stop`` is called with the reason in place of raising ``TrainingStopped``: the step at hand is left out, nothing more is
    done, and whoever made the loop ends it.
    Raises ``SettingsError`` for a kind that there is not, or limits that are not whole numbers above 0.
    """

    kind: str | Callable[[Alarm], Any] = "warn"
    at_most: int | None = None
    within: int | None = None
    then: str = "stop"
    stop: Callable[[TrainingStopped], None] | None = None

    def __post_init__(self) -> None:
        """Raise ``SettingsError`` for an unknown action or a limit below 1."""
        for word in (self.kind, self.then):
            if isinstance(word, str):
                _known(word)
            elif not callable(word):
                raise SettingsError(f"on_alarm is {word!r}, expected one of {', '.join(KINDS)}, or a function")
        for name, number in (("at_most", self.at_most), ("within", self.within)):
            if number is not None and (not isinstance(number, int) or isinstance(number, bool) or number < 1):
                raise SettingsError(f"{name} of on_alarm is {number!r}, expected a whole number above 0")

    @classmethod
    def parse(cls, text: str) -> OnAlarm:
        """Read ``KIND``, ``KIND:AT_MOST/WITHIN`` or ``KIND:AT_MOST/WITHIN:THEN``, as on the command line."""
        kind, _, rest = text.partition(":")
        limits, _, then = rest.partition(":")
        if not rest:
            return cls(_known(kind))
        most, slash, within = limits.partition("/")
        if not (slash and most.isdecimal() and within.isdecimal()):
            raise SettingsError(f"on-alarm is {text!r}, expected KIND:AT_MOST/WITHIN:THEN such as skip:5/100:stop")
        return cls(_known(kind), int(most), int(within), _known(then) if then else "stop")

    def limit(self, kind: str) -> tuple[int, int]:
        """Return how often a kind of action may be taken, and within how many steps."""
        most, within = LIMITS.get(kind, (0, 0))
        return self.at_most or most, self.within or within


def decide(told: OnAlarm, wanted: str, taken: list[tuple[int, str]], step: int) -> tuple[str, str]:
    """The kind of action for this step, and in words how near the limit is ("" the first time), or that it has been reached.

    ``taken`` are the steps and kinds of the actions so far.
    """
    most, within = told.limit(wanted)
    recent = sum(1 for at, kind in taken if kind == wanted and step - at < within)
    if most and recent >= most:
        return told.then, f"{recent} times {wanted} within {within} steps is the limit"
    return wanted, f"{recent + 1} of at most {most} within {within} steps, then {told.then}" if recent and most else ""


def _known(word: str) -> str:
    if word in KINDS:
        return word
    near = nearest(word, KINDS)
    hint = f"did you mean {near}?" if near else f"known are {', '.join(KINDS)}"
    raise SettingsError(f"unknown action {word!r} for on_alarm; {hint}")
