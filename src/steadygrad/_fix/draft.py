"""The files that a fix is changing, and what is known of the model that they make."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from torch import nn

from steadygrad._fix.source import Source
from steadygrad.cures.layers import Layer, Net
from steadygrad.errors import CannotFixError
from steadygrad.record import Location, Operation, Site
from steadygrad.source.spans import construction_of
from steadygrad.subject.subject import Subject


@dataclass
class Draft:
    """The files being changed, and what is known of the model."""

    subject: Subject
    net: Net
    cured: nn.Module
    """The model as the cure left it: where numbers alone were changed, with the same names."""
    sources: dict[Path, Source] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    """The parts of the cure that belong to none of the files."""
    rate_told: bool = False
    """Whether the learning rate is among them."""

    def source(self, path: str | Path) -> Source:
        path = Path(path).resolve()
        if path not in self.sources:
            self.sources[path] = Source.own(path)
        return self.sources[path]

    def operation(self, site: Site) -> Operation:
        return next(o for o in self.net.trace.operations if self.net.site(o) == site)

    def construction(self, path: str) -> Location:
        """Find where the module at ``path`` was constructed. Raises ``CannotFixError`` where that is unknown."""
        place = construction_of(self.subject.model.get_submodule(path))
        if place is None:
            raise CannotFixError(f"where {path or 'the model'} is constructed is not known")
        return place


def paths_of(layers: Iterable[Layer]) -> list[str]:
    """Module paths of the layers' weights. Raises ``CannotFixError`` for a bare or computed parameter."""
    paths = []
    for layer in layers:
        path, dot, leaf = layer.operation.weight.rpartition(".")
        if leaf != "weight" or not dot:
            raise CannotFixError(f"{layer.weight} is no plain layer's weight")
        paths.append(path)
    return paths
