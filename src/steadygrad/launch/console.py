"""Lines for the user, on standard error as it was when the program began. Standard library only; never raises, never waits."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from steadygrad.launch.unwatched import not_heard
from steadygrad.numerals import percent
from steadygrad.terminal import wrapped

PREFIX = "steadygrad: "


class Teller:
    """Writes whole lines that begin with ``steadygrad: `` and who says it, if anybody; one that cannot be written is lost."""

    def __init__(self, who: Callable[[], str] = str) -> None:
        self._stream = sys.stderr
        self._who = who

    def __call__(self, *lines: str) -> None:
        """One line with the prefix, and further ones set in under it."""
        first, *more = lines
        indent = " " * len(PREFIX)
        who = self._who()
        start = f"{PREFIX}{who}: " if who else PREFIX
        lines = (f"{start}{first}", *(f"{indent}{line}" for line in more))
        text = "\n".join(wrapped(line, self._stream, indent) for line in lines)
        try:
            self._stream.write(f"{text}\n")
            self._stream.flush()
        except (AttributeError, OSError, ValueError):
            pass  # No standard error, or a closed one; the program goes on.


def shown_path(path: str | Path, folder: Path) -> str:
    """Shorten a path to one relative to a folder, where it lies below it."""
    full = Path(path)
    return str(full.relative_to(folder)) if full.is_relative_to(folder) else str(full)


def summary_lines(numbers: Any, *, clips: bool, folder: Path) -> Sequence[str]:
    """Describe how a run ended: steps, share clipped, alarms, the journal's path. ``numbers`` are a ``Tally``."""
    most = max([numbers.steps, *(steps for _, steps in numbers.each)])
    parts = [f"{most:,} step{'' if most == 1 else 's'}"]
    if len({steps for _, steps in numbers.each}) > 1:
        parts.append(", ".join(f"{name} {steps:,}" for name, steps in numbers.each))
    if clips or numbers.clipped_share:
        parts.append(f"clipped {percent(numbers.clipped_share)}")
    parts += [f"first step: {one.severity} {one.code} {one.name}" for one in numbers.first[:1]]
    parts.append(_alarms(numbers.alarms))
    lines = [" · ".join(parts)]
    if numbers.unheard:
        lines.append(not_heard(numbers.unheard, sum(steps for _, steps in numbers.each) or most))
    if numbers.journal:
        path = shown_path(numbers.journal, folder)
        lines.append(f"journal: {path}   (steadygrad show {path})")
    return lines


def end_lines(
    told: Sequence[Any], several: int, *, clips: bool, folder: Path, journals: str | None
) -> Iterator[Sequence[str]]:
    """Describe how all ended, each a ``Tally``. A search over settings trains one model after the other: of more than ``several``
    only some with an alarm are listed, and how many there were. ``journals``: the folder that theirs are in."""
    for tally in told if len(told) <= several else [one for one in told if one.alarms][:several]:
        yield summary_lines(tally, clips=clips, folder=folder)
    if len(told) > several:
        steps, sick = sum(one.steps for one in told), sum(1 for one in told if one.alarms)
        kept = "" if journals is None else f"; {sum(1 for one in told if one.journal)} journals in {journals}"
        yield [f"{len(told)} sets of optimizers, {steps:,} steps, {sick} with an alarm{kept}"]


def _alarms(alarms: Sequence[Any]) -> str:
    notes = [one for one in alarms if one.severity == "info"]
    alarms = [one for one in alarms if one.severity != "info"]
    if not alarms:
        words = "; ".join(f"{one.code} {one.name}: {one.message}" for one in notes[:1])
        return (
            f"no alarm · 1 note: {words}"
            if len(notes) == 1
            else f"no alarm · {len(notes)} notes"
            if notes
            else "no alarm"
        )
    first = alarms[0]
    where = f", first in {first.parameter}" if first.parameter else ""
    begun = f"step {first.step:,} {first.code} {first.name}{where}"
    if first.message and first.message not in begun:
        begun = f"step {first.step:,} {first.code} {first.name}{where}: {first.message}"
    count = "1 alarm" if len(alarms) == 1 else f"{len(alarms):,} alarms, the first"
    return f"{count}: {begun}"
