"""What the planner says of its choice, and of having none, in words."""

from __future__ import annotations

from collections.abc import Sequence

from steadygrad import cures
from steadygrad.cures.evaluate import LEARNS, Options, Outcome, trivial_loss
from steadygrad.numerals import percent
from steadygrad.record import Candidate, Finding, Verdict

CLIP = "clip"
"""The group of which one may join what was taken."""

_TRIVIAL = "the loss of the best trivial answer (a constant, or the input itself)"


def rank(one: Outcome) -> tuple[float, float]:
    """Greatest for the best: by verdict, then by what was learned."""
    assert one.tried.verdict is not None
    return -list(Verdict).index(one.tried.verdict), one.learned


def why(taken: Outcome, outcomes: Sequence[Outcome], options: Options) -> str:
    """Why this one was taken."""
    how = "the fastest learner of those that heal" if options.best else "the least intrusive that heals"
    if not options.best and any(one.heals for one in outcomes[: outcomes.index(taken)]):
        how = "the one of the least intrusive group that learns most of the held-out samples"
    *without, last = taken.tried.candidate.names
    slow = [one.tried.candidate.names for one in outcomes if one.heals and one.slowed]
    if tuple(without) in slow and cures.find(last).candidates[last][0] == CLIP:
        how = "because only slow steps stay stable without the clip, and they learn less"
    if not taken.heals:
        how = (
            f"the best of those that the check calls healthy; in a hundred steps it removed {percent(taken.learned)} of "
            f"{_TRIVIAL}"
        )
    return f"taken: {taken.tried.candidate.title}, {how}"


def why_none(
    outcomes: Sequence[Outcome], candidates: Sequence[Candidate], late: bool, before: Sequence[Finding] = ()
) -> str:
    """Why none was taken, with the best that was seen. ``before``: the findings of the model as it is."""
    noisy = next((one for one in before if one.code == "SG113"), None)
    if noisy is not None:
        return f"not cured: the batch is too small, and no cure makes it larger; give {noisy.cures[0].why}"
    applied = [one for one in outcomes if one.tried.verdict is not None]
    if not applied:
        reason = "the budget ended before the first try" if late and candidates else "no cure fits this model"
        return f"not cured: {reason} within the options given"
    best = max(applied, key=rank)
    assert best.tried.verdict is not None
    end = "; the budget ended" if late else ""
    if best.healthy:
        return f"not cured: {best.tried.candidate.title} is healthy by the check, {_too_little(best)}{end}"
    worst = best.report.findings[0] if best.report is not None and best.report.findings else None
    because = f": {worst.code} {worst.message}" if worst is not None else ""
    return f"not cured: the best seen was {best.tried.candidate.title} ({best.tried.verdict.value}{because}){end}"


def _too_little(best: Outcome) -> str:
    """Why what is healthy is not taken."""
    if best.tried.learned is None and best.copy is not None and trivial_loss(best.copy) is None:
        return "but it got no longer run, because its loss has no trivial answer to compare with"
    if best.tried.learned is None:
        return "but at no learning rate that was tried does its loss begin to fall; train it for longer (--trial 500)"
    return (
        f"but in its longest run {percent(max(0.0, best.learned))} of {_TRIVIAL} is gone, "
        f"and a cure has to remove {percent(LEARNS)}; train it for longer (--trial 500), or check that the "
        "inputs determine the targets"
    )
