"""A run as HTML, a whole page and for a notebook a fragment.

Loss and gradient norm with the alarms in them, the layers over time, and the story of each alarm. May rely on the run's
record, on the room's columns and remarks, and on the SVG of the room around.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steadygrad import numerals
from steadygrad.record.run import Run
from steadygrad.record.training import Alarm
from steadygrad.report import svg, words
from steadygrad.report.fragment import CLASS, STYLE, headline
from steadygrad.report.fragment import fragment as in_notebook
from steadygrad.report.page import page
from steadygrad.report.run import columns as over
from steadygrad.report.run import layers, panels, phrases, remarks
from steadygrad.report.svg import safe

_HEAT = """
.sg-heat{display:grid;grid-template-columns:minmax(4rem,22%) 1fr;gap:1px .6em;align-items:center;font-size:12px}
.sg-heat svg{display:block;width:100%;height:1.1em}.sg-heat rect{fill:currentColor}.sg-heat .gone{fill:var(--e)}
.sg-heat span{overflow-wrap:anywhere}
"""


@dataclass(frozen=True, slots=True)
class _Size:
    columns: int
    heat_columns: int
    layers: int


_PAGE, _NOTEBOOK = _Size(120, 60, 16), _Size(100, 40, 12)
"""A notebook's is drawn again and again."""

ALARMS = 50
"""Drawn and told; of more the first ones."""

LOG_FROM = 10.0
"""A loss that spans such a factor is drawn on a log scale."""


def render(run: Run) -> str:
    """The page."""
    state = phrases.state(run, None)
    head = " · ".join((words.shown_path(run.path), numerals.count(run.steps, "step"), state))
    body = f'<h1>{safe(head)}</h1><div class="sg-report">{"".join(_parts(run, _PAGE))}</div>'
    return page(f"{words.shown_path(run.path)}: {state}", body, style=STYLE + _HEAT)


def fragment(run: Run) -> str:
    """An HTML fragment for ``_repr_html_``, with the style of its own."""
    worst = min((alarm.severity for alarm in run.alarms), key=lambda one: one.rank, default=None)
    strong = numerals.count(len(run.alarms), "alarm") if run.alarms else "no alarm"
    steps = numerals.count(run.steps, "step") if run.steps else "no step yet"
    head = headline(strong, steps, words.shown_path(run.path), kind="healthy" if worst is None else worst.value)
    return in_notebook([head, *_parts(run, _NOTEBOOK)], style=_HEAT)


def _parts(run: Run, size: _Size) -> Iterator[str]:
    told = [phrases.optimizers(run), phrases.clipping(run), phrases.interval(run)]
    told.append(numerals.count(len(run.alarms), "alarm") if run.alarms else "no alarm")
    yield f"<p>{safe(' · '.join(part for part in told if part))}</p>"
    if len(run.series):
        yield from (*_losses(run, size), *_norms(run, size), *_layers(run, size))
    yield from (_alarm(run, alarm) for alarm in run.alarms[:ALARMS])
    if len(run.alarms) > ALARMS:
        yield f"<p>and {numerals.count(len(run.alarms) - ALARMS, 'more alarm')}; --output-format json lists all</p>"
    if run.actions:
        rows = "".join(f"<li>step {one.step:,}: {safe(remarks.acted(one))}</li>" for one in run.actions[:ALARMS])
        yield f"<h2>{safe(numerals.count(len(run.actions), 'action'))}</h2><ul>{rows}</ul>"
    if run.notes:
        rows = "".join(f"<li>step {one.step:,}: {safe(one.text)}</li>" for one in run.notes[:ALARMS])
        yield f"<h2>notes</h2><ul>{rows}</ul>"


def _losses(run: Run, size: _Size) -> Iterator[str]:
    on = _axis(run, size.columns)
    for who, low, high in panels.losses_of(run):
        least, most = over.least(low, on), over.greatest(high, on)
        known = np.concatenate([least[np.isfinite(least)], most[np.isfinite(most)]])
        if not len(known):
            continue
        log = bool(known.min() > 0 and known.max() >= LOG_FROM * known.min())
        name = f"loss{f' of {who}' if who else ''}{', log scale' if log else ''}"
        if on.columns < run.steps:
            name += "; blue: the least within each stretch"
        yield f"<h2>{safe(name)}</h2>" + _panel(run, on, [most, least], ["", "second"], "loss", log=log)


def _norms(run: Run, size: _Size) -> Iterator[str]:
    on, names = _axis(run, size.columns), phrases.optimizer_names(run)
    for number in range(run.optimizers):
        lines, kinds = [over.greatest(run.series.high[:, number], on)], [""]
        acted = over.clipped(run.series, on, number) > 0
        if acted.any():
            lines.append(np.where(acted, over.greatest(run.series.after_high[:, number], on), np.nan))
            kinds.append("second")
        who = f" of {names[number]}" if run.optimizers > 1 else ""
        more = "; blue: after the clip" if len(lines) > 1 else ""
        yield f"<h2>{safe(f'gradient norm{who}, log scale{more}')}</h2>" + _panel(
            run, on, lines, kinds, "norm", log=True
        )


