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

_ROLES = {"input": "input weight", "hidden": "hidden weight", "output": "output weight", "vector": "bias and gain"}

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
    apart = [one for one in weights if one not in reading_out(weights)]
    found = [
        *_rates(apart, sizes, argument, adaptive=adaptive),
        *_outputs(apart, sizes, argument),
        *_tied(reading_out(weights), sizes, argument),
        *_attention(attentions, argument),
    ]
    return tuple(sorted(found, key=lambda one: (one.severity.rank, -abs(one.exponent))))


def reading_out(weights: Sequence[WeightScale]) -> list[WeightScale]:
    """The second uses of weights that embed and read out: what no start and no rate is right for."""
    embeds = {one.name for one in weights if one.call == "embedding"}
    return [one for one in weights if one.name in embeds and one.role == "output"]


def _rates(
    weights: Sequence[WeightScale], sizes: Sequence[int], argument: str, *, adaptive: bool
) -> Iterator[ScaleFinding]:
    for role in ("input", "hidden", "output", "vector"):
        for grows in (True, False):
            off = [one for one in weights if one.role == role and _beyond(one.update, grows=grows)]
            if not off:
                continue
            what = f"the change of {_its(off)} output by its own updates"
            worst = max((one.update.value for one in off), key=abs)
            yield _finding(
                "rate",
                off,
                [one.update for one in off],
                what,
                sizes,
                argument,
                _advice(role, argument, worst, adaptive=adaptive),
            )


def _advice(role: str, argument: str, power: float, *, adaptive: bool) -> str:
    if power < 0:
        return f"give {_ROLES[role]}s a learning rate that grows as {_as_power(argument, -power)}"
    if role == "hidden" and not adaptive:
        return "start the output layer smaller, by 1/√fan-in: its gradients then fall as the net grows (muP, SGD)"
    return f"give {_ROLES[role]}s a learning rate that falls as 1/{_as_power(argument, power)} (muP)"


def _as_power(argument: str, power: float) -> str:
    """The nearest half power, which theory has."""
    halves = max(1, round(2 * power))
    return {1: f"√{argument}", 2: argument}.get(halves, f"{argument}^{halves / 2:g}")


def _outputs(weights: Sequence[WeightScale], sizes: Sequence[int], argument: str) -> Iterator[ScaleFinding]:
    for grows in (True, False):
        off = [
            one
            for one in weights
            if one.role in ("input", "hidden") or (one.role == "output" and grows)
            if _beyond(one.gain, grows=grows)
        ]
        if not off:
            continue
        of = "" if off[0].call == "embedding" else " as a multiple of its input"
        what = f"{_its(off)} output{of} before the first step"
        advice = (
            "draw the weights with a variance that falls as 1/fan-in: nn.init.kaiming_normal_ for ReLU, xavier for tanh"
        )
        if all(one.call == "embedding" for one in off):
            advice = f"draw the embedding with the same variance at every {argument}"
        yield _finding("initialisation", off, [one.gain for one in off], what, sizes, argument, advice)


def _tied(tied: Sequence[WeightScale], sizes: Sequence[int], argument: str) -> Iterator[ScaleFinding]:
    for one in tied:
        if _beyond(one.update, grows=True):
            what = "it embeds as well, so no rate is right for both; the change of the logits by its updates"
            advice = f"multiply the logits by {sizes[0]}/{argument} in the model, as muP does: multipliers(size) gives the number"
            yield _finding("multiplier", [one], [one.update], what, sizes, argument, advice)


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
    kind = {"vector": "vector"}.get(off[0].role, f"{off[0].role} weight")
    if len(off) == 1:
        return f"{kind} {off[0].name}"
    more = f" and {len(off) - 2} more" if len(off) > 2 else ""
    return f"{kind}s {', '.join(one.name for one in off[:2])}{more}"


def _at(values: Sequence[float], sizes: Sequence[int]) -> str:
    return f", ×{number(values[-1] / values[0])} from {sizes[0]} to {sizes[-1]}"
