"""One try: a candidate applied to a copy, checked, given a learning rate, and judged by what it learns.

Everything is measured on the copy. A candidate that cannot be applied is an outcome too: it says why.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from steadygrad import cures
from steadygrad._check import Report, check_subject
from steadygrad.copies.randomness import same_randomness, seed_torch
from steadygrad.cures.constant_baseline import constant_loss, learned
from steadygrad.cures.editable_copy import EditableCopy, editable_copy_of, rate_of
from steadygrad.cures.identity_baseline import identity_loss
from steadygrad.cures.learning_rate import BEGUN, EARLY, ENOUGH, STEPS, search
from steadygrad.cures.long_run import PATIENT, Settling, settle
from steadygrad.cures.long_run import STEPS as LONG
from steadygrad.cures.rate_search import RateSearch
from steadygrad.errors import CannotCureError, SteadygradError
from steadygrad.numerals import percent
from steadygrad.record import Candidate, Change, CheckRecord, Edit, Tried, Verdict
from steadygrad.rules import thresholds
from steadygrad.rules.read_steptest import left_open
from steadygrad.subject.subject import Subject

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
"""Share of the best trivial answer's loss that a hundred steps on parts of the batch must remove, and keep away."""

HOLDS = 0.25
"""Share that is to be gone on held-out samples too, for no other candidate of the group to be looked at. Of 44 set-ups of the
suite whose first cure heals, those at 0.26 and more reach nine tenths of the twin (but for one without a cause to cure); of
nine below seven fall short."""

BEGINS = 0.1
"""Share that 30 steps on the whole batch must remove of what is taken though it does not learn ``LEARNS`` in a hundred."""

STIRS = 0.02
"""Share that 30 steps on the whole batch must remove before the hundred are taken: a recurrence over 40 steps with a skip
through time removed 0.04, and 0.99 in the hundred."""

SLOWER = 2
"""Half-decades under the rate that was found that are looked at, where the check calls the model less healthy at it."""


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
    trial: int | None = None
    safe: bool = False
    """Numbers and optimizer only: nothing that changes what the model computes."""
    without: tuple[str, ...] = ()
    """Names of candidates that are not tried."""


@dataclass
class Outcome:
    tried: Tried
    copy: EditableCopy | None = None
    report: Report | None = None
    held: float | None = None
    """Share of the best trivial answer's loss that the longer run removed on samples held out; None where none were."""
    slowed: bool = False
    """Whether the longer run diverged at the rate that thirty steps had found, and a lower one was taken."""

    @property
    def healthy(self) -> bool:
        return self.tried.verdict is Verdict.HEALTHY

    @property
    def heals(self) -> bool:
        """Healthy by the check, and seen to go on learning from the input in the longer run."""
        return self.healthy and self.learned >= LEARNS

    @property
    def memorises(self) -> bool:
        """Whether little of what it learns holds for samples that it was not trained on."""
        return self.held is not None and self.held < HOLDS

    @property
    def learned(self) -> float:
        return self.tried.learned if self.tried.learned is not None else -math.inf


