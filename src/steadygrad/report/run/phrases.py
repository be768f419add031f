"""The header and lists of a run as plain phrases: durations, intervals, what was watched.

Beside ``report/words.py``, which says what a check's do. May rely on the run's record; must not know of widths or colours.
"""

from __future__ import annotations

import math
import time

import numpy as np

from steadygrad import numerals
from steadygrad.record.run import Run
from steadygrad.report import words


def duration(seconds: float) -> str:
    """40 ms, 12 s, 3 min, 2 h 14 min, 3 d 4 h."""
    minutes = round(seconds / 60)
    if seconds < 60 or not math.isfinite(seconds):
        return numerals.seconds(seconds)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def moment(when: float) -> str:
    """A local date and time to the second."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(when))
    except (OverflowError, ValueError, OSError):
        return "at an unknown time"


def step_seconds(run: Run) -> float:
    """Seconds a step, typical: a machine that slept, or a clock that was set back, doesn't count. NaN: not known."""
    times, steps = run.series.times, run.series.steps
    known = np.isfinite(times)
    between = np.diff(times[known]) / np.diff(steps[known])
    forward = between[between > 0]
    return float(np.median(forward)) if len(forward) else math.nan


def run_seconds(run: Run) -> float:
    """Return the time from the first step to the last that was read, by the clock where it ran evenly. NaN: not known."""
    times = run.series.times[np.isfinite(run.series.times)]
    if not len(times):
        return math.nan
    whole = float(times[-1] - times[0])
    forward = np.diff(times)
    return whole if whole >= 0 and (forward >= 0).all() else float(forward[forward > 0].sum())


def interval(run: Run) -> str:
    """Say how many of the steps were read: ``every step was read``, ``every 3rd step was read (1,334 of 4,000)``."""
    if not math.isfinite(run.interval) or not len(run.series):
        return ""
    rows = int(run.series.counts.sum(axis=0).max(initial=0))
    # A run that was resumed begins at a later step than 1.
    steps = int(run.series.last_steps.max(initial=0)) - int(run.series.steps.min(initial=run.steps)) + 1
    if rows >= steps:
        return "every step was read"
    told = f"{rows:,} of {numerals.count(steps, 'step')}"
    return f"{told} were read" if run.interval <= 1 else f"every {ordinal(round(run.interval))} step was read ({told})"


def of(part: int, whole: int, noun: str) -> str:
    """``7 of 4,000 steps``."""
    return f"{part:,} of {numerals.count(whole, noun)}"


def clipping(run: Run) -> str:
    """Name the clip, and how often it acted: ``clip norm ≤ 0.2: acted in 7 of 4,000 steps (0.175 %)``."""
    clip = words.clean(str(run.about.get("clip", ""))).removeprefix("none")
    acted, rows = int(run.series.clipped.sum()), int(run.series.counts.sum())
    if not clip and not acted:
        return "no clip"
    name = f"clip {clip}" if clip else "clip"
    if not acted:
        return f"{name}: never acted"
    return f"{name}: acted in {of(acted, rows, 'step')} ({numerals.percent(run.clipped_share)})"


def ordinal(number: int) -> str:
    """2nd, 3rd, 11th, 1,000th."""
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{ending}"


def pace(seconds: float) -> str:
    """``0.35 ms per step``, ``2.1 s per step``."""
    return f"{numerals.number(1000 * seconds)} ms per step" if seconds < 1 else f"{numerals.number(seconds)} s per step"


def optimizers(run: Run) -> str:
    """Say what was guarded: ``AdamW, 148 parameter tensors``."""
    named = run.about.get("optimizers", run.about.get("optimizer", ""))
    count = numerals.count(len(run.watched), "parameter tensor")
    return f"{words.clean(str(named))}, {count}" if named else count


def optimizer_names(run: Run) -> list[str]:
    """Name each optimizer by what its parameters' names begin with ("Generator"), in as few parts as distinguish all.

    Where nothing does: "optimizer 1", "optimizer 2", in the order in which they were given.
    """
    shared = []
    for number in range(run.optimizers):
        shared.append(_common([one.name.split(".") for one in run.watched if one.optimizer == number]))
    for length in range(1, max(map(len, shared)) + 1):
        found = [".".join(parts[:length]) for parts in shared]
        if all(found) and len(set(found)) == len(found):
            return [words.clean(one) for one in found]
    return [f"optimizer {number}" for number in range(1, run.optimizers + 1)]


def _common(paths: list[list[str]]) -> list[str]:
    """The leading parts that all paths share."""
    shared = []
    for parts in zip(*paths, strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return shared


def constant_rate(run: Run, optimizer: int = 0) -> float | None:
    """The learning rate of an optimizer, where it never changed."""
    known = run.series.rates[:, optimizer]
    known = known[np.isfinite(known)]
    return float(known[0]) if len(known) and known.max() - known.min() <= 1e-6 * abs(known.max()) else None


def state(run: Run, now: float | None) -> str:
    """Return whether it is over; ``now`` makes the last write an age."""
    this = run.this
    if this.finished is not None:
        return "finished"
    if now is None:
        return f"not finished, last write {moment(this.written)}"
    age = now - this.written
    return "running" if age < 10 else f"not finished, last write {duration(age)} ago"
