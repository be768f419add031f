"""A proof as text: the two learning curves drawn in the terminal, and a table of where they end.

A function of the record. The curves need plotille and the picture matplotlib, both from the extra "plot".
"""

from __future__ import annotations

import importlib
import io
import math
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from steadygrad.errors import OutputError
from steadygrad.record.proof import Arm, Proof
from steadygrad.report import words
from steadygrad.report.colour import Color, Paint, wants_colour
from steadygrad.report.layout import fill, resolve_width

PLOT_HEIGHT = 14


def render(proof: Proof, *, width: int | None = None, color: Color = "auto") -> str:
    """The proof as text, ``width`` cells wide."""
    width, coloured = resolve_width(width), wants_colour(color)
    paint = Paint(coloured)
    parts = [_plot(proof, width, coloured), _table(proof, width, coloured)]
    verdict = "proven" if proof.proven else "not proven"
    seeds = words.count(len(proof.after.runs), "seed")
    line = f"{verdict}: {proof.cure or 'nothing was taken'} · {proof.steps} steps · {seeds} · data: {proof.data}"
    first, *rest = fill(words.clean(line), width)
    parts.append(
        "\n".join([paint(verdict, "healthy" if proof.proven else "at risk") + first.removeprefix(verdict), *rest])
    )
    if not proof.cure:
        parts.append("\n".join(fill(words.clean(proof.words), width)))
    return "\n\n".join(parts)


def _plot(proof: Proof, width: int, coloured: bool) -> str:
    try:
        plotille = importlib.import_module("plotille")
    except ImportError:
        return "(pip install 'steadygrad[plot]' draws the curves here)"
    figure: Any = plotille.Figure()
    figure.width, figure.height = width - 28, PLOT_HEIGHT
    figure.with_colors = coloured
    figure.color_mode = "names"
    figure.x_label, figure.y_label = "step", "loss"
    figure.register_label_formatter(
        float, lambda value, chars, delta, left=False: f"{value:{'' if left else '>'}{chars}.3g}"
    )
    top = max(max(_finite(arm.middle), default=1.0) for arm in (proof.before, proof.after))
    for arm, colour, marker in ((proof.before, "red", "·"), (proof.after, "green", None)):
        curve = [min(value, top) for value in _finite(arm.middle)]
        figure.plot(range(len(curve)), curve, label=arm.name, lc=colour if coloured else None, marker=marker)
    figure.set_x_limits(min_=0, max_=max(1, proof.steps))
    figure.set_y_limits(min_=0, max_=top * 1.05 or 1.0)
    return "\n".join(row.rstrip() for row in str(figure.show(legend=True)).splitlines())


def _finite(values: tuple[float, ...]) -> list[float]:
    return [value for value in values if math.isfinite(value)]


def _table(proof: Proof, width: int, coloured: bool) -> str:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("")
    for arm in (proof.before, proof.after):
        table.add_column(arm.name, justify="right")
    for name, value in (
        ("optimizer", lambda arm: arm.optimizer),
        ("loss, first", lambda arm: f"{arm.middle[0]:.4g}"),
        (f"loss after {proof.steps} steps", _last),
        (f"steps to a loss of {proof.target:.3g}", lambda arm: _steps(arm, proof.target)),
        ("accuracy on the data trained on", lambda arm: "" if arm.accuracy is None else f"{arm.accuracy:.1%}"),
        ("smallest update ratio, first step", _smallest),
    ):
        cells = [value(proof.before), value(proof.after)]
        if any(cells):
            table.add_row(name, *cells)
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=coloured, no_color=not coloured, highlight=False).print(table)
    return "\n".join(row.rstrip() for row in out.getvalue().rstrip("\n").splitlines())


def _last(arm: Arm) -> str:
    lasts = sorted(run.losses[-1] for run in arm.runs)
    if not math.isfinite(arm.last):
        return "not finite"
    spread = f" ({lasts[0]:.3g} to {lasts[-1]:.3g})" if len(lasts) > 1 else ""
    return f"{arm.last:.4g}{spread}"


def _steps(arm: Arm, target: float) -> str:
    found = arm.steps_to(target)
    return "never" if found is None else str(found)


def _smallest(arm: Arm) -> str:
    update = arm.smallest_update
    return "" if update is None else f"{update.ratio:.1e} ({words.clean(update.name)})"


def draw(proof: Proof, path: str) -> None:
    """The curves with their spread as a picture: PNG, SVG or PDF by the name. Raises ``OutputError``."""
    try:
        importlib.import_module("matplotlib").use("Agg")
        pyplot = importlib.import_module("matplotlib.pyplot")
    except ImportError:
        raise OutputError("a picture needs matplotlib; pip install 'steadygrad[plot]'") from None
    kind = Path(path).suffix.lstrip(".").lower()
    figure, axes = pyplot.subplots(figsize=(7, 4), constrained_layout=True)
    if kind not in figure.canvas.get_supported_filetypes():
        pyplot.close(figure)
        raise OutputError(f"cannot draw {path}: name it .png, .svg or .pdf")
    for arm, colour in ((proof.before, "tab:red"), (proof.after, "tab:green")):
        length = len(arm.middle)
        axes.plot(range(length), arm.middle, color=colour, label=f"{arm.name}: {arm.optimizer}")
        if len(arm.runs) > 1:
            low = [min(run.losses[i] for run in arm.runs) for i in range(length)]
            high = [max(run.losses[i] for run in arm.runs) for i in range(length)]
            axes.fill_between(range(length), low, high, color=colour, alpha=0.2, linewidth=0)
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.set_yscale("log")
    axes.set_title(proof.cure or "no cure was taken")
    axes.legend()
    try:
        figure.savefig(path, dpi=150)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        pyplot.close(figure)