def try_out(
    subject: Subject,
    before: CheckRecord,
    candidate: Candidate,
    options: Options,
    say: Progress,
    *,
    briefly: bool = False,
) -> Outcome:
    """Apply to a copy, check it, and where it is not healthy yet check it at the rate that the step test finds.

    ``briefly``, for what is only compared: rates by ten steps, looked for after as many, and without the longer run.
    """
    say(candidate.title)
    try:
        copy = editable_copy_of(subject, before.trace)
        found: RateSearch | None = None
        # Every try looks for a rate; one that is nothing else looks first.
        edits = without_rate(candidate.edits)
        changes = treat(copy, edits)
        if not edits:
            found = search(copy.subject, impatient=True)
            changes = treat(copy, [_at_rate(edit, found) for edit in candidate.edits])
        # Ten steps at the user's own rate, for what is only compared: most has another rate in the end.
        brief = briefly and options.trial is None
        at_first = report = check_subject(
            copy.subject, trial=thresholds.STEPS if brief else options.trial, causes=False
        )
        share: float | None = None
        held: float | None = None
        slowed = False
        if not _alike(report):
            if found is None:
                say(f"{candidate.title}: learning rate")
                found = search(copy.subject, steps=EARLY if briefly else STEPS, impatient=True)
            trivial = None if all(one.dropped for one in found.tried) else trivial_loss(copy)
            found = _beyond(found, trivial)
            if edits and not _rate_stays(options):
                report = _at_tested_rate(copy, report, found, trivial, options)
            share = _learned_in(found, rate_of(copy.optimizer), trivial)
            if not briefly and report.verdict is Verdict.HEALTHY and share is not None and share >= STIRS:
                say(f"{candidate.title}: a hundred steps")
                report, settling = _settled(copy, report, rate_of(subject.optimizer), trivial, options)
                share, held = settling.best.trained, settling.best.held
                slowed = not settling.at_hand.lasts and settling.best.rate < settling.at_hand.rate
        if brief and report is at_first and report.trial is not None and left_open(report.trial):
            report = check_subject(copy.subject, trial=options.trial, causes=False)
    except SteadygradError as error:
        return Outcome(Tried(candidate, None, None, None, None, None, None, why_not=str(error)))
    rate, own = rate_of(copy.optimizer), rate_of(subject.optimizer)
    if rate != own:
        change = _rate_change(own, rate)
        changes = [*changes, change] if edits else [change]
    tried = Tried(
        candidate=candidate,
        verdict=report.verdict,
        decades=report.trunk.decades if report.trunk is not None else None,
        spread=report.trace.output_spread,
        fall=report.trial.first.fall if report.trial is not None else None,
        learned=share,
        rate=rate if rate != own else None,
        changes=tuple(changes),
    )
    return Outcome(tried, copy, report, held, slowed)


def wait_for(subject: Subject, outcome: Outcome, options: Options, say: Progress) -> Outcome:
    """What is healthy by the check and has not begun to learn, after a longer run; as it is where that shows no more."""
    copy, report, tried = outcome.copy, outcome.report, outcome.tried
    trivial = trivial_loss(copy) if copy is not None and report is not None else None
    if copy is None or report is None or trivial is None:
        return outcome
    say(f"{tried.candidate.title}: {PATIENT} steps")
    own = rate_of(subject.optimizer)
    report, settling = _settled(copy, report, own, trivial, options, steps=PATIENT)
    rate = rate_of(copy.optimizer)
    without = tried.changes[:-1] if tried.rate is not None else tried.changes
    moved = () if rate == own else (_rate_change(own, rate),)
    tried = replace(tried, learned=settling.best.trained, rate=rate if moved else None, changes=(*without, *moved))
    return replace(outcome, tried=tried, report=report, held=settling.best.held)


def _rate_change(own: float, rate: float) -> Change:
    return Change(f"optimizer: learning rate {own:.3g} → {rate:.2g}", "optimizer")


def trivial_loss(copy: EditableCopy) -> float | None:
    """Loss of the best constant answer; where the loss takes none, of the input itself as the answer; None for neither."""
    constant = constant_loss(copy)
    return identity_loss(copy) if constant is None else constant


def _at_rate(edit: Edit, found: RateSearch) -> Edit:
    """The edit with the rate that was found. Raises ``CannotCureError`` where no rate makes the loss fall."""
    if found.rate is None:
        low, high = found.tried[0].rate, found.tried[-1].rate
        raise CannotCureError(
            f"no rate from {low:.1g} to {high:.1g} makes the loss fall by {percent(BEGUN)} in {EARLY} steps, or keep falling"
        )
    return replace(edit, value=found.rate)


def without_rate(edits: Iterable[Edit]) -> tuple[Edit, ...]:
    """The edits that are no search for a learning rate."""
    return tuple(edit for edit in edits if not cures.find(edit.action).searches_rate)


