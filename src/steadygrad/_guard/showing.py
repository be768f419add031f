"""A guard's run as it can be shown now: a record of it, and the picture for a notebook, live or once, or for a terminal."""

from __future__ import annotations

import importlib
import sys
import time
from typing import Any

import numpy as np

from steadygrad._guard.at_exit import weakly
from steadygrad._guard.habits import clip_counts
from steadygrad._guard.live import Live, widget
from steadygrad.record.run import Extremes, Run, Session, Weights
from steadygrad.source.cells import in_notebook

NOT_LIVE = 'the picture is drawn once: to follow the run it needs anywidget; next: pip install "steadygrad[notebook]"'


def run_of(guard: Any) -> Run:
    """What the guard has judged so far, as a journal would give it."""
    writing = guard.writing
    rows, clipped = clip_counts(guard.optimizers)
    none = np.zeros(0, np.int64)
    norms = np.zeros((0, len(writing.watched)), np.float32)
    session = Session(1, guard.showing.began, time.time(), guard.showing.ended)
    return Run(
        path=guard.journal or str(writing.about["model"]),
        session=1,
        sessions=(session,),
        about=writing.about,
        watched=writing.watched,
        steps=guard.steps,
        interval=float(guard.options.every),
        clipped_share=clipped / rows if rows else 0.0,
        series=writing.course.series(),
        weights=Weights(none, norms, norms),
        extremes=Extremes(none, none.astype(float), none.astype(float), none, none),
        alarms=tuple(guard.alarms),
        actions=tuple(guard.actions),
        looks=tuple(guard.looks),
    )


def as_html(guard: Any) -> str:
    """The run as a piece of HTML."""
    from steadygrad.report.run.as_html import fragment  # Most guards are never shown.

    return fragment(run_of(guard))


class Showing:
    """When a guard began and ended, and the live picture of it, where there is one."""

    def __init__(self) -> None:
        self.began = time.time()
        self.ended: float | None = None
        self.live: Live | None = None

    @property
    def over(self) -> bool:
        """Return whether the guard was detached."""
        return self.ended is not None

    def show(self, guard: Any) -> None:
        """Show the run of the guard where the program's output goes."""
        if not in_notebook():
            from steadygrad.report.run.as_text import render

            sys.stdout.write(f"{render(run_of(guard), now=time.time())}\n")
            return
        display = importlib.import_module("IPython.display")
        html = as_html(guard)
        picture = None if self.over else widget(html)
        if picture is None:
            if not self.over:
                guard.voice.complain(NOT_LIVE)
            display.display(display.HTML(html))
            return
        display.display(picture)
        if self.live is not None:
            self.live.end(last=False)
        complain = weakly(guard.voice.complain)
        self.live = Live(guard, as_html, picture, share=guard.options.overhead, complain=complain)

    def end(self) -> None:
        """The guard is detached: the live picture shows the whole run from now on."""
        self.ended = self.ended or time.time()
        if self.live is not None:
            self.live.end(last=True)
