"""A proof as text: the two learning curves drawn in the terminal, and a table of where they end.

A function of the record. The curves need plotille and the picture matplotlib, both from the extra "plot".
"""

from __future__ import annotations

import importlib
import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from steadygrad import numerals
from steadygrad.record.proof import Arm, ProofRecord
from steadygrad.report import words
from steadygrad.report.colour import Color, Paint, wants_colour
from steadygrad.report.drawing import pyplot_for
from steadygrad.report.layout import fill, resolve_width
from steadygrad.report.write import write_bytes_atomically

PLOT_ROWS = 12

PLOT_MARGIN = 28
"""Cells that plotille takes beside the curves."""

UPDATES_SHOWN = 3


def render(proof: ProofRecord, *, width: int | None = None, color: Color = "auto") -> str:
    """The proof as text, ``width`` cells wide."""
    width, coloured = resolve_width(width), wants_colour(color)
    paint = Paint(coloured)
    parts = [_plot(proof, width, coloured), _table(proof, width, coloured)]
    verdict, line = outcome(proof)
    first, *rest = fill(words.clean(line), width)
    parts.append(
        "\n".join([paint(verdict, "healthy" if proof.proven else "at risk") + first.removeprefix(verdict), *rest])
    )
    if proof.seeds_alike:
        told = (
            f"before, the {len(proof.before.runs)} seeds gave one and the same training: the target sets its own seed"
        )
        parts.append("\n".join(fill(told, width)))
    if not proof.cure:
        parts.append("\n".join(fill(words.clean(proof.words), width)))
    return "\n\n".join(parts)


def outcome(proof: ProofRecord) -> tuple[str, str]:
    """ "proven" or "not proven", and the line that begins with it."""
    verdict = "proven" if proof.proven else "not proven"
    seeds = numerals.count(len(proof.after.runs), "seed")
    return (
        verdict,
        f"{verdict}: {proof.cure or 'nothing was taken'} · {proof.steps} steps · {seeds} · data: {proof.data}",
    )


def _plot(proof: ProofRecord, width: int, coloured: bool) -> str:
    try:
        plotille = importlib.import_module("plotille")
    except ImportError:
        return "(pip install 'steadygrad[plot]' draws the curves here)"
    top = max(max(_finite(arm.middle), default=1.0) for arm in (proof.before, proof.after))
    row = _neat(top / PLOT_ROWS)
    figure: Any = plotille.Figure()
    # Ticks stand ten cells apart, and one at every row: whole tens and neat rows make their numbers neat.
    figure.width, figure.height = max(10, (width - PLOT_MARGIN) // 10 * 10), PLOT_ROWS
    figure.with_colors = coloured
    figure.color_mode = "names"
    figure.x_label, figure.y_label = "step", "loss"
    figure.register_label_formatter(
        float, lambda value, chars, delta, left=False: f"{value:{'' if left else '>'}{chars}.3g}"
    )
    for arm, colour, marker in ((proof.before, "red", "·"), (proof.after, "green", None)):
        curve = [min(value, top) for value in _finite(arm.middle)]
        figure.plot(range(len(curve)), curve, label=arm.name, lc=colour if coloured else None, marker=marker)
    figure.set_x_limits(min_=0, max_=max(1, proof.steps))
    figure.set_y_limits(min_=0, max_=row * PLOT_ROWS)
    *rows, _, _, before, after = str(figure.show(legend=True)).splitlines()
    return "\n".join(line.rstrip() for line in [*rows, f"  {before}    {after}"])


def _neat(value: float) -> float:
    """The least of 1, 2, 2.5, 5 times a power of ten that is not below the value."""
    if not value > 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1.0, 2.0, 2.5, 5.0, 10.0) if step * power >= value * (1 - 1e-9))


def _finite(values: tuple[float, ...]) -> list[float]:
    return [value for value in values if math.isfinite(value)]


def _table(proof: ProofRecord, width: int, coloured: bool) -> str:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("")
    for arm in (proof.before, proof.after):
        table.add_column(arm.name, justify="right")
    for row in comparison(proof):
        table.add_row(*row)
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=coloured, no_color=not coloured, highlight=False).print(table)
    return "\n".join(row.rstrip() for row in out.getvalue().rstrip("\n").splitlines())


def comparison(proof: ProofRecord) -> Iterator[tuple[str, str, str]]:
    """What is compared, before and after."""
    for name, value in (
        ("optimizer", lambda arm: arm.optimizer),
        ("loss, first", lambda arm: f"{arm.middle[0]:.4g}"),
        (f"loss after {proof.steps} steps", _last),
        (f"steps to a loss of {proof.target:.3g}", lambda arm: _steps(arm, proof.target)),
        ("accuracy, training data", lambda arm: "" if arm.accuracy is None else numerals.percent(arm.accuracy)),
        ("smallest update ratios,\nfirst step", _smallest),
    ):
        before, after = value(proof.before), value(proof.after)
        if before or after:
            yield name, before, after


def _last(arm: Arm) -> str:
    lasts = sorted(run.losses[-1] for run in arm.runs)
    if not math.isfinite(arm.last):
        return "not finite"
    spread = f" ({lasts[0]:.4g} to {lasts[-1]:.4g})" if len(lasts) > 1 else ""
    return f"{arm.last:.4g}{spread}"


def _steps(arm: Arm, target: float) -> str:
    found = arm.steps_to(target)
    return "never" if found is None else str(found)


def _smallest(arm: Arm) -> str:
    """The weights that moved least in the first step of the first run."""
    return "\n".join(f"{words.clean(update.name)} {update.ratio:.1e}" for update in arm.slowest(UPDATES_SHOWN))


def draw(proof: ProofRecord, path: str) -> None:
    """The curves with their spread as a picture: PNG, SVG or PDF by the name. Raises ``OutputError``."""
    pyplot = pyplot_for(path)
    figure, axes = pyplot.subplots(figsize=(7, 4), constrained_layout=True)
    for arm, colour in ((proof.before, "tab:red"), (proof.after, "tab:green")):
        length = len(arm.middle)
        axes.plot(range(length), arm.middle, color=colour, label=f"{arm.name}: {arm.optimizer}")
        if len(arm.runs) > 1:
            low = [min(run.losses[i] for run in arm.runs) for i in range(length)]
            high = [max(run.losses[i] for run in arm.runs) for i in range(length)]
            axes.fill_between(range(length), low, high, color=colour, alpha=0.2, linewidth=0)
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    if all(value > 0 for arm in (proof.before, proof.after) for value in _finite(arm.middle)):
        axes.set_yscale("log")
    seeds = len(proof.after.runs)
    shaded = f" ({seeds} seeds; shaded: least to greatest)" if seeds > 1 else ""
    axes.set_title(f"{proof.cure or 'no cure was taken'}{shaded}")
    axes.legend()
    picture = io.BytesIO()
    figure.savefig(picture, dpi=150, format=Path(path).suffix[1:].lower())
    pyplot.close(figure)
    write_bytes_atomically(path, picture.getvalue())
