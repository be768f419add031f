"""A run followed while it is written: the picture drawn again and again, or lines where there is no terminal.

A run is over when its journal was closed, or when its process is gone. The reader is the caller's function; may rely on
rich; must not know of files.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator

import psutil

from steadygrad import numerals
from steadygrad.record.run import Run
from steadygrad.report.colour import Color, wants_colour
from steadygrad.report.run import as_text, phrases, remarks, story

SHARE = 5
"""Looking takes at most one part in so many of a core: a long run is looked at less often."""

LINE_EVERY = 5.0
"""Seconds between the lines that say where the run is."""

SILENT = 10.0
"""Seconds without a word after which the view checks whether the process still runs."""

Reader = Callable[[], Run]


def over(run: Run, now: float) -> bool:
    """Return whether nothing more will be written."""
    this = run.this
    if run.finished:
        return True
    if now - this.written < SILENT or this.host != socket.gethostname() or this.process <= 0:
        return False
    try:
        process = psutil.Process(this.process)
        # A number may have been given to another process since.
        return process.status() == psutil.STATUS_ZOMBIE or process.create_time() > this.started + 1
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False


def looks(read: Reader, every: float) -> Iterator[Run]:
    """The run again and again, with pauses that grow with the time that reading it takes."""
    while True:
        began = time.monotonic()
        run = read()
        took = time.monotonic() - began
        yield run
        time.sleep(max(every, SHARE * took))


def follow(read: Reader, *, every: float, color: Color, say: Callable[[str], None]) -> None:
    """Draw on the terminal's other screen; at the end the whole picture is said on the first one."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    coloured: Color = "always" if wants_colour(color) else "never"
    console = Console(color_system="256" if coloured == "always" else None)
    run: Run | None = None
    with (
        contextlib.suppress(KeyboardInterrupt),
        Live(console=console, screen=True, auto_refresh=False, vertical_overflow="crop") as live,
    ):
        for run in looks(read, every):
            now = time.time()
            if over(run, now):
                break
            size = console.size
            shown = as_text.screenful(run, size.width, size.height, color=coloured, now=now)
            live.update(Text.from_ansi(shown), refresh=True)
    if run is not None:
        say(as_text.render(run, color=coloured, now=time.time()))


def follow_in_lines(read: Reader, *, every: float, say: Callable[[str], None]) -> None:
    """A line for each new alarm and each that ended, and now and then one for the run."""
    told: dict[int, bool] = {}
    spoken = -LINE_EVERY
    with contextlib.suppress(KeyboardInterrupt):
        for run in looks(read, every):
            for alarm in run.alarms:
                if alarm.number not in told:
                    say(f"alarm {alarm.number}: {story.one_line(alarm)}")
                elif alarm.ended and not told[alarm.number]:
                    say(f"alarm {alarm.number} is over: {remarks.lasted(run, alarm)}")
                told[alarm.number] = alarm.ended
            ended = over(run, time.time())
            if ended or time.monotonic() - spoken >= LINE_EVERY:
                spoken = time.monotonic()
                say(status(run, time.time()))
            if ended:
                return


def status(run: Run, now: float) -> str:
    """Say where the run is, in a line."""
    series = run.series
    each = phrases.step_seconds(run)
    parts = [f"step {run.steps:,}"]
    if len(series):
        parts.append(f"gradient norm {numerals.number(float(series.high[-1].max()))}")
        known = series.losses[series.losses == series.losses]
        parts += [f"loss {numerals.number(float(known[-1]))}"] if len(known) else []
    parts += [f"clipped {numerals.percent(run.clipped_share)}"] if run.clipped_share else []
    parts += [phrases.pace(each)] if each == each else []
    parts += [numerals.count(len(run.alarms), "alarm"), phrases.state(run, now)]
    return " · ".join(parts)
