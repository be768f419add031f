"""The arguments of an optimizer's ``step``, by its signature: a closure, and what only the program that calls it has."""

from __future__ import annotations

import inspect
from typing import Any

from torch.optim import Optimizer


def place_of_closure(optimizer: Optimizer) -> int | None:
    """Count the arguments before the one called ``closure``, the optimizer first; None where there is none.

    Whatever else can be called is an argument like any other: a model, a schedule, a scaler.
    """
    places = [at for at, one in enumerate(_parameters(optimizer)) if one.name == "closure"]
    return places[0] if places else None


def only_the_program_has(optimizer: Optimizer) -> tuple[str, ...]:
    """Names of the arguments that ``step`` cannot be called without, the closure left out."""
    needed = [one for one in _parameters(optimizer)[1:] if one.default is inspect.Parameter.empty]
    named = [one for one in needed if one.kind not in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)]
    return tuple(one.name for one in named if one.name != "closure")


def _parameters(optimizer: Optimizer) -> list[inspect.Parameter]:
    step: Any = type(optimizer).step
    try:
        return list(inspect.signature(step).parameters.values())
    except (TypeError, ValueError):  # Not written in Python, and without a signature.
        return []
