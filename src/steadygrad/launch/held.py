"""A check that an optimizer holds what the program's backward pass reaches: at its first steps, until it does.

An optimizer that was made before the model, or before a layer that was put in later, steps other tensors than those that get
the gradient, and nothing fails. Reads gradients that are there or not, never their values. Models that another optimizer
trains, or that none is meant to train, are no fault: the report is only of an optimizer that itself gets nothing, or that
holds what no module has any more.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from steadygrad.detect.symptoms import Symptom
from steadygrad.launch.models import modules_alive, outermost_with, parameters_of
from steadygrad.record import Severity
from steadygrad.record.fault_kind import FaultKind
from steadygrad.source.spans import construction_of
from steadygrad.torch_internals.held import own_parameters
from steadygrad.torch_internals.tensors import writes_to

LOOKS = 3
"""Steps of an optimizer at which it is asked, where the one before did not settle it."""
CAUSE = "the optimizer was made before the model, or before a layer that was put in later"

Mark = tuple[int, int]
"""Identity and version of a gradient: backward passes change one of them."""


@dataclass(frozen=True)
class Missing:
    """The parameters that get the gradient in place of those that the optimizer holds."""

    optimizer: Any
    models: list[nn.Module]
    """The models to watch with it, where they are not watched yet."""
    symptom: Symptom

    def tell(self, guards: Sequence[Any]) -> bool:
        """Hand it to the guard of the optimizer; whether one of these is."""
        own = [(guard, one) for guard in guards for one in guard.optimizers if one.optimizer is self.optimizer]
        for guard, one in own:
            guard.found(one, [replace(self.symptom, step=one.step + 1, last_step=one.step + 1)])
        return bool(own)


class Held:
    """Knows the optimizers of the program, and asks each at its first steps."""

    def __init__(self) -> None:
        self._optimizers: list[weakref.ref[Any]] = []
        self._left: dict[int, int] = {}
        """By identity: looks that are left."""
        self._marks: dict[int, dict[int, Mark]] = {}
        """The same: gradients that no optimizer held, at the step before."""

    def made(self, optimizer: Any) -> None:
        self._optimizers.append(weakref.ref(optimizer))
        self._left[id(optimizer)] = LOOKS
        self._marks.pop(id(optimizer), None)

    def stepping(self, optimizer: Any) -> Missing | None:
        """Note that an optimizer is about to take a step."""
        left = self._left.pop(id(optimizer), 0)
        if not left:
            return None
        parameters = parameters_of(optimizer)
        reached = any(p.grad is not None for p in parameters)
        idle = [p for p in parameters if p.grad is None and p.requires_grad]
        if reached and not idle:
            return None
        if left > 1:
            self._left[id(optimizer)] = left - 1
        alive = modules_alive()
        if reached:
            # Parts that take no part in this step belong to some module; what no module has was replaced.
            kept = {id(p) for module in alive for p in own_parameters(module)}
            idle = [p for p in idle if id(p) not in kept]
            if not idle:
                return None
        strays = self._strays(optimizer, alive)
        if not strays:
            return None
        models = outermost_with({id(p) for p in strays}, alive)
        if reached and not _also_in(models, parameters):
            return None
        self._left.pop(id(optimizer), None)
        # A module of its parameters: theirs is gone, and a guard watches what belongs to one.
        watched = [*(model for model, _ in models), nn.ParameterList(parameters)]
        return Missing(optimizer, watched, _symptom(optimizer, parameters, idle, models, reached=reached))

    def _strays(self, optimizer: Any, alive: list[nn.Module]) -> list[Tensor]:
        """Parameters of modules that a backward pass has reached since the last step, and that no optimizer holds."""
        known = [one for reference in self._optimizers if (one := reference()) is not None]
        held = {id(p) for one in known for p in parameters_of(one)}
        now = {
            id(p): p
            for module in alive
            for p in own_parameters(module)
            if p.requires_grad and p.grad is not None and id(p) not in held
        }
        before = self._marks.get(id(optimizer))
        self._marks[id(optimizer)] = marks = {at: (id(p.grad), writes_to(p.grad)) for at, p in now.items()}
        return [p for at, p in now.items() if before is not None and before.get(at) != marks[at]]


Named = tuple[nn.Module, list[str]]
"""A model, and the names of some of its parameters."""


def _also_in(models: list[Named], parameters: list[Tensor]) -> bool:
    """Return whether the optimizer trains another part of these models."""
    inside = {id(p) for model, _ in models for p in model.parameters()}
    return any(id(p) in inside and p.grad is not None for p in parameters)


def _symptom(
    optimizer: Any, parameters: list[Tensor], idle: list[Tensor], models: list[Named], *, reached: bool
) -> Symptom:
    instead = " and ".join(f"{_shown(names)} of {type(model).__name__}" for model, names in models)
    got = f"what gets the gradient is {instead}, which no optimizer holds"
    if reached:
        message = f"the optimizer holds {_count(len(idle))} that no module has any more; {got}"
    else:
        message = f"no gradient comes to any of the {_count(len(parameters))} that the optimizer holds; {got}"
    return Symptom(
        "SG107",
        Severity.WARNING if reached else Severity.ERROR,
        1,
        None,
        message,
        cause=CAUSE,
        lasting=True,
        of_the_loop=True,
        kind=FaultKind.OTHER_COPY,
        location=construction_of(optimizer),
    )


def _count(number: int) -> str:
    return f"{number} parameter{'' if number == 1 else 's'}"


def _shown(names: list[str]) -> str:
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")