def _panel(
    run: Run, on: over.Axis, lines: Sequence[NDArray[np.float64]], kinds: Sequence[str], what: str, *, log: bool
) -> str:
    def scaled(value: float) -> float:
        if not math.isfinite(value):
            return math.nan
        return (math.log10(value) if value > 0 else math.nan) if log else value

    drawn = [[scaled(float(value)) for value in line] for line in lines]
    finite = [value for line in drawn for value in line if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    spare = 0.5 * max(0.0, 0.1 - (high - low)) if log else 0.0
    low, high = low - spare, high + spare
    ends = [10.0**edge if log else edge for edge in (high, low)]
    titles = [
        f"{_steps(on, column)}: {what} {numerals.number(float(lines[0][column]))}" for column in range(on.columns)
    ]
    marks = [svg.Mark(on.column(one.step), f"step {one.step:,}: {one.code} {one.name}") for one in run.alarms[:ALARMS]]
    return svg.curves(
        [svg.Curve(values, kind) for values, kind in zip(drawn, kinds, strict=True)],
        titles,
        labels=(numerals.number(ends[0]), numerals.number(ends[1])),
        span=(low, high),
        ends=(f"step {on.begin:,}", f"{on.end - 1:,}"),
        marks=marks,
    )


def _layers(run: Run, size: _Size) -> Iterator[str]:
    """A strip for each layer, from the input down: the stronger the greater its gradient; red: exactly zero, or not finite."""
    names = [one.name for one in run.watched]
    if not names:
        return
    on, series, lead = _axis(run, size.heat_columns), over.held(run), layers.lead(names)
    rows = [(row, over.levels(series, np.array(row.members), on)) for row in layers.rows(names, size.layers)]
    finite = np.concatenate([values[np.isfinite(values)] for _, values in rows])
    if not len(finite):
        return
    low, high = float(finite.min()), max(float(finite.max()), float(finite.min()) + 1.0)
    drawn = "".join(f"<span>{safe(row.label)}</span>{_strip(on, row.label, values, low, high)}" for row, values in rows)
    faint, strong = (numerals.power_of_ten(round(level)) for level in (low, high))
    scale = f"from {faint} (faint) to {strong} (strong); red: exactly zero, or not finite"
    begun = f" of {lead}" if lead else ""
    yield f'<h2>{safe(f"gradient of each layer{begun}")}</h2><p><small>{scale}</small></p><div class="sg-heat">{drawn}</div>'


def _strip(on: over.Axis, name: str, values: NDArray[np.float64], low: float, high: float) -> str:
    cells = ""
    for x, value in enumerate(values):
        if np.isnan(value):
            continue
        told = "zero" if value == -np.inf else "not finite" if value == np.inf else f"1e{value:+.1f}"
        look = (
            f'fill-opacity="{0.08 + 0.92 * (value - low) / (high - low):.2f}"' if np.isfinite(value) else 'class="gone"'
        )
        title = safe(f"{_steps(on, x)}, {name}: {told}")
        cells += f'<rect {look} x="{x}" y="0" width="1.02" height="1"><title>{title}</title></rect>'
    return f'<svg viewBox="0 0 {on.columns} 1" preserveAspectRatio="none" role="img">{cells}</svg>'


def _alarm(run: Run, alarm: Alarm) -> str:
    at = alarm.location
    where = words.shown_place(at) if at else ""
    place = " · ".join(filter(None, (where, alarm.parameter or "the whole model")))
    source = f"<p><code>{safe(' '.join(at.text.split()))}</code></p>" if at and at.text else ""
    rows = "".join(f"<dt>{safe(name)}</dt><dd>{safe(text)}</dd>" for name, text in remarks.remarks(run, alarm))
    return (
        f'<section class="{CLASS[alarm.severity.value]}"><p><b>step {alarm.step:,} {alarm.severity.value}[{safe(alarm.code)}] '
        f"{safe(alarm.name)}: {safe(alarm.message)}</b></p><p>{safe(place)}</p>{source}<dl>{rows}</dl></section>"
    )


def _axis(run: Run, most: int) -> over.Axis:
    series = run.series
    steps = int(series.last_steps.max()) - int(series.steps[0]) + 1
    return over.axis(run, min(most, max(1, steps)))


def _steps(on: over.Axis, column: int) -> str:
    width = (on.end - on.begin) / on.columns
    first, last = int(on.begin + column * width), int(on.begin + (column + 1) * width) - 1
    return f"step {first:,}" if last <= first else f"steps {first:,} to {last:,}"
