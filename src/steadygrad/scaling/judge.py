"""What of a family does not stay as it grows, and why: from exponents to findings.

May rely on records alone. In a net that can be made wide each weight's update changes its output as much at every width, and
outputs neither grow nor fade (Yang et al. 2022, arXiv:2203.03466, desiderata J.1; Yang et al. 2023, arXiv:2310.17813).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from steadygrad.numerals import number
from steadygrad.record import Severity
from steadygrad.record.scale import AttentionScale, Exponent, ScaleFinding, WeightScale

OFF = 0.25
"""Exponents beyond this are off. An MLP and a transformer at torch's defaults, widths 64 to 512: what theory has at 0 reads at
most 0.07 from it, what theory has at ½ or 1 reads 0.32 to 0.92; a tenth of the doublings is left to chance."""


def judged(
    weights: Sequence[WeightScale],
    attentions: Sequence[AttentionScale],
    sizes: Sequence[int],
    argument: str,
    *,
    adaptive: bool,
) -> tuple[ScaleFinding, ...]:
    """All findings, the worst first."""
    found = [
        *_rates(weights, sizes, argument, adaptive=adaptive),
        *_outputs(weights, sizes, argument),
        *_attention(attentions, argument),
    ]
    return tuple(sorted(found, key=lambda one: (one.severity.rank, -abs(one.exponent))))


def _rates(
    weights: Sequence[WeightScale], sizes: Sequence[int], argument: str, *, adaptive: bool
) -> Iterator[ScaleFinding]:
    for role in ("input", "hidden", "output"):
        for grows in (True, False):
            off = [one for one in weights if one.role == role and _beyond(one.update, grows=grows)]
            if not off:
                continue
            what = f"the change of {_its(off)} output in a step"
            advice = _advice(role, argument, adaptive=adaptive, grows=grows)
            yield _finding("rate", off, [one.update for one in off], what, sizes, argument, advice)


def _advice(role: str, argument: str, *, adaptive: bool, grows: bool) -> str:
    if not grows:
        return f"give {role} weights a learning rate that grows as {argument}"
    rule = "Adam" if adaptive else "SGD"
    if role == "hidden" and not adaptive:
        return "start the output layer smaller, by 1/√fan-in: its gradients then fall as the net grows (muP, SGD)"
    return f"give {role} weights a learning rate that falls as 1/{argument} (muP, {rule})"


def _outputs(weights: Sequence[WeightScale], sizes: Sequence[int], argument: str) -> Iterator[ScaleFinding]:
    for grows in (True, False):
        off = [
            one for one in weights if _beyond(one.output, grows=grows) and (grows or one.role in ("input", "hidden"))
        ]
        if not off:
            continue
        what = f"{_its(off)} output before the first step"
        advice = (
            "draw the weights with a variance that falls as 1/fan-in: nn.init.kaiming_normal_ for ReLU, xavier for tanh"
        )
        yield _finding("initialisation", off, [one.output for one in off], what, sizes, argument, advice)


def _finding(
    kind: str,
    off: Sequence[WeightScale],
    exponents: Sequence[Exponent],
    what: str,
    sizes: Sequence[int],
    argument: str,
    advice: str,
) -> ScaleFinding:
    """The finding about weights that are off by these exponents, all of one sign; it stands at the worst."""
    worst, weight = max(zip(exponents, off, strict=True), key=lambda pair: abs(pair[0].value))
    grows = worst.value > 0
    how = f"{'grows' if grows else 'shrinks'} as {argument}^{_power(worst.value)}{_at(worst.at, sizes)}"
    return ScaleFinding(
        Severity.ERROR if grows else Severity.WARNING,
        kind,
        tuple(one.name for one in off),
        worst.value,
        weight.location,
        f"{_names(off)}: {what} {how}",
        advice,
    )


def _attention(attentions: Sequence[AttentionScale], argument: str) -> Iterator[ScaleFinding]:
    off = [one for one in attentions if one.heads[-1] > one.heads[0] and one.logits.value > OFF - 0.5]
    if not off:
        return
    worst = max(off, key=lambda one: one.logits.value)
    many = f"{len(off)} attentions divide" if len(off) > 1 else "the attention divides"
    yield ScaleFinding(
        Severity.WARNING,
        "attention",
        tuple(one.queries for one in off),
        worst.logits.value,
        worst.location,
        f"{many} the logits by √d, and d, the size of a head, grows from {worst.heads[0]} to {worst.heads[-1]}: once training "
        "aligns queries with keys, the logits grow as √d",
        f"divide by d in place of √d, times √{worst.heads[0]} so that the smallest net stays as it is",
    )


def _beyond(one: Exponent, *, grows: bool) -> bool:
    """Return whether the exponent is off by more than its own standard error."""
    margin = OFF if math.isnan(one.error) else OFF + one.error
    return one.value > margin if grows else one.value < -margin


def _power(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def _its(off: Sequence[WeightScale]) -> str:
    return "its" if len(off) == 1 else "each one's"


def _names(off: Sequence[WeightScale]) -> str:
    kind = f"{off[0].role} weight"
    if len(off) == 1:
        return f"{kind} {off[0].name}"
    more = f" and {len(off) - 2} more" if len(off) > 2 else ""
    return f"{kind}s {', '.join(one.name for one in off[:2])}{more}"


def _at(values: Sequence[float], sizes: Sequence[int]) -> str:
    return f", ×{number(values[-1] / values[0])} from {sizes[0]} to {sizes[-1]}"
