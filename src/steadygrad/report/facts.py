"""The basis of a verdict, as pairs of a name and a sentence: subject, assumptions, what each tier saw, what none saw.

May rely on the record; must not know how the pairs are laid out: a terminal and a notebook share them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from steadygrad import numerals
from steadygrad.record import Assumption, BlindSpot, CheckRecord, Tier
from steadygrad.report import words
from steadygrad.report.profile import sample, sparkline

BLIND_SPOTS_SHOWN = 3
LOSSES_DRAWN = 31
"""Of more, the means of so many shares are drawn."""


def facts(record: CheckRecord) -> Iterator[tuple[str, str]]:
    """(name, sentence); the name is "" where it would repeat the one before, and no sentence is empty."""
    return _named_once(_all(record))


def limits(record: CheckRecord) -> Iterator[tuple[str, str]]:
    """Return the facts that limit what "healthy" means: what was taken, assumed, not seen or ignored."""
    return _named_once(pair for pair in _all(record) if pair[0] in LIMITS)


LIMITS = ("taken", "assumed", "to be sure", "note", "not seen", "ignored")


def _named_once(pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    before = ""
    for name, text in pairs:
        if text:
            yield ("" if name == before else name), text
            before = name


def _all(record: CheckRecord) -> Iterator[tuple[str, str]]:
    setup, trial, unseen = record.setup, record.trial, record.blind_spots
    yield "subject", _joined(setup.model, numerals.count(setup.parameters, "parameter"), setup.device)
    made = any(one.about == "batch" and one.words == setup.batch for one in setup.assumptions)
    yield "batch", "" if made else setup.batch
    yield "training", _joined(setup.loss, setup.optimizer)
    taken = [one for one in setup.assumptions if one.about == "file"]
    guessed = [one for one in setup.assumptions if one.about != "file"]
    yield "taken", "; ".join(one.text for one in taken)
    yield "assumed", "; ".join(one.text for one in guessed)
    yield "to be sure", _surer(guessed, python=not setup.target)
    yield from ((tier.value, _seen(record, tier)) for tier in record.tiers)
    if (
        trial is not None
        and len(trial.losses) > 1
        and (line := sparkline(sample(trial.losses, min(len(trial.losses), LOSSES_DRAWN))))
    ):
        yield "loss", f"{numerals.number(trial.losses[0])} {line} {numerals.number(trial.losses[-1])}"
    yield from (("note", note) for note in record.notes)
    yield from (("not seen", _blind_spot(spot)) for spot in unseen[:BLIND_SPOTS_SHOWN])
    if len(unseen) > BLIND_SPOTS_SHOWN:
        yield "not seen", f"and {len(unseen) - BLIND_SPOTS_SHOWN:,} more"
    yield from (("ignored", line) for line in record.ignored)


def _seen(record: CheckRecord, tier: Tier) -> str:
    """Describe what a tier saw: where the gradient ended up, what became of the loss."""
    trunk, trial = record.trunk, record.trial
    if tier is Tier.PROBE:
        if trunk is None:
            return "no path from the loss to the input"
        return f"{numerals.decades(trunk.decades)} over {len(trunk.steps)} steps of the trunk"
    if trial is None or not trial.losses:
        return ""
    change = f"the loss {'fell' if trial.fall >= 0 else 'rose'} by {numerals.percent(abs(trial.fall))}"
    change = "the loss stopped being finite" if trial.diverged else change
    return f"{change} in {trial.steps} steps of {trial.optimizer}"


def _surer(guessed: list[Assumption], *, python: bool) -> str:
    """Name what to give, so that nothing has to be guessed."""
    about = {one.about for one in guessed}
    wanted = []
    if about & {"batch", "target"}:
        wanted.append("batch=(x, y)" if python else "--batch FILE.py:FUNCTION")
    if "loss" in about:
        wanted.append("loss_fn=" if python else "--loss NAME")
    if "optimizer" in about:
        wanted.append("optimizer=" if python else "--optimizer SPEC")
    *most, last = wanted or [""]
    return f"give {', '.join(most)} and {last}" if most else f"give {last}" if last else ""


def _joined(*parts: str) -> str:
    return " · ".join(filter(None, parts))


def _blind_spot(spot: BlindSpot) -> str:
    at = spot.location
    where = words.shown_place(at, column=False) if at else ""
    return ", ".join(filter(None, (spot.what, spot.where, where)))
