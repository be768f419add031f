"""The cut that took each parameter its gradient: the first on its way to the loss, and of several the one that took most.

A sweep through the flow carries each parameter as a bit as far as a gradient comes back, and so to the cuts where it is
lost; a sweep back from the loss shows which of these the loss is made of. Linear in the calls. Works after both passes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from steadygrad.probe.flow import Flow
from steadygrad.probe.taped import Taped
from steadygrad.record import Location

NUMBERS = frozenset({"item", "tolist", "float", "int", "bool"})

STRICT, LOOSE = 2, 1


@dataclass
class _Place:
    """The cuts at one expression."""

    cut: Taped
    node: int
    takes: dict[int, int] = field(default_factory=dict)
    """By how it is tied to the loss: the parameters it takes, as bits."""


def blamed(flow: Flow, loss: int, lost: Mapping[str, int]) -> dict[str, Taped]:
    """Find, for each parameter without a gradient, the cut that took it; none where no cut was seen on its way to the loss.

    ``lost`` has their elements by name.
    """
    names = list(lost)
    bit = {name: 1 << number for number, name in enumerate(names)}
    bits = _carried(flow, bit)
    strict, loose = _behind(flow, loss, loosely=False), _behind(flow, loss, loosely=True)
    arrives = bits[0][loss]
    places: dict[Location, _Place] = {}
    for node, taken in bits[1].items():
        cut = flow.cuts.get(node)
        taken &= ~arrives
        if cut is None or cut.location is None or not taken or node not in loose:
            continue
        place = places.setdefault(cut.location, _Place(cut, node))
        tie = STRICT if node in strict else LOOSE
        place.takes[tie] = place.takes.get(tie, 0) | taken
    found: dict[str, Taped] = {}
    open_ = (1 << len(names)) - 1
    for tie in (STRICT, LOOSE):
        left = [place for place in places.values() if tie in place.takes]
        while left and open_:
            best = max(left, key=lambda place: _rank(place, tie, place.takes[tie] & open_, names, lost))
            left.remove(best)
            taken = best.takes[tie] & open_
            if taken:
                marked = _whole(flow, best)
                found.update((names[number], marked) for number in _positions(taken))
                open_ &= ~taken
    return found


def _carried(flow: Flow, bit: Mapping[str, int]) -> tuple[list[int], dict[int, int]]:
    """The parameters that a gradient at each node reaches, and those that each closed node keeps from it."""
    carried = [0] * len(flow.parents)
    kept: dict[int, int] = {}
    for node, parents in enumerate(flow.parents):
        held = bit.get(flow.parameters.get(node, ""), 0)
        for parent in parents:
            held |= carried[parent]
        if node in flow.closed:
            if held:
                kept[node] = held
        else:
            carried[node] = held
    return carried, kept


def _behind(flow: Flow, loss: int, *, loosely: bool) -> set[int]:
    """Everything that the loss's value comes from."""
    seen, todo = {loss}, [loss]
    while todo:
        node = todo.pop()
        for parent in (*flow.parents[node], *(flow.loose.get(node, ()) if loosely else ())):
            if parent not in seen:
                seen.add(parent)
                todo.append(parent)
    return seen


def _rank(
    place: _Place, tie: int, taken: int, names: list[str], sizes: Mapping[str, int]
) -> tuple[int, bool, bool, int]:
    """Most elements first; then a value before a choice made by it; then the earlier, of loose ties the later."""
    elements = sum(sizes[names[number]] for number in _positions(taken))
    order = -place.node if tie == STRICT else place.node
    return elements, place.cut.name.endswith("Tensor"), place.cut.dtype.is_floating_point, order


def _positions(bits: int) -> Iterator[int]:
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


def _whole(flow: Flow, place: _Place) -> Taped:
    """The cut, or the new tensor made of it in the same expression, which would cut by itself."""
    cut, inner = place.cut, place.cut.location
    if inner is None or (cut.dtype.is_floating_point and cut.name not in NUMBERS):
        return cut
    for node in range(place.node + 1, len(flow.parents)):
        outer = flow.remade.get(node)
        if outer is not None and outer.location is not None and _encloses(outer.location, inner):
            return outer
    return cut


def _encloses(outer: Location, inner: Location) -> bool:
    return (
        outer.path == inner.path
        and (outer.line, outer.column) <= (inner.line, inner.column)
        and (inner.end_line, inner.end_column) <= (outer.end_line, outer.end_column)
        and outer != inner
    )
