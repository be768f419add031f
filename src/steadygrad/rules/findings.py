"""How a rule puts a finding together: its code from its file's name, numbers as evidence, other places of an expression.

Knows records; judges nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from steadygrad.record import Evidence, Finding, Location, Operation, Severity


def other_places(operation: Operation | None) -> tuple[Location, ...]:
    """Where else the operation is known from: the construction where the call is marked, and the reverse."""
    if operation is None:
        return ()
    return tuple(p for p in (operation.call, operation.construction) if p is not None and p != operation.location)


def percent(share: float) -> str:
    """A share as whole percent, or with the digits that a small one needs."""
    return f"{share:.0%}" if abs(share) >= 0.01 or share == 0 else f"{share:.1g}"


def sentence(*parts: str) -> str:
    """The parts that say something, joined."""
    return "; ".join(part for part in parts if part)


def evidence(name: str, value: float, unit: str, expected: str) -> Evidence:
    """One number with its unit and what was expected."""
    return Evidence(name, float(value), unit, expected)


def judged(
    code_file: str,
    severity: Severity,
    message: str,
    *,
    location: Location | None,
    module: str = "",
    evidence: Sequence[Evidence],
    cures: Sequence[str],
    label: str = "",
    consequence: str = "",
    count: int = 1,
    also: Sequence[Location] = (),
    explains: Sequence[str] = (),
) -> Finding:
    """A finding of the rule whose module is called ``code_file`` (pass ``__name__``)."""
    code, _, name = code_file.rpartition(".")[2].partition("_")
    return Finding(
        code=code.upper(),
        name=name.replace("_", "-"),
        severity=severity,
        message=message,
        location=location,
        module=module,
        evidence=tuple(evidence),
        cures=tuple(cures),
        label=label,
        consequence=consequence,
        count=count,
        also=tuple(also),
        explains=tuple(explains),
    )
