"""The place and cause of an alarm, as far as this moment can show them: weights, batch, ranks, a look, the loss.

Whatever is said here was seen at the step at hand; what is gone with an earlier step stays unsaid. Reads, and writes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from steadygrad._check import Report
from steadygrad.detect.first_signs import first_signs, in_order, in_words
from steadygrad.detect.incidents import name_of
from steadygrad.detect.symptoms import Symptom, times
from steadygrad.explain.diagnose import (
    batch_at_fault,
    by_rank,
    changed_weights,
    culprit,
    loss_at_fault,
    optimizer_at_fault,
    sick_rank,
    weight_before,
    zero_at_fault,
)
from steadygrad.explain.looks import OUTGROWN, Grown, Looks
from steadygrad.explain.replay import changed_since, place_of
from steadygrad.explain.view import StepView
from steadygrad.numerals import with_factors
from steadygrad.record import Alarm, Finding, Location, Look, Severity, Sign
from steadygrad.record.fault_kind import FaultKind
from steadygrad.record.rows import Array
from steadygrad.watch.distributed import rank

_OF_A_BATCH = ("SG201", "SG203", "SG206", "SG207")
"""Alarms that single samples of a batch can bring about."""
ONSET = 40
"""Steps within which what left its range before an alarm is its beginning."""


@dataclass(frozen=True)
class Explanation:
    """An alarm with its causes, and what was measured to find them."""

    alarm: Alarm
    kind: str = ""
    """The kind of the cause, for the advice: "weights", "batch", "optimizer", "loss", "outside", "forward", "rate", …"""
    look: Look | None = None
    by_rank: Array | None = None
    """The norm that came back to the output, on each rank."""


@dataclass
class _Draft:
    """The findings so far."""

    code: str
    parameter: str
    cause: str = ""
    kind: str = ""
    location: Location | None = None
    signs: tuple[Sign, ...] = ()

    def found(self, cause: str, kind: str) -> None:
        if cause and not self.cause:
            self.cause, self.kind = cause, kind


def explain(alarm: Alarm, symptom: Symptom, view: StepView, looks: Looks) -> Explanation:
    """The alarm with its code, parameter, cause, line, rank, order of signs and rows of the batch."""
    if symptom.of_the_loop:
        # A clip stands where it is called, or nowhere; what else a loop does wrong shows at its step.
        place = symptom.location if symptom.code == "SG306" else symptom.location or view.place
        return Explanation(replace(alarm, cause=symptom.cause, location=place), symptom.kind)
    if symptom.explained:
        return Explanation(replace(alarm, cause=symptom.cause, location=symptom.location), symptom.kind)
    # What is sudden is gone with its step; what lasts is still there in the step at hand.
    at_hand = (symptom.last_step >= view.step and not view.taken) or symptom.lasting
    draft = _Draft(alarm.code, alarm.parameter)
    _weights(draft, symptom, view)
    given = looks.given() if at_hand else []
    numbers = by_rank(given, view.parameters[0].device) if view.shared and at_hand else None
    if symptom.code == "SG203" and given:
        draft.found(batch_at_fault(given), "batch")
    if symptom.kind is FaultKind.OPTIMIZER and symptom.column is not None:
        draft.found(optimizer_at_fault(view.optimizer, view.parameters[symptom.column]), "optimizer")
    growth = looks.input_growth() if at_hand and symptom.code in _OF_A_BATCH else math.nan
    made = looks.on_alarm(view.index, view.step, alarm.number, view.scale) if at_hand and _may_look(view) else None
    look, report, grown = made if made is not None else (None, None, None)
    if symptom.code == "SG106" and (zero := zero_at_fault(given)) is not None:
        draft.code = zero[0] if symptom.column is None else draft.code
        draft.found(zero[1], "zero")
    if symptom.code == "SG203" and not draft.cause:
        cause = loss_at_fault(given, None if report is None else report.trace)
        draft.parameter = "" if cause else draft.parameter
        draft.found(cause, "loss")
    if report is not None and look is not None:
        _from_look(draft, symptom, view, report, look, grown, growth)
    if growth > OUTGROWN and (symptom.origin == "input" or not symptom.cause):
        draft.found(f"the input of the model is {times(growth)} its usual size", "large batch")
    if symptom.code == "SG106" and report is not None and symptom.column is not None:
        unused = [p for p in report.trace.parameters if p.name == view.own(draft.parameter) and not p.used]
        if unused and draft.kind not in ("weights", "broken weights"):
            draft.cause, draft.kind = (
                "the model did not use it in this step, like an expert that no sample is routed to",
                "unused",
            )
    of_origin = {"loss": "large loss", "input": "large batch"}.get(symptom.origin, "numbers")
    draft.found(symptom.cause, symptom.kind or of_origin)
    signs = _signs(draft, symptom, view, growth, grown)
    if (
        not draft.cause
        and math.isfinite(growth)
        and signs
        and signs[0].kind == "loss"
        and math.isfinite(signs[0].factor)
    ):
        # The batch was seen, and is as large as any. Of an alarm about the loss that is no cause, but shows where to look.
        first = f"the loss leaves its usual range first, at {times(signs[0].factor)} its usual size"
        draft.cause, draft.kind = "" if symptom.code == "SG207" else first, "large loss"
    rows = _rows(draft, symptom, view, looks) if at_hand and _may_look(view) else ()
    explained = replace(
        alarm,
        code=draft.code,
        name=name_of(draft.code),
        parameter=draft.parameter,
        cause=draft.cause,
        location=draft.location,
        rank=None if numbers is None else sick_rank(numbers),
        delay=_since(alarm, signs) if alarm.code in ("SG201", "SG206", "SG207") else alarm.delay,
        severity=Severity.INFO if draft.kind == "unused" else alarm.severity,
        signs=signs,
        first_sign=in_words(signs),
        rows=rows,
    )
    back = numbers[:, 1] if numbers is not None and numbers[:, 1].any() else None
    decided = symptom.kind in (FaultKind.UNREAD, FaultKind.CONSTANT_ANSWER) or not draft.kind
    return Explanation(explained, symptom.kind if decided else draft.kind, look, back)


def _may_look(view: StepView) -> bool:
    return not view.shared or rank() == 0


def _weights(draft: _Draft, symptom: Symptom, view: StepView) -> None:
    """Weights that were not finite before the step, or that somebody else changed."""
    if symptom.code == "SG204" or symptom.kind is FaultKind.OPTIMIZER:
        return
    at_fault = changed_weights(view.parameters, view.weights, view.step)
    if at_fault is not None:
        if at_fault.broken and view.taken and symptom.step >= view.step:
            return  # They may have been well before it.
        draft.parameter = "" if at_fault.everywhere else view.columns.names[at_fault.column]
        draft.found(at_fault.words, "broken weights" if at_fault.broken else "weights")


def _from_look(
    draft: _Draft,
    symptom: Symptom,
    view: StepView,
    report: Report,
    look: Look,
    grown: Grown | None,
    growth: float,
) -> None:
    """Add what the replay of the step shows."""
    finding = _finding(look, symptom.code)
    changed = [] if look.note else _changed_since(symptom, view, report)
    if changed and not draft.cause:
        draft.parameter = "" if len(changed) == len(view.columns.names) else changed[0]
        draft.found(
            "a second run of the step gives the usual gradient: something changed it after backward(), or a second loss adds "
            "to it",
            "outside",
        )
    # Where an output has just grown, as the norms show, the look says which operation's.
    elif grown is not None and symptom.origin == "output" and not growth > OUTGROWN:
        draft.parameter = view.prefix + grown.parameter if grown.parameter else draft.parameter
        draft.found(f"the output of {grown.name} is {times(grown.factor)} its usual size", "forward")
        draft.location = grown.location
    elif finding is not None and not draft.cause:
        draft.code = "SG108" if finding.code == "SG108" else draft.code
        broken = report.trace.nonfinite
        if symptom.code == "SG203" and broken is not None and broken.direction == "forward":
            before = weight_before(report.trace, broken.operation)
            draft.parameter = view.prefix + before if before else draft.parameter
        forward = symptom.code == "SG203" and broken is not None and broken.direction == "forward"
        draft.found(
            ": ".join(one for one in (symptom.cause, with_factors(finding.message)) if one),
            "forward" if forward else "look",
        )
        draft.location = finding.location
    draft.location = draft.location or place_of(report, view.own(draft.parameter))


def _changed_since(symptom: Symptom, view: StepView, report: Report) -> list[str]:
    """The parameters whose gradient is not what the backward pass gave, the one that grew most first; none where that does not
    explain what was seen, or where other processes add to the gradient."""
    sudden = symptom.code in ("SG201", "SG203", "SG206") and not symptom.lasting
    if not sudden or view.shared or not view.history.trail:
        return []
    row, names = view.history.trail[-1][1], view.columns.names
    present = [at for at in range(len(names)) if np.isfinite(row[at]) or at in symptom.columns]
    norms = {view.own(names[at]): float(10.0 ** row[at]) * view.scale for at in present}
    changed = changed_since(report, norms)
    grown = row[:-1] - view.history.median[:-1]
    ordered = sorted(
        range(len(names)), key=lambda at: (not view.columns.weights[at], -np.nan_to_num(grown[at], nan=np.inf))
    )
    found = [names[at] for at in ordered if view.own(names[at]) in changed]
    told = {*symptom.columns, *([] if symptom.column is None or symptom.columns else [symptom.column])}
    return found if all(names[at] in found for at in told) else []


def _finding(look: Look, code: str) -> Finding | None:
    return culprit(look.findings, code)


def _signs(draft: _Draft, symptom: Symptom, view: StepView, growth: float, grown: Grown | None) -> tuple[Sign, ...]:
    """Name what moved first, from the numbers and from what was seen at the step."""
    broken = "" if symptom.column is None else view.columns.names[symptom.column]
    signs = [
        replace(one, where=broken) if one.kind == "gradient" and not one.where and one.step == symptom.step else one
        for one in first_signs(view.history, symptom.step, view.step)
    ]
    if draft.kind == "batch" or growth > OUTGROWN:
        signs.append(Sign("batch", view.step, "", growth))
    elif draft.kind == "broken weights" and not any(one.step < view.step for one in signs):
        signs.append(Sign("weights", view.step, draft.parameter))
    elif draft.kind == "weights":
        signs.append(Sign("weights", symptom.step, draft.parameter))
    elif draft.kind == "optimizer":
        signs.append(Sign("moments", symptom.step, draft.parameter))
    elif draft.kind == "forward" or (symptom.origin == "output" and draft.kind == "numbers"):
        factor = math.nan if grown is None else grown.factor
        signs.append(Sign("forward", view.step, draft.parameter, factor))
    elif draft.kind == "loss":
        signs.append(Sign("loss", view.step))
    if symptom.code == "SG204" and not any(one.kind == "moments" for one in signs):
        where = "" if symptom.column is None else view.columns.names[symptom.column]
        if not any(one.kind == "rate" and one.step <= symptom.step for one in signs):
            signs.append(Sign("moments", symptom.step, where))
    return tuple(in_order(signs))


def _since(alarm: Alarm, signs: Sequence[Sign]) -> int:
    """Steps by which the fault may have begun before the alarm's: gradient or loss had left their range already."""
    own = [one.step for one in signs if one.kind in ("gradient", "loss")]
    early = alarm.step - min(own, default=alarm.step)
    return max(alarm.delay, early) if 0 < early <= ONSET else alarm.delay


def _rows(draft: _Draft, symptom: Symptom, view: StepView, looks: Looks) -> tuple[int, ...]:
    """The samples without which the norm is usual, where samples can be at fault."""
    if symptom.code not in _OF_A_BATCH or symptom.lasting or draft.kind in ("weights", "broken weights", "outside"):
        return ()
    usual = float(10.0 ** view.history.median[-1])
    if not math.isfinite(usual):
        return ()
    found = looks.rows(view.index, usual * view.scale)
    if found is None or (draft.kind == "large batch" and looks.input_growth(found.rows) > OUTGROWN):
        return ()  # The others are as large: it is the batch, and not its samples.
    return found.rows
