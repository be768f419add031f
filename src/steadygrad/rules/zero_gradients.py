"""Findings of SG107 about gradients of exactly zero: by design where a step opened them, a fault where they stayed shut.

May rely on records and on what is read from them. Must not look at parameters that no path leads to.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from steadygrad.numerals import percent
from steadygrad.record import CureRef, Evidence, Finding, Parameter, Severity, StepTest, Trace
from steadygrad.rules.lost_paths import RULE
from steadygrad.rules.not_kept import elements
from steadygrad.rules.read_steptest import Progress, outcome, progress
from steadygrad.rules.read_trunk import body, lost


def shut(
    trace: Trace,
    trial: StepTest | None,
    trainable: Sequence[Parameter],
    total: int,
    *,
    major: float,
    cures: tuple[CureRef, ...],
) -> Iterable[Finding]:
    """Gradients of exactly zero: by design where a step opened them, a fault where they stayed shut."""
    zero = [p for p in trainable if p.connected and p.log10_gradient == -math.inf and (p.cut is None or p.opened)]
    if not zero:
        return
    opened = [p for p in zero if p.opened]
    stayed = [p for p in zero if p.opened is False]
    if opened and not stayed:
        yield Finding(
            *RULE,
            Severity.INFO,
            f"{len(opened)} gradients are exactly zero before the first step and open after it, as zero-initialised branches do",
            location=None,
            module=opened[0].name,
            evidence=(Evidence("parameters whose gradient opened", float(len(opened)), "parameters", "by design"),),
            cures=(),
            count=len(opened),
        )
    share = elements(stayed) / max(1, total)
    if share >= major and progress(trial) is Progress.LEARNS and lost(trace, trial) == math.inf:
        yield _shut_off(trace, trial, stayed, share)
    # Where the trunk itself is cut off and nothing is learned, the rule of the operation that does it speaks.
    if share >= major and progress(trial) is not Progress.LEARNS and lost(trace, trial) < math.inf:
        yield Finding(
            *RULE,
            Severity.ERROR if progress(trial) is Progress.STALLED else Severity.WARNING,
            f"{len(stayed)} parameters ({percent(share)} of the model) have a gradient of exactly zero, "
            f"also after {trial.steps if trial else 0} steps",
            location=stayed[0].location,
            module=stayed[0].name,
            evidence=(Evidence("parameter elements with zero gradient", share, "share", "0%"),),
            consequence=outcome(trial),
            cures=cures,
            count=len(stayed),
            explains=("SG106",),
        )


def _shut_off(trace: Trace, trial: StepTest | None, stayed: Sequence[Parameter], share: float) -> Finding:
    """The last layers learn, on what random layers in front of them happen to say."""
    step = next((step for step in body(trace) if step.decades == -math.inf), None)
    return Finding(
        *RULE,
        Severity.WARNING,
        f"{len(stayed)} parameters ({percent(share)} of the model) have a gradient of exactly zero; only those behind them learn",
        location=step.location if step is not None else stayed[0].location,
        module=step.module if step is not None else stayed[0].name,
        label="its derivative is zero everywhere" if step is not None else "",
        evidence=(Evidence("parameter elements with zero gradient", share, "share", "0%"),),
        consequence=outcome(trial),
        cures=(CureRef("a straight-through estimator"), CureRef("a smooth activation in its place")),
        count=len(stayed),
    )
