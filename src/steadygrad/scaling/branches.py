"""Where residual branches end: the last weights of what is added to a stream. Knows the tape's operations; changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from steadygrad.probe.operation_kinds import SUMS
from steadygrad.probe.taped import Taped

_ADDS = SUMS - {"sum", "neg", "sub", "sub_", "__sub__", "__rsub__", "rsub", "__isub__", "subtract"}


def branch_ends(
    operations: Sequence[Taped], modules: dict[str, tuple[str, ...]]
) -> list[tuple[Taped, tuple[str, ...]]]:
    """The last operation with weights of each branch, and the names of those weights. ``modules``: weights by module."""
    return [found for operation in operations if _adds(operation) for found in _ends(operations, operation, modules)]


def _adds(operation: Taped) -> bool:
    return operation.name in {name.strip("_") for name in _ADDS} and len(operation.parents) == 2


def _ends(
    operations: Sequence[Taped], add: Taped, modules: dict[str, tuple[str, ...]]
) -> Iterator[tuple[Taped, tuple[str, ...]]]:
    """The end of the operand that is made of the other one."""
    for branch, stream in (add.parents, add.parents[::-1]):
        if branch > stream and _comes_from(operations, branch, stream):
            end = _weighted(operations, branch, stream, modules)
            if end is not None:
                yield end, modules[end.module]
            return


def _comes_from(operations: Sequence[Taped], branch: int, stream: int) -> bool:
    """Whether the stream is among what the branch is made of."""
    waiting, met = [branch], {branch}
    while waiting:
        for parent in operations[waiting.pop()].parents:
            if parent == stream:
                return True
            if parent > stream and parent not in met:
                met.add(parent)
                waiting.append(parent)
    return False


def _weighted(
    operations: Sequence[Taped], start: int, stream: int, modules: dict[str, tuple[str, ...]]
) -> Taped | None:
    """The nearest operation with weights of its own, going back from the end of a branch."""
    waiting = [start]
    while waiting:
        at = operations[waiting.pop(0)]
        if at.index <= stream:
            continue
        if at.kind in ("linear", "normalisation") and modules.get(at.module):
            return at
        waiting.extend(at.parents)
    return None
