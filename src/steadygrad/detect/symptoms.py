"""A symptom: something wrong at one step, as the numbers alone show it."""

from __future__ import annotations

from dataclasses import dataclass

from steadygrad.record import Location, Severity
from steadygrad.record.fault_kind import FaultKind


@dataclass(frozen=True)
class Symptom:
    """Something wrong at one step."""

    code: str
    severity: Severity
    step: int
    column: int | None
    """The parameter by which it shows first; None = the whole model."""
    message: str
    columns: tuple[int, ...] = ()
    """All that show it."""
    last_step: int = 0
    norm: float = float("nan")
    """The gradient norm of that parameter, at the last step."""
    cause: str = ""
    """The cause, where the numbers show it."""
    slack: int = 0
    """Steps by which it may have begun before ``step``, where the numbers leave that open."""
    origin: str = ""
    """Where a change of norms begins, as weights and biases show it: "input" of the model, "output" of the parameter's layer,
    "back" = the gradient that reaches it; "" = they do not show it."""
    at_step: bool = False
    """Whether its step is known exactly, although the gradients of that step may not have been read."""
    lasting: bool = False
    """Whether it is a state that goes on, and not one step's doing."""
    of_the_loop: bool = False
    """Whether it is a mistake of the loop itself: nothing in the step shows more of it."""
    explained: bool = False
    """Whether cause and place are known already: a look at the step would show nothing more."""
    kind: FaultKind = FaultKind.UNKNOWN
    location: Location | None = None
    """Its place in the program, where that is known already; of the loop else where steps are taken."""


def times(factor: float) -> str:
    """A factor as a person writes it: ×12, ×0.004, ×18,000, ×3.2e7."""
    return f"×{plain(factor, 3 if factor < 999.5 else 2)}"


def plain(number: float, digits: int = 3) -> str:
    """A number as a person writes it: 12, 0.004, 18,000, 3.2e7; ``digits`` of it below a million."""
    if 1e-3 <= abs(number) < 999.5:
        return f"{float(f'{number:.{digits}g}'):g}"
    if 999.5 <= abs(number) < 1e6:
        return f"{float(f'{number:.{digits}g}'):,.0f}"
    mantissa, _, exponent = f"{number:.1e}".partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent and number else f"{number:g}"


def change(decades: float) -> str:
    """A change of a norm as a factor, with its decades beside it."""
    return f"{times(10.0 ** abs(decades))} ({abs(decades):.1f} decades)"
