"""From a trace to the layers of a net: each weight that multiplies, the activation behind it, what lies between.

Reads records only. What a cure edits is named by sites, so that the same layer is found in a model and in source text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from steadygrad.record import Operation, Site, Trace

_ACTIVATION_IF_ALONE = ("softmax", "pow", "square")
"""Elsewhere these are attention's weights, or part of a norm or a distance."""


@dataclass(frozen=True)
class Layer:
    """One multiplication by a weight, and the activation that its result reaches first."""

    operation: Operation
    activation: Operation | None
    normalised: bool
    """Whether a norm lies between the two."""
    on_trunk: bool
    """Whether every gradient path from the loss to the input passes it."""

    @property
    def weight(self) -> str:
        """Name of the weight, or of the module that computes it."""
        return self.operation.weight or self.operation.module


@dataclass(frozen=True)
class Net:
    """The operations of a trace, as a cure needs them."""

    trace: Trace

    @cached_property
    def operations(self) -> dict[int, Operation]:
        return {operation.index: operation for operation in self.trace.operations}

    @cached_property
    def children(self) -> dict[int, list[Operation]]:
        found: dict[int, list[Operation]] = {}
        for operation in self.trace.operations:
            for parent in operation.parents:
                found.setdefault(parent, []).append(operation)
        return found

    @cached_property
    def _sites(self) -> dict[int, Site]:
        seen: Counter[tuple[str, str]] = Counter()
        found = {}
        for operation in self.trace.operations:
            place = (operation.module, operation.name)
            found[operation.index] = Site(*place, seen[place], operation.call, operation.construction)
            seen[place] += 1
        return found

    def site(self, operation: Operation) -> Site:
        """The operation's place, for edits."""
        return self._sites[operation.index]

    @cached_property
    def on_trunk(self) -> frozenset[int]:
        """Indices of the operations that every path passes."""
        steps = self.trace.trunk.steps if self.trace.trunk is not None else ()
        return frozenset(step.operation for step in steps if step.operation is not None)

    @cached_property
    def skips(self) -> int:
        """Blocks of the trunk that have a path around them."""
        steps = self.trace.trunk.steps if self.trace.trunk is not None else ()
        return sum(step.cause == "block with a skip" for step in steps)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """In the order in which they ran; a weight that is used at every step of time is one layer."""
        found, known = [], set()
        for operation in self.trace.operations:
            name = operation.weight or operation.module
            weighs = operation.weight or operation.module_type.startswith("Parametrized") or operation.fan_in
            if operation.kind != "linear" or not weighs or name in known:
                continue
            known.add(name)
            activation, normalised = self._behind(operation)
            found.append(Layer(operation, activation, normalised, operation.index in self.on_trunk))
        return tuple(found)

    @cached_property
    def hidden(self) -> tuple[Operation, ...]:
        """Activations whose result goes on into a layer, a norm or a sum: not gates, and not the model's output."""
        return tuple(o for o in self.trace.operations if self._acts(o) and not self.gates(o) and self._reaches_layer(o))

    def _acts(self, operation: Operation) -> bool:
        """Whether it is an activation; a softmax or a power is one where its result goes into layers and nowhere else."""
        if operation.kind == "activation":
            return operation.name.strip("_") != "log_softmax"
        if operation.name.strip("_") not in _ACTIVATION_IF_ALONE or len(operation.parents) != 1:
            return False
        behind = self.children.get(operation.index, [])
        return bool(behind) and all(child.kind == "linear" and child.weight for child in behind)

    def gates(self, operation: Operation) -> bool:
        """Whether its result multiplies something else."""
        behind = self.children.get(operation.index, [])
        return any(child.name.strip("_") in ("mul", "lerp") and len(child.parents) > 1 for child in behind)

    def _reaches_layer(self, operation: Operation) -> bool:
        open_, seen = [operation.index], set()
        while open_:
            for child in self.children.get(open_.pop(), []):
                if child.kind in ("linear", "recurrent"):
                    return True
                if child.index not in seen:
                    seen.add(child.index)
                    open_.append(child.index)
        return False

    def _behind(self, operation: Operation) -> tuple[Operation | None, bool]:
        normalised = False
        for following in self._chain(operation):
            if self._acts(following):
                return following, normalised
            if following.kind == "normalisation":
                normalised = True
            elif following.kind not in ("shape", "dropout", "pooling"):
                return None, normalised
        return None, normalised

    def _chain(self, operation: Operation) -> Iterator[Operation]:
        """What follows as long as there is one thing that does."""
        while len(behind := self.children.get(operation.index, [])) == 1:
            operation = behind[0]
            yield operation

    def in_front_of(self, activation: Operation) -> Layer | None:
        """The layer whose result the activation takes."""
        return next((layer for layer in self.layers if layer.activation is activation), None)
