"""The run as a picture file: loss, gradient norm, alarms and actions above one another, on one axis of steps.

Needs matplotlib, from the extra "plot". May rely on the run's record and the words of its neighbours; must not know of
terminals.
"""

from __future__ import annotations

import io
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steadygrad import numerals
from steadygrad.record.run import Run
from steadygrad.report import words
from steadygrad.report.drawing import pyplot_for
from steadygrad.report.run import panels, phrases
from steadygrad.report.write import write_bytes_atomically

COLOURS = {"error": "tab:red", "warning": "tab:orange", "info": "tab:blue"}
CURVES = ("tab:blue", "tab:green", "tab:brown")
CLIPPED = "tab:purple"

MARKS_NUMBERED = 40
"""Alarms whose number is written; the others are a line alone."""

ACTIONS_APART = 20
"""Actions within one of so many parts of the run share their words."""


def draw(run: Run, path: str) -> None:
    """Write the picture: PNG, SVG or PDF by the name. Raises ``OutputError``."""
    pyplot = pyplot_for(path)
    losses = panels.losses_of(run)
    figure, axes = pyplot.subplots(
        3, 1, sharex=True, figsize=(10, 6), height_ratios=(4, 4, 1), constrained_layout=True, squeeze=True
    )
    for (who, low, high), colour in zip(losses, CURVES, strict=False):
        _band(axes[0], run, low, high, colour, who or "loss")
    _norms(run, axes[1])
    _scale(axes[0], [values for _, *ends in losses for values in ends])
    axes[0].set_ylabel("loss")
    axes[1].set_ylabel("gradient norm")
    axes[1].set_yscale("log")
    for one in axes[:2]:
        if one.get_legend_handles_labels()[1]:
            one.legend(fontsize="small")
    _marks(run, axes)
    axes[2].set_xlabel("step")
    head = [words.shown_path(run.path), numerals.count(run.steps, "step"), phrases.interval(run), phrases.clipping(run)]
    figure.suptitle(" · ".join(part for part in head if part), fontsize="medium")
    picture = io.BytesIO()
    figure.savefig(picture, dpi=150, format=Path(path).suffix[1:].lower())
    pyplot.close(figure)
    write_bytes_atomically(path, picture.getvalue())


def _norms(run: Run, axes: Any) -> None:
    series, names = run.series, phrases.optimizer_names(run)
    for number, colour in zip(range(run.optimizers), CURVES, strict=False):
        who = f"{names[number]}, " if run.optimizers > 1 else ""
        _band(axes, run, series.low[:, number], series.high[:, number], colour, f"{who}raw")
        acted = series.clipped[:, number] > 0
        if acted.any():
            # What the clip left, with a dot for each point: a single one between others that were left alone is seen.
            style = CLIPPED if run.optimizers == 1 else colour
            known = acted & np.isfinite(series.after_high[:, number])
            values = np.where(known, series.after_high[:, number], np.nan)
            axes.plot(
                series.steps,
                values,
                color=style,
                linestyle="--",
                linewidth=0.8,
                marker=".",
                markersize=3,
                label=f"{who}clipped",
            )


def _band(axes: Any, run: Run, low: NDArray[Any], high: NDArray[Any], colour: str, name: str) -> None:
    """Least to greatest at each point, and a line along the greatest: a peak of one step is seen. A cross: inf or NaN."""
    steps, known, broken = run.series.steps, np.isfinite(low) & np.isfinite(high), np.isinf(high)
    axes.fill_between(steps[known], low[known], high[known], color=colour, alpha=0.3, linewidth=0)
    axes.plot(steps[known], high[known], color=colour, linewidth=0.8, label=name)
    if broken.any():
        top = np.full(int(broken.sum()), 0.97)
        across = axes.get_xaxis_transform()
        axes.plot(steps[broken], top, "x", color=colour, markersize=4, transform=across, label=f"{name}: inf or NaN")


def _scale(axes: Any, values: list[NDArray[Any]]) -> None:
    known = np.concatenate([one[np.isfinite(one)] for one in values] or [np.zeros(0)])
    if len(known) and known.min() > 0 and known.max() >= 10 * known.min():
        axes.set_yscale("log")


def _marks(run: Run, axes: Any) -> None:
    """A line through all panels where an alarm began; its number, its length and the actions in the row below."""
    row = axes[-1]
    row.set_ylim(0, 2)
    row.set_yticks([0.5, 1.5], ["actions", "alarms"])
    for alarm in run.alarms:
        colour = COLOURS[alarm.severity.value]
        for one in axes[:2]:
            one.axvline(alarm.step, color=colour, linewidth=0.8, alpha=0.6)
        row.plot([alarm.step, max(alarm.step, alarm.last_step)], [1.5, 1.5], color=colour, linewidth=2)
        row.plot([alarm.step], [1.5], marker="^", color=colour)
        if len(run.alarms) <= MARKS_NUMBERED:
            row.annotate(f" {alarm.number}", (alarm.step, 1.5), color=colour, fontsize="small", va="bottom")
    near = max(1, run.steps // ACTIONS_APART)
    for _, group in groupby(run.actions, key=lambda one: one.step // near):
        same = list(group)
        kinds = ", ".join(dict.fromkeys(words.clean(one.kind) for one in same))
        row.plot([one.step for one in same], [0.5] * len(same), marker="D", markersize=4, linestyle="", color="black")
        row.annotate(f"  {kinds}", (same[-1].step, 0.5), fontsize="small", va="center")
