"""The name of a conversion that nobody wrote: ``torch.Tensor(losses)`` makes a number of each loss by itself.

Knows source text alone.
"""

from __future__ import annotations

import ast

from steadygrad.record import Location

VALUES = frozenset({"tensor", "as_tensor", "asarray", "from_numpy", "new_tensor", "stack", "full", "Parameter"})
"""Functions that make a new tensor of what they are given."""

IMPLICIT = frozenset({"float", "int", "index", "bool", "complex"})
"""Conversions that a constructor makes by itself, of each element of a list."""


def name_of_cut(name: str, place: Location | None) -> str:
    """The name of the cut: a conversion that a constructor (``torch.Tensor(losses)``) made by itself goes by its name."""
    if name not in IMPLICIT or place is None:
        return name
    try:
        expression = ast.parse(place.text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        return name
    if not isinstance(expression, ast.Call):
        return name
    function = expression.func
    called = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return called if called.endswith("Tensor") or called in VALUES else name
