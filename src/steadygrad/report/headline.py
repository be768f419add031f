"""The first line of a report and its last: what is wrong in plain words, and what to type next.

For a reader who has never seen one. May rely on the record; judges nothing.
"""

from __future__ import annotations

import math
import shlex

from steadygrad import numerals
from steadygrad.record import CheckRecord, Verdict
from steadygrad.report import words

SAID = {Verdict.AT_RISK: "is at risk", Verdict.WILL_NOT_TRAIN: "will not train as set up"}

FAR = 3.0
"""Decades between the first layer's gradient and the last one's that are worth the first line: healthy published
architectures lose up to 2.9 at initialisation."""


def headline(record: CheckRecord) -> str:
    """ "Net will not train as set up: the first layer gets 10⁻¹⁷ of the gradient that the last one gets."

    A healthy model has all of its report in this line.
    """
    because = [part for part in (_ratio(record), _loss(record)) if part]
    if record.verdict is Verdict.HEALTHY:
        return " · ".join(
            (f"{words.verdict(record)}: {words.clean(record.setup.model)}", *because, words.price(record))
        )
    reasons = ", and ".join(because)
    return f"{words.clean(record.setup.model)} {SAID[record.verdict]}{': ' if reasons else ''}{reasons}."


def between(record: CheckRecord) -> float:
    """Decades from the model's output to its input: the trunk's without what the loss itself takes or adds."""
    trunk = record.trunk
    if trunk is None:
        return math.nan
    return trunk.decades - (trunk.blame.get("loss", 0.0) if math.isfinite(trunk.decades) else 0.0)


def _ratio(record: CheckRecord) -> str:
    decades = between(record)
    if math.isnan(decades) or decades == math.inf:
        return ""
    if decades == -math.inf:
        # In a healthy model a gate or an adapter begins at zero and opens at the first step; its note says so.
        healthy = record.verdict is Verdict.HEALTHY
        return "" if healthy else "the first layer gets a gradient of exactly zero"
    if abs(decades) < FAR:
        return ""
    power = numerals.power_of_ten(round(decades))
    return (
        f"the first layer gets {power} of the gradient that the last one gets"
        if decades < 0
        else f"the first layer gets {power} times the gradient that the last one gets"
    )


def _loss(record: CheckRecord) -> str:
    trial = record.trial
    if trial is None:
        return ""
    steps = numerals.count(trial.steps, "step")
    if trial.diverged:
        return f"the loss stops being finite within {steps}"
    return f"in {steps} the loss {'falls' if trial.fall >= 0 else 'rises'} by {numerals.percent(abs(trial.fall))}"


def next_step(record: CheckRecord) -> str:
    """The command (or call) that comes next: ``cure`` where a cure of ours answers a finding, ``explain`` where none does."""
    if not record.findings:
        return ""
    worst = words.worst_first(record)
    if not any(cure.name for finding in worst for cure in finding.cures):
        return f"steadygrad explain {worst[0].code}"
    if record.setup.typed:
        return shlex.join(["steadygrad", "cure", *record.setup.typed])
    return "sg.cure(model, batch, loss_fn, optimizer=optimizer)"
