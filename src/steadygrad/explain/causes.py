"""Where and why an alarm began, as far as it can be told at this moment: weights, batch, ranks, a look, the loss.

Whatever is told here was seen at the step at hand; what is gone with an earlier step stays untold.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from steadygrad._guard.journal import Writing
from steadygrad.detect.incidents import name_of
from steadygrad.detect.symptoms import Symptom
from steadygrad.explain.diagnose import (
    batch_at_fault,
    by_rank,
    changed_weights,
    culprit,
    loss_at_fault,
    sick_rank,
    weight_before,
    zero_at_fault,
)
from steadygrad.explain.looks import Looks
from steadygrad.explain.replay import place_of, untouched
from steadygrad.explain.weights import Weighed
from steadygrad.record import Alarm
from steadygrad.watch.distributed import rank

if TYPE_CHECKING:
    from steadygrad.watch.steps import Lane


def explained(
    alarm: Alarm, symptom: Symptom, lane: Lane, *, weighed: Weighed, looks: Looks, writing: Writing, shared: bool
) -> Alarm:
    """The alarm with its code, parameter, cause, line and rank. ``shared``: all ranks are here, at the same step."""
    # What is sudden is gone with its step; what lasts is still there in the step at hand.
    at_hand = symptom.last_step >= lane.step or symptom.lasting
    code, parameter, cause, location, who = alarm.code, alarm.parameter, "", None, None
    if symptom.code != "SG204":
        at_fault = changed_weights(lane.parameters, weighed, lane.step)
        if at_fault is not None:
            parameter, cause = lane.columns.names[at_fault[0]], at_fault[1]
    given = looks.given() if at_hand else []
    if shared and at_hand:
        numbers = by_rank(given, lane.parameters[0].device)
        who = sick_rank(numbers)
        if numbers[:, 1].any():
            writing.extremes(lane.step, numbers[:, 1])
    if symptom.code == "SG203":
        cause = cause or batch_at_fault(given)
    made = looks.on_alarm(lane, alarm.number) if at_hand and (not shared or rank() == 0) else None
    found, report = made if made is not None else (None, None)
    if symptom.code == "SG106" and symptom.column is None and (zero := zero_at_fault(given)) is not None:
        code, cause = zero
    if symptom.code == "SG203" and not cause:
        cause = loss_at_fault(given, None if report is None else report.trace)
        parameter = "" if cause else parameter
    if report is not None and found is not None:
        finding = culprit(found.findings, symptom.code)
        if finding is not None and not cause:
            code = "SG108" if finding.code == "SG108" else code
            broken = report.trace.nonfinite
            if symptom.code == "SG203" and broken is not None and broken.direction == "forward":
                parameter = weight_before(report.trace, broken.operation) or parameter
            cause = ": ".join(one for one in (symptom.cause, finding.message) if one)
            location = finding.location
        elif (
            not (cause or symptom.lasting) and symptom.column is not None and untouched(report, parameter, symptom.norm)
        ):
            cause = "not the model's backward pass, which gives a gradient as before: it was changed after that"
        location = location or place_of(report, parameter)
    cause = cause or symptom.cause
    return replace(alarm, code=code, name=name_of(code), parameter=parameter, cause=cause, location=location, rank=who)
