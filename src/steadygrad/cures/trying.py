"""One try: a candidate applied to a copy, checked, given a learning rate, and judged by what it learns.

Everything is measured on the copy. A candidate that cannot be applied is an outcome too: it says why.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import torch

from steadygrad import cures
from steadygrad._check import Report, check_subject
from steadygrad.cures.baseline import constant_loss, learned
from steadygrad.cures.learning_rate import ENOUGH, search
from steadygrad.cures.patient import Patient, admit, rate_of
from steadygrad.errors import CannotCureError, SteadygradError
from steadygrad.probe.subject import Subject
from steadygrad.record import Candidate, Change, CheckRecord, Edit, Tried, Verdict
from steadygrad.record.rates import RateSearch

Progress = Callable[[str], None]

KEEP = {
    "activation": ("activation",),
    "architecture": ("normalisation", "residual"),
    "optimizer": ("learning rate", "clip"),
    "numbers": ("numbers",),
    "set-up": ("set-up",),
}
"""What ``keep`` may name, and the groups of cures that it rules out."""

ALIKE = 1e-6
"""Spread of the output under which no learning rate is looked for: float32 tells samples apart down to 1e-7 of their size."""

LEARNS = 0.5
"""Share of the best constant answer's loss that 30 steps on the batch must remove."""

NUMERIC = ("initialise", "fold", "learning_rate", "clipping", "recurrent", "transformer")
"""Cures that act on a model as it is, so that what others put in must be in."""


@dataclass(frozen=True)
class Options:
    """What the planner may do."""

    keep: tuple[str, ...] = ()
    """What must stay: names of ``KEEP``."""
    allow: tuple[str, ...] = ()
    """Groups that may be used; all when empty."""
    only: tuple[str, ...] = ()
    """Names of cures or candidates; the first of them that heals is taken, whatever the findings ask for."""
    best: bool = False
    """Try all, and take the fastest learner of those that heal."""
    compare: bool = False
    """Go on after the first that heals: one candidate of each group that changes more."""
    budget: float | None = None
    """Seconds after which no further candidate is tried."""
    trial: int = 10
    safe: bool = False
    """Numbers and optimizer only: nothing that changes what the model computes."""
    without: tuple[str, ...] = ()
    """Names of candidates that are not tried."""


@dataclass
class Outcome:
    tried: Tried
    patient: Patient | None = None
    report: Report | None = None

    @property
    def healthy(self) -> bool:
        return self.tried.verdict is Verdict.HEALTHY

    @property
    def heals(self) -> bool:
        """Healthy by the check, and seen to learn from the input within the steps of the rate search."""
        return self.healthy and self.learned >= LEARNS

    @property
    def learned(self) -> float:
        return self.tried.learned if self.tried.learned is not None else -math.inf


def try_out(subject: Subject, before: CheckRecord, candidate: Candidate, options: Options, say: Progress) -> Outcome:
    """Apply to a copy, check it, and where it is not healthy yet check it at the rate that the step test finds."""
    say(candidate.title)
    try:
        patient = admit(subject, before.trace)
        changes = treat(patient, candidate.edits)
        report = check_subject(patient.subject, trial=options.trial)
        found: RateSearch | None = None
        if not _alike(report):
            say(f"{candidate.title}: learning rate")
            found = search(patient.subject)
            if not _settles_rate(candidate, options):
                report = _at_tested_rate(patient, report, found, changes, options)
    except SteadygradError as error:
        return Outcome(Tried(candidate, None, None, None, None, None, None, why_not=str(error)))
    return Outcome(_tried(candidate, report, patient, subject, changes, found), patient, report)


def _at_tested_rate(
    patient: Patient, report: Report, found: RateSearch, changes: list[Change], options: Options
) -> Report:
    """The user's own rate stays where the model learns with it; another must not make the verdict worse."""
    rate = rate_of(patient.optimizer)
    if found.rate is None or found.rate == rate:
        return report
    kept = next((one for one in found.tried if one.rate == rate and not one.dropped), None)
    if report.verdict is Verdict.HEALTHY and kept is not None:
        enough = learned(kept.losses[-1], constant_loss(patient), kept.losses[0]) >= LEARNS
        if enough or kept.fall >= ENOUGH * max(one.fall for one in found.tried):
            return report
    patient.set_rate(found.rate)
    again = check_subject(patient.subject, trial=options.trial)
    order = list(Verdict)
    if order.index(again.verdict) > order.index(report.verdict):
        patient.set_rate(rate)
        return report
    changes.append(Change(f"optimizer: learning rate {rate:g} → {found.rate:.2g}"))
    return again


def treat(patient: Patient, edits: Iterable[Edit]) -> list[Change]:
    """Make the edits in the patient, in order, and say what each did. Raises ``CannotCureError``."""
    changes: list[Change] = []

    def operate() -> None:
        put = patient.operate()
        if put is not None:
            changes[-1] = replace(
                changes[-1], words=f"{changes[-1].words} ({put.words})", added=(*changes[-1].added, *put.added)
            )

    for edit in edits:
        if edit.action in NUMERIC:
            operate()
        try:
            # New modules draw their own weights: from the subject's seed, not from the user's generator.
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(patient.subject.seed)
                changes.append(cures.find(edit.action).module.apply_(patient, edit))
        except (RuntimeError, ValueError, TypeError, AttributeError, NotImplementedError) as error:
            # Whatever a model does that a cure did not foresee, the planner goes on to the next.
            raise CannotCureError(
                f"{edit.action} could not be applied: {str(error).splitlines()[0] if str(error) else error!r}"
            ) from error
    operate()
    return changes


def _settles_rate(candidate: Candidate, options: Options) -> bool:
    """Whether the rate is chosen already, or may not be touched."""
    ruled_out = {group for word in options.keep for group in KEEP[word]}
    return "learning rate" in ruled_out or any(edit.action == "learning_rate" for edit in candidate.edits)


def _alike(report: CheckRecord) -> bool:
    spread = report.trace.output_spread
    return spread is not None and spread < ALIKE


def _tried(
    candidate: Candidate,
    report: Report,
    patient: Patient,
    subject: Subject,
    changes: list[Change],
    found: RateSearch | None,
) -> Tried:
    rate = rate_of(patient.optimizer)
    at = [one for one in found.tried if one.rate == rate and not one.dropped] if found is not None else []
    return Tried(
        candidate=candidate,
        verdict=report.verdict,
        decades=report.trunk.decades if report.trunk is not None else None,
        spread=report.trace.output_spread,
        fall=report.trial.fall if report.trial is not None else None,
        learned=learned(at[0].losses[-1], constant_loss(patient), at[0].losses[0]) if at else None,
        rate=rate if rate != rate_of(subject.optimizer) else None,
        changes=tuple(changes),
    )
