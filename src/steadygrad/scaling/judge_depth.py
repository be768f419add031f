"""What of a family does not stay as it gets deeper, and why: from laws to findings. May rely on records alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from steadygrad.numerals import number
from steadygrad.record import Severity
from steadygrad.record.depth import DepthFinding, DepthLimit, Law, LayerScale

POWER = 0.25
"""Powers beyond this are off: theory has halves."""
DECADES = 1.0
"""Exponential laws count where they change a quantity by a factor of ten over the depths that were measured."""


def judged(
    activations: Law,
    gradient: Law,
    spread: Law,
    change: Law,
    layers: Sequence[LayerScale],
    limit: DepthLimit | None,
    depths: Sequence[int],
    argument: str,
    *,
    residual: bool,
) -> tuple[DepthFinding, ...]:
    """All findings, the worst first."""
    ends = [one for one in layers if one.ends_branch] if residual else list(layers)
    found = [
        *_limit(limit, argument),
        *_exponential(
            "gradient", "the gradient on its way back through the layers", gradient, layers, depths, argument
        ),
        *_exponential(
            "spread", "the difference between samples behind the last layer", spread, layers, depths, argument
        ),
        *_exponential("activations", "what the layers make", activations, layers, depths, argument),
        *_powers(activations, change, ends, depths, argument, residual=residual),
    ]
    return tuple(sorted(found, key=lambda one: one.severity.rank))


def _limit(limit: DepthLimit | None, argument: str) -> Iterator[DepthFinding]:
    if limit is None or limit.fails_at is None:
        return
    fails = f"training fails at {argument} {limit.fails_at}"
    trains = f" and goes well up to {limit.trains_at}" if limit.trains_at is not None else ""
    told = f": {limit.why}" if limit.predicted else ""
    yield DepthFinding(
        Severity.ERROR,
        "limit",
        (),
        None,
        f"{fails}{trains}{told}",
        "steadygrad cure at that depth: skips, or numbers that hold at any depth (folded initialisation)",
    )


def _exponential(
    kind: str, what: str, law: Law, layers: Sequence[LayerScale], depths: Sequence[int], argument: str
) -> Iterator[DepthFinding]:
    if law.kind != "exponential" or not abs(law.decades) > DECADES or (kind == "spread" and law.value > 0):
        return
    grows = law.value > 0
    how = f"{'grows' if grows else 'falls'} by {number(abs(law.value))} decades a layer"
    over = f"{number(abs(law.decades))} from {argument} {depths[0]} to {depths[-1]}"
    yield DepthFinding(
        Severity.ERROR,
        kind,
        tuple(one.pattern for one in layers),
        layers[0].location if layers else None,
        f"{what} {how}, {over}",
        "steadygrad cure: an initialisation that keeps it, or skips",
    )


def _powers(
    activations: Law, change: Law, ends: Sequence[LayerScale], depths: Sequence[int], argument: str, *, residual: bool
) -> Iterator[DepthFinding]:
    """A stream that grows, and what all layers together change in it."""
    if not residual:
        return
    place = ends[0].location if ends else None
    names = tuple(one.pattern for one in ends)
    if change.kind == "power" and change.value > POWER + _margin(change):
        yield DepthFinding(
            Severity.WARNING,
            "rate",
            names,
            place,
            f"the change of the stream by the updates of all layers together grows as {argument}^{number(change.value)}: no one "
            "learning rate serves every depth",
            f"let each branch add {depths[0]}/{argument} of what it adds (CompleteP): initialise_ and groups put that into the "
            "weights at its end",
        )
    elif activations.kind == "power" and activations.value > POWER + _margin(activations):
        yield DepthFinding(
            Severity.WARNING,
            "activations",
            names,
            place,
            f"the stream grows as {argument}^{number(activations.value)}: each branch adds its own variance",
            f"let each branch add 1/√{argument} of what it adds, or less",
        )


def _margin(law: Law) -> float:
    return 0.0 if math.isnan(law.error) else law.error
