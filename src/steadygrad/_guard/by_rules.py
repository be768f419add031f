"""Alarms of what the rules of ``check`` find in the run's own steps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from steadygrad._guard.guard import Guard
from steadygrad.detect import incidents
from steadygrad.detect.symptoms import Symptom
from steadygrad.numerals import with_factors
from steadygrad.record import Finding
from steadygrad.report.alarms import advice


def tell(guard: Guard, findings: Iterable[Finding]) -> None:
    """Raise an alarm for each finding, at the present step of the guard's first optimizer."""
    one = guard.optimizers[0]
    for finding in findings:
        message = with_factors(finding.message)
        symptom = Symptom(finding.code, finding.severity, one.step, None, message, last_step=one.step)
        alarm, new, _ = incidents.gather(guard.book, symptom, one.columns, optimizer=one.index, step=one.step, delay=0)
        if new:
            next_step = advice(finding.code, "")
            alarm = replace(alarm, cause=finding.consequence, location=finding.location, advice=next_step)
        guard.answer(one, symptom, alarm, new=new, tell=new)
