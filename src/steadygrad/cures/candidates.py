"""What may be tried: the options made sure of, and the candidates that the findings ask for within them.

May rely on what every cure says of itself and on what it proposes for a copy. Must not try anything.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from itertools import islice

from steadygrad import cures
from steadygrad.cures.editable_copy import EditableCopy
from steadygrad.cures.evaluate import KEEP, Options
from steadygrad.errors import SettingsError
from steadygrad.record import GROUPS, SAFETIES, Candidate, CheckRecord, Severity


def check_options(options: Options) -> None:
    """Raises ``SettingsError`` or ``UnknownCureError`` for options that name nothing or contradict each other."""
    for word in options.keep:
        if word not in KEEP:
            raise SettingsError(f"cannot keep {word!r}; keep one of {', '.join(KEEP)}")
    for word in options.allow:
        if word not in GROUPS:
            raise SettingsError(f"no group {word!r}; groups are {', '.join(GROUPS)}")
    ruled_out = {group for word in options.keep for group in KEEP[word]}
    clash = ruled_out & set(options.allow)
    if clash:
        raise SettingsError(f"{sorted(clash)[0]} is both kept and allowed to change; drop one of the two")
    for word in (part for joined in options.only for part in joined.split("+")):
        groups = _groups(word)
        if not groups - ruled_out:
            kept = next(keep for keep in options.keep if groups & set(KEEP[keep]))
            raise SettingsError(f"{word} changes what is to be kept ({kept}); drop one of the two")
        if options.allow and not groups & set(options.allow):
            raise SettingsError(f"{word} is of the group {min(groups)}, which is not allowed; allow it too")
    if options.budget is not None and not options.budget > 0:
        raise SettingsError(f"the budget is {options.budget:g} s, expected more than 0")


def _groups(word: str) -> set[str]:
    """The groups of a candidate, or of all candidates of a cure. Raises ``UnknownCureError``."""
    one = cures.find(word)
    return {group for name, (group, _) in one.candidates.items() if cures.spelt(word) in (name, one.name)}


def candidates_for(copy: EditableCopy, report: CheckRecord, options: Options) -> list[Candidate]:
    """What the findings ask for, within the options, least intrusive first."""
    codes = {finding.code for finding in report.findings if finding.severity is not Severity.INFO}
    found: list[tuple[tuple[int, int, int], Candidate]] = []
    for rank, one in enumerate(cures.load()):
        asked = options.best or options.only or not codes or codes & set(one.findings)
        most = None if options.best or options.only else one.at_first
        for number, candidate in enumerate(islice(one.module.propose(copy, report), most) if asked else ()):
            found.append(((GROUPS.index(candidate.group), rank, number), candidate))
    ordered = [candidate for _, candidate in sorted(found, key=lambda pair: pair[0])]
    if options.only:
        ordered = _named(ordered, options.only)
    ruled_out = {group for word in options.keep for group in KEEP[word]}
    return [
        c
        for c in ordered
        if c.group not in ruled_out
        and (not options.allow or c.group in options.allow)
        and c.name not in options.without
        and not (options.safe and c.safety != "safe")
    ]


def _named(candidates: Sequence[Candidate], only: Iterable[str]) -> list[Candidate]:
    """Those that the words name: a candidate, all of a cure, or several candidates at once ("one+other")."""
    single = {cures.spelt(word) for word in only}
    found = [c for c in candidates if single & {c.name, cures.find(c.name).name}]
    by_name = {c.name: c for c in candidates}
    for word in only:
        parts = [by_name.get(cures.spelt(part)) for part in word.split("+")]
        if len(parts) > 1 and None not in parts:
            found.append(functools.reduce(join, [part for part in parts if part is not None]))
    return found


def join(one: Candidate, other: Candidate) -> Candidate:
    """Both in one; what acts on numbers comes behind what puts modules in."""
    edits = sorted((*one.edits, *other.edits), key=lambda edit: cures.find(edit.action).phase)
    return Candidate(
        name=f"{one.name}+{other.name}",
        title=f"{one.title}, and {other.title}",
        group=max(one.group, other.group, key=GROUPS.index),
        safety=max(one.safety, other.safety, key=SAFETIES.index),
        edits=tuple(edits),
        parts=(*one.names, *other.names),
    )
