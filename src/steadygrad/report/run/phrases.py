"""What a run's header and lists say, as plain phrases: durations, intervals, what was watched.

Beside ``report/words.py``, which says what a check's do. May rely on the run's record; must not know of widths or colours.
"""

from __future__ import annotations

import math
import time

import numpy as np

from steadygrad.record.run import Run
from steadygrad.report import words


def duration(seconds: float) -> str:
    """40 ms, 12 s, 3 min, 2 h 14 min, 3 d 4 h."""
    minutes = round(seconds / 60)
    if seconds < 60 or not math.isfinite(seconds):
        return words.seconds(seconds)
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
    """From the first step to the last that was read, by the clock where it ran evenly. NaN: not known."""
    times = run.series.times[np.isfinite(run.series.times)]
    if not len(times):
        return math.nan
    whole = float(times[-1] - times[0])
    forward = np.diff(times)
    return whole if whole >= 0 and (forward >= 0).all() else float(forward[forward > 0].sum())


def interval(value: float) -> str:
    """How often norms are read."""
    if not math.isfinite(value):
        return ""
    if value <= 1:
        return "every step read"
    return f"every {ordinal(round(value))} step read"


def ordinal(number: int) -> str:
    """2nd, 3rd, 11th, 1,000th."""
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{ending}"


def pace(seconds: float) -> str:
    """Of one step: 0.35 ms, 200 ms, 2.1 s."""
    return f"{words.number(1000 * seconds)} ms a step" if seconds < 1 else f"{words.number(seconds)} s a step"


def optimizers(run: Run) -> str:
    """What was guarded: ``AdamW, 148 parameters``."""
    named = run.about.get("optimizers", run.about.get("optimizer", ""))
    count = words.count(len(run.watched), "parameter")
    return f"{words.clean(str(named))}, {count}" if named else count


def constant_rate(run: Run) -> float | None:
    """The learning rate of the first optimizer, where it never changed."""
    known = run.series.rates[:, 0]
    known = known[np.isfinite(known)]
    return float(known[0]) if len(known) and known.max() - known.min() <= 1e-6 * abs(known.max()) else None


def state(run: Run, now: float | None) -> str:
    """Whether it is over; ``now`` makes the last write an age."""
    this = run.this
    if this.finished is not None:
        return "finished"
    if now is None:
        return f"not closed, last written {moment(this.written)}"
    age = now - this.written
    return "being written" if age < 10 else f"last written {duration(age)} ago"
