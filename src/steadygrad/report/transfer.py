"""Whether a learning rate carries over, as text and as curves, for the reports over width and over depth."""

from __future__ import annotations

import math

from steadygrad.numerals import count, number, percent
from steadygrad.record.transfer import KEPT, Sweep, TransferRecord
from steadygrad.report import svg
from steadygrad.report.colour import Paint
from steadygrad.report.layout import fill


def text(found: TransferRecord, argument: str, width: int, paint: Paint) -> list[str]:
    """The best rate of each model, what the small model's is worth to the large ones, and whether the cure is proven."""
    lines = fill(f"learning rates, as multiples of the optimizer's own; {_trained(found)}", width)
    rows = table(found, argument)
    longest = max(len(row[0]) for row in rows)
    head = f"{'':<{longest}}  {'best rate':>10}  {f'fall with {_times(found.shared)}':>15}"
    lines.append(paint(head, "faint"))
    lines += [f"{name:<{longest}}  {best:>10}  {fall:>15}" for name, best, fall in rows]
    last = [paint(line, "healthy" if found.proven else "at risk") for line in fill(outcome(found, argument), width)]
    return [*lines, *last]


def table(found: TransferRecord, argument: str) -> list[tuple[str, str, str]]:
    """For each sweep its name, its best rate, and the share of its best fall that the small model's best rate reaches."""
    names = _names(found, argument)
    sweeps = (found.small, found.before, found.after)
    return [(name, _best(one), percent(one.reached(found.shared))) for name, one in zip(names, sweeps, strict=True)]


def outcome(found: TransferRecord, argument: str) -> str:
    """The result in a sentence."""
    rate, small, large = _times(found.shared), f"{argument} {found.small.size}", f"{argument} {found.after.size}"
    reached = found.after.reached(found.shared)
    if math.isnan(reached):
        return f"not proven: no rate lowers the loss of the cured model of {large}"
    shares = f"{percent(reached)} of the fall of the loss that its own best rate brings"
    if found.proven:
        as_well = "; as built it takes that rate as well" if found.before.reached(found.shared) >= KEPT else ""
        return f"proven: the best rate of {small}, {rate}, brings the cured model of {large} {shares}{as_well}"
    why = "; the multiplier that the model lacks may be why" if found.without else ""
    return f"not proven: the best rate of {small}, {rate}, brings the cured model of {large} only {shares}{why}"


def picture(found: TransferRecord, argument: str) -> str:
    """The loss at each rate, a curve for each model: the small one plain, the large one red as built and green when cured."""
    sweeps = (found.small, found.before, found.after)
    factors = sorted({run.factor for one in sweeps for run in one.runs})
    values = [[_loss(one, factor) for factor in factors] for one in sweeps]
    tried = [{run.factor for run in one.runs} for one in sweeps]
    # Rates that diverge would flatten all else; the start is what a rate must beat.
    high = max(one.start for one in sweeps)
    low = min(one.best.loss for one in sweeps)
    drawn = [[min(value, high) for value in row] for row in values]
    titles = [
        f"rate {_times(factor)}: "
        + ", ".join(
            f"{name} {number(value)}"
            for name, value, known in zip(_names(found, argument), column, tried, strict=True)
            if factor in known
        )
        for factor, column in zip(factors, zip(*values, strict=True), strict=True)
    ]
    return svg.curves(
        [svg.Curve(row, kind) for row, kind in zip(drawn, ("", "bad", "good"), strict=True)],
        titles,
        labels=(number(high), number(low)),
        span=(low, high),
        ends=(f"rate {_times(factors[0])}", f"rate {_times(factors[-1])}"),
    )


def _loss(sweep: Sweep, factor: float) -> float:
    """The loss at this rate; on the line between its neighbours where it was not tried, NaN beyond them."""
    lower = [one for one in sweep.runs if one.factor <= factor]
    higher = [one for one in sweep.runs if one.factor >= factor]
    if not (lower and higher):
        return math.nan
    low, high = lower[-1], higher[0]
    if low is high or not (math.isfinite(low.loss) and math.isfinite(high.loss)):
        return low.loss if low is high else math.inf
    share = math.log(factor / low.factor) / math.log(high.factor / low.factor)
    return low.loss + share * (high.loss - low.loss)


def _names(found: TransferRecord, argument: str) -> tuple[str, str, str]:
    large = f"{argument} {found.after.size}"
    return f"{argument} {found.small.size}", f"{large}, as built", f"{large}, cured"


def _best(sweep: Sweep) -> str:
    least, best = sweep.runs[0], sweep.best
    bound = "" if sweep.bracketed else "≤ " if best is least else "≥ "
    return bound + _times(best.factor)


def _times(factor: float) -> str:
    return f"×{number(factor, 2)}"


def _trained(found: TransferRecord) -> str:
    return f"{count(found.steps, 'step')} at each, {found.data}{_without(found.without)}"


def _without(names: tuple[str, ...]) -> str:
    if not names:
        return ""
    who = f"{names[0]} needs" if len(names) == 1 else f"{names[0]} and {count(len(names) - 1, 'other')} need"
    return f", without the multiplier that {who} in the model"
