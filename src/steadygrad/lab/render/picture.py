"""Figures drawn with matplotlib: a run's as one PNG or SVG, or each alone as an SVG that takes a page's colours.

For a page the colours are drawn as they are in the light and then replaced by the names of CSS variables. The one place
in the lab that knows matplotlib, which comes with the extra "plot".
"""

from __future__ import annotations

import importlib
import io
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from steadygrad.errors import OutputError
from steadygrad.lab.outcome import Curve, Diagram, Panel, Ran
from steadygrad.lab.render import words
from steadygrad.numerals import number
from steadygrad.report import drawing
from steadygrad.report.drawing import check_kind
from steadygrad.report.words import clean
from steadygrad.report.write import write_bytes_atomically

SERIES = ("#0068a8", "#c44e00", "#00805e", "#a8448c", "#8a6d00", "#5a5f66")
"""Colours of the curves on white; a page has others for the dark. Told apart by who sees red and green alike."""

INK, FAINT, PAPER = "#1b1e22", "#c9ced4", "#fffffe"

MARKERS = ("o", "s", "^", "D", "v", "P")

WIDTH, HEIGHT = 4.6, 3.4
"""Of one panel, in inches: on a phone's screen its letters are still 10 pixels high."""

MANY = 30
"""A curve of more points is drawn without a mark at each."""


def check(path: str) -> None:
    """Raise ``OutputError`` where a picture cannot be drawn into ``path``, before anything is measured for it."""
    check_kind(path)
    check_drawing()


def check_drawing() -> None:
    """Raise ``OutputError`` where matplotlib is not installed."""
    _pyplot()


def save(ran: Ran, path: str) -> None:
    """All figures of a run, side by side. Raises ``OutputError``."""
    figures = ran.outcome.figures
    if not figures:
        raise OutputError(f"{ran.name} has no figure to draw into {path}")
    with _style() as pyplot:
        columns = min(3, len(figures))
        rows = math.ceil(len(figures) / columns)
        sheet, axes = pyplot.subplots(
            rows, columns, figsize=(WIDTH * columns, HEIGHT * rows + 0.4), constrained_layout=True, squeeze=False
        )
        for place, figure in zip(axes.flat, figures, strict=False):
            _draw(place, figure)
        for place in axes.flat[len(figures) :]:
            place.set_axis_off()
        sheet.suptitle(_plain(f"{ran.name}: {ran.outcome.verdict}"), fontsize=11)
        kind = Path(path).suffix[1:].lower()
        data = _bytes(sheet, kind)
        pyplot.close(sheet)
    write_bytes_atomically(path, data)


def svg(figure: Panel | Diagram, prefix: str) -> str:
    """One figure as an SVG element for a page; ``prefix`` keeps its ids apart from those of others."""
    with _style(salt=prefix) as pyplot:
        sheet, axes = pyplot.subplots(figsize=(WIDTH, HEIGHT), constrained_layout=True)
        _draw(axes, figure)
        text = _bytes(sheet, "svg").decode()
        pyplot.close(sheet)
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\b(id="|href="#|url\(#)', rf"\g<1>{prefix}-", text)
    head, rest = text.split(">", 1)
    head = re.sub(r' (width|height|xmlns:xlink|version)="[^"]*"', "", head)
    text = f'{head} role="img" aria-label="{escape(words.alt(figure), quote=True)}">{rest}'.replace(
        "xlink:href", "href"
    )
    for index, colour in enumerate(SERIES):
        text = text.replace(colour, f"var(--s{index})")
    for colour, name in ((INK, "ink"), (FAINT, "line"), (PAPER, "paper")):
        text = text.replace(colour, f"var(--{name})")
    return text


def _bytes(sheet: Any, kind: str) -> bytes:
    out = io.BytesIO()
    # Without a date the same run gives the same file.
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    sheet.savefig(out, dpi=150, format=kind, metadata=metadata)
    return out.getvalue()


def _pyplot() -> Any:
    return drawing.pyplot("figures need")


@contextmanager
def _style(salt: str = "lab") -> Iterator[Any]:
    pyplot = _pyplot()
    with pyplot.rc_context(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": salt,
            "font.size": 9.5,
            "axes.titlesize": 10,
            "text.color": INK,
            "axes.labelcolor": INK,
            "xtick.color": INK,
            "ytick.color": INK,
            "axes.edgecolor": INK,
            "grid.color": FAINT,
            "grid.linewidth": 0.6,
            "axes.grid": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.facecolor": PAPER,
            "figure.facecolor": PAPER,
            "legend.frameon": False,
            "legend.fontsize": 8.5,
            "axes.unicode_minus": True,
        }
    ):
        yield pyplot


