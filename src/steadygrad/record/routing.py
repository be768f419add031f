"""Choices among options in a pass, as a router or a codebook makes them, and the options that none fell on."""

from __future__ import annotations

from dataclasses import dataclass

from steadygrad.record.span import Location


@dataclass(frozen=True, slots=True)
class Routing:
    """How often each of several alike parts of a model was picked, and which of them got no gradient."""

    name: str
    """The call that picks, in torch's own name: "topk", "argmin"."""
    module: str
    """Path of the innermost module that ran it."""
    location: Location | None
    parts: str
    """What holds the options: the list of modules "layers.0.experts", or the parameter "codebook.weight"."""
    kind: str
    """What the options are: "modules" of a list, a "stack" of matrices in one parameter, or "entries", rows of a matrix."""
    options: int
    picks: int
    """Choices in the pass: tokens × options picked for each."""
    used: int
    """Options that were picked at all."""
    effective: float
    """Options that the choices amount to, were each picked as often: the exponential of their entropy."""
    most: float
    """Share of the choices that fell on the most popular option."""
    lost: tuple[int, ...]
    """Options never picked whose gradient is exactly zero; of entries the first thousand."""

    @property
    def unpicked(self) -> int:
        """Options never picked."""
        return self.options - self.used

    def holds(self, parameter: str) -> bool:
        """Return whether a parameter is one of a lost module's."""
        if self.kind != "modules" or not parameter.startswith(f"{self.parts}."):
            return False
        index = parameter.removeprefix(f"{self.parts}.").partition(".")[0]
        return index.isdigit() and int(index) in self.lost