def _beyond(found: RateSearch, trivial: float | None) -> RateSearch:
    """Where the rate that was found gets no further than a trivial answer and others do: the smallest that does nearly as
    well as the best of them. A start far above it falls a long way without anything being learned."""
    shares = {one.rate: learned(one.losses[-1], trivial, one.losses[0]) for one in found.tried if not one.dropped}
    if found.rate is None or shares[found.rate] > 0.0 or max(shares.values()) <= 0.0:
        return found
    enough = ENOUGH * max(shares.values())
    return replace(found, rate=next(rate for rate, share in shares.items() if share >= enough))


def _learned_in(found: RateSearch, rate: float, trivial: float | None) -> float | None:
    """What the search saw at a rate; None where it went no further there."""
    at = next((one for one in found.tried if one.rate == rate and not one.dropped), None)
    return None if at is None else learned(at.losses[-1], trivial, at.losses[0])


def _settled(
    copy: EditableCopy, report: Report, own: float, trivial: float | None, options: Options, *, steps: int = LONG
) -> tuple[Report, Settling]:
    """The longer run; where another rate does better there and the check agrees, the copy has that rate from now on."""
    rate = rate_of(copy.optimizer)
    settling = settle(copy, trivial, move=not _rate_stays(options), own=own, enough=LEARNS, steps=steps)
    if settling.best.rate == rate:
        return report, settling
    copy.set_rate(settling.best.rate)
    again = check_subject(copy.subject, trial=options.trial, causes=False)
    if again.verdict is Verdict.HEALTHY:
        return again, settling
    copy.set_rate(rate)
    return report, replace(settling, best=settling.at_hand)


def _at_tested_rate(
    copy: EditableCopy, report: Report, found: RateSearch, trivial: float | None, options: Options
) -> Report:
    """The user's own rate stays where the model learns with it; another must not make the verdict worse."""
    rate = rate_of(copy.optimizer)
    if found.rate is None or found.rate == rate:
        return report
    kept = next((one for one in found.tried if one.rate == rate and not one.dropped), None)
    if report.verdict is Verdict.HEALTHY and kept is not None:
        share = learned(kept.losses[-1], trivial, kept.losses[0])
        no_better = share > 0.0 or (_learned_in(found, found.rate, trivial) or 0.0) <= 0.0
        if share >= LEARNS or (no_better and kept.fall >= ENOUGH * max(one.fall for one in found.tried)):
            return report
    order = list(Verdict)
    slower = [one.rate for one in found.tried if rate < one.rate < found.rate and not one.dropped]
    for other in (found.rate, *slower[::-1][:SLOWER]):
        copy.set_rate(other)
        again = check_subject(copy.subject, trial=options.trial, causes=False)
        if order.index(again.verdict) <= order.index(report.verdict):
            return again
    copy.set_rate(rate)
    return report


def treat(copy: EditableCopy, edits: Iterable[Edit]) -> list[Change]:
    """Make the edits in the copy, in order, and say what each did. Raises ``CannotCureError``."""
    changes: list[Change] = []

    def operate() -> None:
        put = copy.operate()
        if put is not None:
            changes[-1] = replace(
                changes[-1], words=f"{changes[-1].words} ({put.words})", added=(*changes[-1].added, *put.added)
            )

    for edit in edits:
        if cures.find(edit.action).phase:
            operate()
        try:
            # New modules draw their own weights: from the subject's seed, not from the user's generator.
            with same_randomness():
                seed_torch(copy.subject.seed)
                changes.append(cures.find(edit.action).module.apply_(copy, edit))
        except (RuntimeError, ValueError, TypeError, AttributeError, NotImplementedError) as error:
            # Whatever a model does that a cure did not foresee, the planner goes on to the next.
            raise CannotCureError(
                f"{edit.action} could not be applied: {str(error).splitlines()[0] if str(error) else error!r}"
            ) from error
    operate()
    return changes


def _rate_stays(options: Options) -> bool:
    """Whether the rate may not be touched."""
    return any("learning rate" in KEEP[word] for word in options.keep)


def _alike(report: CheckRecord) -> bool:
    spread = report.trace.output_spread
    return spread is not None and spread < ALIKE
