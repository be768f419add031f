"""Numbers, counts, paths and strings of a record as a reader should meet them.

Every format draws its words from here, so that a number reads the same in a terminal, an annotation and a notebook.
May rely on the records; must not know where the words go, nor of colours and widths.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from steadygrad.numerals import count, number, percent, seconds
from steadygrad.record import CheckRecord, Evidence, Finding, Location, Severity, Verdict

VERDICTS = {
    Verdict.HEALTHY: "healthy",
    Verdict.AT_RISK: "at risk",
    Verdict.WILL_NOT_TRAIN: "will not train as set up",
}


def verdict(record: CheckRecord) -> str:
    """ "at risk"; of a loss that was assumed, "healthy, if the loss is cross-entropy on the output as logits"."""
    said = VERDICTS[record.verdict]
    if record.verdict is not Verdict.HEALTHY or not any(one.about == "loss" for one in record.setup.assumptions):
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


def measured(item: Evidence) -> tuple[str, str]:
    """The name, and the number with its unit and what was expected: ("derivative rms", "0.24, expected near 1")."""
    value = percent(item.value) if item.unit == "share" else number(item.value)
    if item.unit not in _DIMENSIONLESS and item.unit not in item.name.split():
        value += item.unit if item.unit == "×" else f" {item.unit}"
    return clean(item.name), clean(value + (f", expected {item.expected}" if item.expected else ""))


def help_for(finding: Finding) -> str:
    """Say what to do, with the cure that does it: "a gated cell for a plain one (gated-cell); or truncating the sequence"."""
    return "; or ".join(f"{one.why} ({one.name})" if one.name else one.why for one in finding.cures)


def evidence(items: Iterable[Evidence]) -> str:
    """List the evidence: ``derivative rms on this batch: 0.24 of a maximum of 0.25, expected near 1; …``."""
    return "; ".join(": ".join(measured(item)) for item in items)


def remarks(finding: Finding) -> list[str]:
    """What follows the message, a line each: what the expression does, the numbers, the effect, the help."""
    parts = (
        finding.label,
        f"measured: {evidence(finding.evidence)}" if finding.evidence else "",
        f"so: {finding.consequence}" if finding.consequence else "",
        f"help: {help_for(finding)}" if finding.cures else "",
    )
    return [clean(part) for part in parts if part]


def shown_path(path: str) -> str:
    """The path relative to the current directory where it lies inside it, as it is otherwise."""
    try:
        here = Path.cwd()
        shown = os.path.relpath(path, here) if os.path.isabs(path) and Path(path).is_relative_to(here) else path  # noqa: PTH117
    except OSError:
        shown = path
    return clean(shown)


def shown_place(at: Location, *, column: bool = True) -> str:
    """Return a place as editors read it, ``net.py:9:17``, or as a notebook shows it, ``cell [2], line 9``."""
    if at.cell:
        return f"{shown_path(at.path)}, line {at.line}"
    return f"{shown_path(at.path)}:{at.line}" + (f":{at.column}" if column else "")


def place(finding: Finding) -> str:
    """Return the place of a finding on one line: ``net.py:9:17``, else its module, else "model"."""
    return shown_place(finding.location) if finding.location else clean(finding.module) or "model"


def worst_first(record: CheckRecord) -> list[Finding]:
    """The findings by severity, and as the record has them within one severity."""
    return sorted(record.findings, key=lambda finding: finding.severity.rank)


def tally(record: CheckRecord) -> str:
    """``2 errors, 1 warning``, or "no findings"."""
    amounts = {severity: sum(f.severity is severity for f in record.findings) for severity in Severity}
    nouns = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
    return ", ".join(count(n, nouns[severity]) for severity, n in amounts.items() if n) or "no findings"


def price(record: CheckRecord) -> str:
    """Return the cost of the check: ``probe 1.4× a plain step, 0.3 s``."""
    cost = record.cost
    ratio = f"probe {cost.probe / cost.plain:.1f}× a plain step, " if cost.plain else ""
    return f"{ratio}{seconds(cost.total or cost.probe)}"