def _draw(axes: Any, figure: Panel | Diagram) -> None:
    if isinstance(figure, Diagram):
        _diagram(axes, figure)
    else:
        _panel(axes, figure)


def _panel(axes: Any, panel: Panel) -> None:
    for index, curve in enumerate(panel.curves):
        _curve(axes, curve, index)
    if panel.x_log:
        axes.set_xscale("log")
        _plain_ticks(axes.xaxis, [x for curve in panel.curves for x in curve.x])
    if panel.y_log:
        axes.set_yscale("log")
        _plain_ticks(axes.yaxis, [y for curve in panel.curves for y in curve.y])
    if panel.y_range is not None:
        axes.set_ylim(*panel.y_range)
    axes.set_title(_plain(panel.title), loc="left", wrap=True)
    axes.set_xlabel(_plain(panel.x_label))
    axes.set_ylabel(_plain(panel.y_label))
    if len(panel.curves) > 1:
        axes.legend(loc="best")


def _plain_ticks(axis: Any, values: Sequence[float]) -> None:
    """Ticks of a logarithmic axis at 1, 2, 5 where it spans less than two decades; numbers as a reader writes them."""
    ticker = importlib.import_module("matplotlib.ticker")
    positive = [value for value in values if value > 0 and math.isfinite(value)]
    span = math.log10(max(positive) / min(positive)) if positive else 0.0
    axis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0) if span < 2 else (1.0,), numticks=8))
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: number(value)))
    axis.set_minor_formatter(ticker.NullFormatter())


def _curve(axes: Any, curve: Curve, index: int) -> None:
    colour, marker = SERIES[index % len(SERIES)], MARKERS[index % len(MARKERS)]
    x, y = np.array(curve.x, dtype=float), np.array(curve.y, dtype=float)
    y[~np.isfinite(y)] = np.nan
    if curve.low:
        axes.fill_between(x, curve.low, curve.high, color=colour, alpha=0.18, linewidth=0)
    line = {"line": "-", "dashed": (0, (4, 3)), "points": ""}[curve.style]
    marked = marker if (curve.style != "dashed" and len(x) <= MANY) or curve.style == "points" else ""
    # What theory expects lies over what was measured: where the two agree both stay visible.
    above = 3 if curve.style == "dashed" else 2
    axes.plot(
        x,
        y,
        color=colour,
        linestyle=line,
        marker=marked,
        markersize=4,
        linewidth=1.6,
        label=_plain(curve.name),
        zorder=above,
    )


def _diagram(axes: Any, diagram: Diagram) -> None:
    axes.set_axis_off()
    axes.grid(visible=False)
    for arrow in diagram.arrows:
        colour, width = (SERIES[0], 2.4) if arrow.strong else (INK, 1.2)
        *way, last = arrow.points
        axes.plot(*zip(*arrow.points, strict=True), color=colour, linewidth=width, solid_capstyle="round", zorder=1)
        head = {"arrowstyle": "-|>", "color": colour, "linewidth": width, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", xy=last, xytext=way[-1], arrowprops=head, zorder=1)
    for box in diagram.boxes:
        frame: dict[str, Any] | None = {"boxstyle": "round,pad=0.45", "facecolor": PAPER, "edgecolor": INK}
        if box.kind == "sum":
            frame = {"boxstyle": "circle,pad=0.25", "facecolor": PAPER, "edgecolor": SERIES[0], "linewidth": 2}
        elif box.kind == "label":
            frame = None
        axes.text(box.x, box.y, _plain(box.text), ha="center", va="center", bbox=frame, zorder=2)
    axes.set_title(_plain(diagram.title), loc="left", wrap=True)
    xs = [x for arrow in diagram.arrows for x, _ in arrow.points] + [box.x for box in diagram.boxes]
    ys = [y for arrow in diagram.arrows for _, y in arrow.points] + [box.y for box in diagram.boxes]
    axes.set_xlim(min(xs) - 1.2, max(xs) + 1.2)
    axes.set_ylim(min(ys) - 0.7, max(ys) + 0.7)


def _plain(text: str) -> str:
    """Text in which a dollar sign begins no formula."""
    return "\n".join(clean(line) for line in text.split("\n")).replace("$", r"\$")
