"""The findings of a rule: code, severity, place, and the numbers they rest on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from steadygrad.record.span import Location


class Severity(StrEnum):
    """The certainty that a finding stops training."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for an error, 1 for a warning, 2 for info."""
        return list(Severity).index(self)


class Verdict(StrEnum):
    """The fate of the subject when it is trained as set up."""

    HEALTHY = "healthy"
    AT_RISK = "at risk"
    WILL_NOT_TRAIN = "will not train"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One number, its unit, and what was expected of it."""

    name: str
    value: float
    unit: str
    expected: str


@dataclass(frozen=True, slots=True)
class CureRef:
    """One thing to do about a finding, and the cure that does it, where there is one."""

    why: str
    """The remedy, in words: "a gated cell for a plain one"."""
    name: str = ""
    """The cure or candidate that ``steadygrad cure --only`` takes: "gated-cell"; "" = by hand."""

    @classmethod
    def from_text(cls, text: str) -> CureRef:
        """One of a report written when cures were sentences."""
        return cls(text)


@dataclass(frozen=True, slots=True)
class Finding:
    """A judgement on a record.

    ``message`` is one line: what was seen, with the number. ``label`` stands under the marked expression;
    ``consequence`` says what follows; ``cures`` are what to do, least intrusive first.
    """

    code: str
    name: str
    severity: Severity
    message: str
    location: Location | None
    module: str
    evidence: tuple[Evidence, ...]
    cures: tuple[CureRef, ...]
    label: str = ""
    consequence: str = ""
    count: int = 1
    """The number of places that share this cause; the location is the first of them."""
    also: tuple[Location, ...] = ()
    """Other known places: the construction where ``location`` is the call, and the reverse."""
    explains: tuple[str, ...] = ()
    """Codes of the symptoms this finding accounts for; they are not reported on their own."""
