"""Numbers, counts, paths and strings of a record as a reader should meet them.

Every format draws its words from here, so that a number reads the same in a terminal, an annotation and a notebook.
May rely on the records; must not know where the words go, nor of colours and widths.
"""

from __future__ import annotations

import math
import os
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from steadygrad.record import CheckRecord, Evidence, Finding, Severity, Verdict

VERDICTS = {
    Verdict.HEALTHY: "healthy",
    Verdict.AT_RISK: "at risk",
    Verdict.WILL_NOT_TRAIN: "will not train as set up",
}


def verdict(record: CheckRecord) -> str:
    """ "at risk"; of a loss that was assumed, "healthy, if the loss is cross-entropy on the output as logits"."""
    said = VERDICTS[record.verdict]
    if record.verdict is not Verdict.HEALTHY or not any(one.startswith("loss: ") for one in record.setup.assumptions):
        return said
    return f"{said}, if the loss is {record.setup.loss}" + (
        " on the output as logits" if record.setup.loss == "cross-entropy" else ""
    )


# Units that say what kind of number it is, and are not read aloud with it.
_DIMENSIONLESS = {"", "share", "ratio", "ratio to 1", "relative", "absolute"}

_JOINERS = "\u200c\u200d"
_VARIATION_SELECTORS = "\ufe0e\ufe0f"
_UNSAFE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def clean(text: str) -> str:
    """The text on one line, without a character that could move a cursor, reorder text or end a line."""
    return "".join(map(_clean_character, " ".join(text.split("\n")) if "\n" in text else text))


def _clean_character(character: str) -> str:
    if " " <= character <= "~":
        return character
    if character in _VARIATION_SELECTORS:
        return ""
    if character in "\t\r\n":
        return " "
    unsafe = unicodedata.category(character) in _UNSAFE and character not in _JOINERS
    return "\N{REPLACEMENT CHARACTER}" if unsafe else character


def number(value: float) -> str:
    """Three significant digits, with a real minus sign: 0.24, 17.2, 1,234, 1e-15, −∞."""
    if math.isnan(value):
        return "NaN"
    sign, size = ("−" if value < 0 else ""), abs(value)
    if math.isinf(size):
        return f"{sign}∞"
    if size >= 1e6 or 0 < size < 1e-3:
        mantissa, exponent = f"{size:.2e}".split("e")
        return f"{sign}{float(mantissa):g}e{int(exponent)}"
    return f"{sign}{size:,.0f}" if size >= 999.5 else f"{sign}{size:.3g}"


def one_decimal(value: float) -> str:
    """Decades: 17.2, and never −0.0."""
    return number(value) if not math.isfinite(value) else f"{'−' if value <= -0.05 else ''}{abs(value):.1f}"


def percent(share: float) -> str:
    """A share in [0, 1] as a percentage."""
    value = 100 * share
    return f"{value:.0f} %".replace("-", "−") if math.isfinite(value) and abs(value) >= 1 else f"{number(value)} %"


def count(amount: int, noun: str) -> str:
    """1 error, 2 errors, 1,000 steps, 3 branches."""
    ending = "" if amount == 1 else "es" if noun.endswith("ch") else "s"
    return f"{amount:,} {noun}{ending}"


def seconds(value: float) -> str:
    """40 ms, 0.3 s, 12 s, 3 min."""
    if value < 0.1:
        return f"{1000 * value:.0f} ms"
    if not math.isfinite(value) or value < 60:
        return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"
    return f"{value / 60:.0f} min"


def evidence(items: Iterable[Evidence]) -> str:
    """``derivative rms 0.24 of a maximum of 0.25 (expected near 1); …``."""
    return "; ".join(map(_one, items))


def _one(item: Evidence) -> str:
    value = number(item.value)
    if item.unit not in _DIMENSIONLESS and item.unit not in item.name.split():
        value += item.unit if item.unit == "×" else f" {item.unit}"
    expected = f" (expected {item.expected})" if item.expected else ""
    return clean(f"{item.name} {value}{expected}")


def decades(value: float) -> str:
    """``17.2 decades lost``, ``0.3 decades gained``."""
    if math.isnan(value):
        return "decades unknown"
    if abs(value) < 0.05:
        return "no decade lost or gained"
    return f"{one_decimal(abs(value))} decades {'lost' if value < 0 else 'gained'}"


_DECADES = re.compile(r"(?<![\d.,(−])(?<!of )(?<!of the )([\d,]+(?:\.\d+)?) decades")


def with_factors(text: str) -> str:
    """``gains 3.5 decades`` as ``gains ×3,200 (3.5 decades)``; shares of decades, and those beside their factor, stay."""
    return _DECADES.sub(lambda found: f"×{_power_of_ten(float(found[1].replace(',', '')))} ({found[0]})", text)


def _power_of_ten(exponent: float) -> str:
    whole = math.floor(exponent)
    mantissa = 10.0 ** (exponent - whole)
    return f"{float(f'{mantissa * 10.0**whole:.2g}'):,.15g}" if whole < 6 else f"{mantissa:.1f}e{whole}"


def shown_path(path: str) -> str:
    """The path relative to the current directory where it lies inside it, as it is otherwise."""
    try:
        here = Path.cwd()
        shown = os.path.relpath(path, here) if os.path.isabs(path) and Path(path).is_relative_to(here) else path  # noqa: PTH117
    except OSError:
        shown = path
    return clean(shown)


def place(finding: Finding) -> str:
    """Where a finding is, on one line: ``net.py:9:17``, else its module, else "model"."""
    at = finding.location
    return f"{shown_path(at.path)}:{at.line}:{at.column}" if at else clean(finding.module) or "model"


def worst_first(record: CheckRecord) -> list[Finding]:
    """The findings by severity, and as the record has them within one severity."""
    return sorted(record.findings, key=lambda finding: finding.severity.rank)


def tally(record: CheckRecord) -> str:
    """``2 errors, 1 warning``, or "no findings"."""
    amounts = {severity: sum(f.severity is severity for f in record.findings) for severity in Severity}
    nouns = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
    return ", ".join(count(n, nouns[severity]) for severity, n in amounts.items() if n) or "no findings"


def price(record: CheckRecord) -> str:
    """What the check cost: ``probe 1.4× a plain step, 0.3 s``."""
    cost = record.cost
    ratio = f"probe {cost.probe / cost.plain:.1f}× a plain step, " if cost.plain else ""
    return f"{ratio}{seconds(cost.total or cost.probe)}"
