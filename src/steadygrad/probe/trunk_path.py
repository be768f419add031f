"""The trunk as steps: each operation on it, each block, and the decades each takes; they add up to the whole.

A block is a region between two trunk points that holds several paths. With a skip in it, it is one step. Without one,
it is divided along the path that carries most of the gradient: norms at successive nodes telescope, so the parts still
add up exactly. Knows the graph and the tape; runs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from torch.autograd.graph import Node

from steadygrad.probe.graph import Graph, longest_depth, reaches, skips, trunk_positions
from steadygrad.probe.operation_kinds import CAUSE_OF
from steadygrad.probe.tape import Tape
from steadygrad.probe.taped import Taped
from steadygrad.record import Step, Trunk


@dataclass(frozen=True)
class Region:
    """From one trunk position to the next."""

    start: int
    end: int
    kind: str
    """"single", "skip" (a block with a skip), or "paths" (a block without)."""
    inside: tuple[int, ...]
    """Positions strictly between that lead to the end."""


@dataclass(frozen=True)
class TrunkPath:
    """The trunk's positions, its regions, and where it ends, before anything is measured on it."""

    end_name: str
    trunk: tuple[int, ...]
    regions: tuple[Region, ...]
    at_input: bool
    """Whether the end is an input of the model."""

    @property
    def inner(self) -> tuple[int, ...]:
        """Positions off the trunk whose norms divide the blocks without a skip."""
        return tuple(position for region in self.regions if region.kind == "paths" for position in region.inside)


def course_to_input(graph: Graph, tape: Tape) -> TrunkPath | None:
    """The trunk from the loss to the model's input: of several inputs, the one furthest from the loss.

    Without an input that can need a gradient (token ids) it ends at the embedding's output; without that too, at the
    operation furthest from the loss.
    """
    inputs = _inputs(graph, tape)
    ends = inputs or _ends_inside(graph, tape)
    if not ends:
        return None
    depths = longest_depth(graph.next, ends)
    end = max(ends, key=lambda position: depths[position])  # The first of several as far: words, not their places.
    trunk = trunk_positions(graph.next, end)
    leads = reaches(graph.next, [end])
    regions = []
    for start, stop in pairwise(trunk):
        inside = tuple(position for position in range(start + 1, stop) if leads[position])
        kind = "single"
        if inside:
            through = skips(graph.next, start, stop, lambda position: _passes_through(graph.nodes[position], tape))
            kind = "skip" if through else "paths"
        regions.append(Region(start, stop, kind, inside))
    return TrunkPath(ends[end], tuple(trunk), tuple(regions), at_input=bool(inputs))


def _inputs(graph: Graph, tape: Tape) -> dict[int, str]:
    """Names of the inputs by position, in the order in which the model took them."""
    reached = {id(node.variable): i for i, node in enumerate(graph.nodes) if hasattr(node, "variable")}
    return {reached[id(leaf)]: name for name, leaf in tape.leaves.items() if id(leaf) in reached}


def _ends_inside(graph: Graph, tape: Tape) -> dict[int, str]:
    """Return by position what may stand for the input: outputs of embeddings, else of the operation furthest from the loss."""
    embeddings = {
        graph.position[taped.node]: f"output of {taped.module or 'the embedding'}"
        for taped in tape.operations
        if taped.kind == "embedding" and taped.node in graph.position
    }
    if embeddings:
        return embeddings
    inside = [position for position, node in enumerate(graph.nodes) if not hasattr(node, "variable")]
    depths = longest_depth(graph.next, inside)
    if not inside:
        return {}
    deepest = max(inside, key=lambda position: depths[position])
    owner = tape.owner_of(graph.nodes[deepest])
    where = tape.operations[owner].module if owner is not None else ""
    return {deepest: f"output of {where or 'the first operation'}"}


def _passes_through(node: Node, tape: Tape) -> bool:
    owner = tape.owner_of(node)
    return (
        tape.operations[owner].passes_through if owner is not None else node.name() in ("AddBackward0", "ViewBackward0")
    )


def steps_along(course: TrunkPath, graph: Graph, tape: Tape, norms: dict[int, float]) -> Trunk:
    """Divide the decades of the trunk among its steps. ``norms``: log10 norm by graph position."""
    steps: list[Step] = []
    for region in course.regions:
        if region.kind == "paths" and not _recurs(region, graph, tape):
            path = list(_strongest_path(region, graph, norms))
            steps += [_step(graph, tape, norms, a, b, "block", None) for a, b in pairwise(path)]
        elif region.kind == "paths":
            steps.append(
                _step(graph, tape, norms, region.start, region.end, "block", "recurrence", len(region.inside) + 1)
            )
        elif region.kind == "skip":
            cause = "block with a skip"
            steps.append(_step(graph, tape, norms, region.start, region.end, "block", cause, len(region.inside) + 1))
        else:
            steps.append(_step(graph, tape, norms, region.start, region.end, "trunk", None))
    return Trunk(course.end_name, tuple(steps), norms.get(course.trunk[0], 0.0), course.at_input)


def _strongest_path(region: Region, graph: Graph, norms: dict[int, float]) -> Iterator[int]:
    inside = {*region.inside, region.end}
    position = region.start
    while position != region.end:
        yield position
        forward = [target for target in graph.next[position] if target in inside]
        position = max(forward, key=lambda target: (_or_lowest(norms.get(target)), -target))
    yield region.end


def _or_lowest(norm: float | None) -> float:
    return -math.inf if norm is None or math.isnan(norm) else norm


def _recurs(region: Region, graph: Graph, tape: Tape) -> bool:
    """Return whether the block holds one weight applied again and again, or a fused recurrent call."""
    inside = {graph.nodes[position] for position in (region.start, *region.inside)}
    if any(sum(node in inside for node in reuse.nodes) >= 3 for reuse in tape.reuse.values() if len(reuse.nodes) >= 3):
        return True
    owners = {tape.owner_of(node) for node in inside}
    return any(owner is not None and tape.operations[owner].kind == "recurrent" for owner in owners)


def _step(
    graph: Graph, tape: Tape, norms: dict[int, float], a: int, b: int, path: str, cause: str | None, operations: int = 1
) -> Step:
    owner = tape.owner_of(graph.nodes[a])
    taped = tape.operations[owner] if owner is not None else None
    front = norms.get(a, -math.inf)
    return Step(
        operation=owner,
        cause=cause or _cause(taped),
        log10_gradient=front,
        decades=_difference(front, norms.get(b, -math.inf)),
        operations=operations,
        location=taped.location if taped is not None else None,
        module=taped.module if taped is not None else "",
        name=taped.name if taped is not None else graph.nodes[a].name(),
        path=path,
    )


def _cause(taped: Taped | None) -> str:
    if taped is None:
        return "other"
    if not taped.module_type:
        return "loss"
    return CAUSE_OF.get(taped.kind, "other")


def _difference(front: float, behind: float) -> float:
    """Decades between two norms; a gradient that is zero already cannot lose more."""
    return 0.0 if front == -math.inf else behind - front
