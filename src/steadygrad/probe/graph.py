"""The autograd graph rooted at the loss, and its trunk: the nodes that every path to the input must pass.

In any topological order a node lies on every path exactly if, when it is reached, all edges still open lead to it. One
sweep finds them all, in time linear in the graph. Knows autograd nodes; measures nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from torch.autograd.graph import Node


@dataclass(frozen=True)
class Graph:
    """All nodes reachable from the loss, in topological order (the loss first), with their edges as positions."""

    nodes: tuple[Node, ...]
    next: tuple[tuple[int, ...], ...]
    """For each node, the positions of the nodes that its gradient goes to (repeated where several inputs are one)."""
    slots: tuple[tuple[int, ...], ...]
    """For each node, which of its inputs each entry of ``next`` is."""
    position: dict[Node, int]
    """Where each node stands."""


def graph_of(root: Node) -> Graph:
    """Walk the autograd graph from the loss's node. Time linear in nodes and edges; no recursion."""
    incoming: dict[Node, int] = {root: 0}
    edges: dict[Node, list[tuple[int, Node]]] = {}
    todo = [root]
    while todo:
        node = todo.pop()
        edges[node] = [(slot, target) for slot, (target, _) in enumerate(node.next_functions) if target is not None]
        for _, target in edges[node]:
            if target in incoming:
                incoming[target] += 1
            else:
                incoming[target] = 1
                todo.append(target)
    order: list[Node] = []
    ready = [root]
    while ready:
        node = ready.pop()
        order.append(node)
        for _, target in edges[node]:
            incoming[target] -= 1
            if not incoming[target]:
                ready.append(target)
    position = {node: i for i, node in enumerate(order)}
    return Graph(
        nodes=tuple(order),
        next=tuple(tuple(position[target] for _, target in edges[node]) for node in order),
        slots=tuple(tuple(slot for slot, _ in edges[node]) for node in order),
        position=position,
    )


def reaches(following: Sequence[Sequence[int]], ends: Iterable[int]) -> list[bool]:
    """Return, for each position, whether a path leads from it to one of ``ends`` (an end reaches itself)."""
    hits = [False] * len(following)
    for end in ends:
        hits[end] = True
    for i in range(len(following) - 1, -1, -1):
        hits[i] = hits[i] or any(hits[target] for target in following[i])
    return hits


def trunk_positions(following: Sequence[Sequence[int]], end: int) -> list[int]:
    """Positions on every path from position 0 to ``end``, in order; empty where no path leads there."""
    leads = reaches(following, [end])
    if not leads[0]:
        return []
    incoming = [0] * len(following)
    for i in range(len(following)):
        if leads[i]:
            for target in following[i]:
                if leads[target]:
                    incoming[target] += 1
    trunk: list[int] = []
    open_edges = 0
    for i in range(end + 1):
        if not leads[i]:
            continue
        open_edges -= incoming[i]
        if open_edges == 0:
            trunk.append(i)
        open_edges += sum(1 for target in following[i] if leads[target])
    return trunk


def deepest_trunk(following: Sequence[Sequence[int]], trunk: Sequence[int]) -> list[int]:
    """Return, for each position, the index in ``trunk`` of the last trunk node that all its gradient has passed.

    A trunk node counts as having passed itself; -1 before the first.
    """
    rank = {position: i for i, position in enumerate(trunk)}
    label = [len(trunk)] * len(following)
    if following:
        label[0] = -1
    for i, targets in enumerate(following):
        if i in rank:
            label[i] = rank[i]
        for target in targets:
            label[target] = min(label[target], label[i])
    return label


def skips(following: Sequence[Sequence[int]], start: int, end: int, passes_through: Callable[[int], bool]) -> bool:
    """Return whether some path from ``start`` to ``end`` passes only nodes that hand the gradient on unweighed."""
    if not passes_through(start):
        return False
    todo, seen = list(following[start]), {start}
    while todo:
        i = todo.pop()
        if i == end:
            return True
        if i in seen or i > end or not passes_through(i):
            continue
        seen.add(i)
        todo.extend(following[i])
    return False


def longest_depth(following: Sequence[Sequence[int]], ends: Iterable[int]) -> dict[int, int]:
    """Length in nodes of the longest path from position 0 to each end."""
    depth = [0] * len(following)
    for i, targets in enumerate(following):
        for target in targets:
            depth[target] = max(depth[target], depth[i] + 1)
    return {end: depth[end] for end in ends}
