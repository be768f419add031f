"""The owner of the tensors that a pass on a copy uses: the copy alone, or also the original, by a way around the copy.

Such a way is an object outside of the model (a registry, a cache, a global variable) or one that a copy shares. What was seen
on it is not of the copy, and steps would train a part of it only, so there is one sentence and no check.
Knows tensors; the flow of values shows it what a pass met, the graph what that leads to.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from torch import Tensor

from steadygrad.errors import SubjectError
from steadygrad.record import BlindSpot, Location


@dataclass
class Originals:
    """The parameters and buffers that were copied, by identity and by memory, and which of them a pass on the copy met."""

    named: tuple[tuple[str, Tensor], ...]
    """Alive as long as they are looked for, so that their identities are given to no other tensors."""
    met: list[tuple[str, Location | None]] = field(default_factory=list)
    """Used within a call of the copy, with the expression."""
    met_outside: list[tuple[str, Location | None]] = field(default_factory=list)
    """Used by the loss."""

    @cached_property
    def names(self) -> dict[int, str]:
        """The names by identity."""
        return {id(tensor): name for name, tensor in self.named}

    @cached_property
    def _places(self) -> dict[int, str]:
        return {place: name for name, tensor in self.named if (place := memory_of(tensor))}

    def name_of(self, tensor: Tensor) -> str | None:
        """The name of the original's tensor that this is, or has its elements in; None for any other."""
        name = self.names.get(id(tensor))
        if name is None and tensor.is_leaf and (place := memory_of(tensor)):
            name = self._places.get(place)
        return name

    def note(self, name: str, place: Location | None, *, within: bool) -> None:
        """A pass uses this one; ``within`` a call of the model, or else in its loss."""
        (self.met if within else self.met_outside).append((name, place))

    def refuse_met(self) -> list[BlindSpot]:
        """Raise ``SubjectError`` where the copy has used tensors of the original; what only its loss did is a blind spot."""
        if self.met:
            raise SubjectError(_sentence(*self.met[0], more=len({name for name, _ in self.met}) - 1))
        found = dict(self.met_outside)
        return [
            BlindSpot(f"it reads {name} of the model itself; what is examined is a copy of it", "loss", place)
            for name, place in list(found.items())[:1]
        ]

    def refuse_leaves(self, leaves: Iterable[Tensor]) -> None:
        """Raise ``SubjectError`` where a gradient goes to the original, unless it is the loss that reads it."""
        outside = {name for name, _ in self.met_outside}
        found = [name for leaf in leaves if (name := self.names.get(id(leaf))) is not None and name not in outside]
        if found:
            raise SubjectError(_sentence(found[0], None, more=len(set(found)) - 1))


def memory_of(tensor: Tensor) -> int:
    """Return the address of a tensor's elements; 0 where that has no meaning (sparse, transformed, uninitialised)."""
    try:
        return tensor.untyped_storage().data_ptr()
    except (RuntimeError, NotImplementedError, ValueError):
        return 0


def _sentence(name: str, place: Location | None, *, more: int) -> str:
    others = f" and {more} more" if more > 0 else ""
    at = "" if place is None else f" at {place}"
    expression = "" if place is None or not place.text or "\n" in place.text else f", `{place.text}`"
    return (
        f"a copy of the model still computes with {name}{others} of the model itself{at}{expression}: it reaches them by a way "
        "that does not go through the copy (a registry, a cache or a global name outside of the model, or its own "
        "__deepcopy__), and checks, cures and proofs work on copies; hold that layer or tensor as an attribute of the module "
        "that uses it (self.…)"
    )
