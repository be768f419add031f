"""The flow of values in a pass, with a gradient or without: from parameters through every call to the loss.

Autograd's graph ends where the path is lost, and so cannot show where that was. This one goes on: an input that needs a
gradient and an output without a path back make a *cut*; what is made of the output is still known to come from there.
Numbers and arrays that leave torch are known again where the very object comes back; where only something computed from
them can have come back, the tie is *loose*. One node a call, a few look-ups each. May rely on drafts of operations. Must
not judge which cut matters.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from weakref import ReferenceType, ref

import numpy as np
from torch import Tensor

from steadygrad.copies.nested import tensors_in
from steadygrad.probe.calls import ARITHMETIC, EXITS, FLAT, IN_PLACE, REMADE, SHAPED
from steadygrad.probe.taped import Taped
from steadygrad.source.originals import Originals, memory_of
from steadygrad.source.spans import user_frame

Draft = Callable[[str, Tensor], Taped]
"""Makes the record of a cut at the call that runs now."""

DEEP = 64
"""Elements of a list or tuple in which a number that came out of a tensor is looked for."""


class Flow:
    """Nodes in order of execution, each with the nodes its value comes from."""

    def __init__(self, names: dict[int, str], draft: Draft) -> None:
        self._names = names
        self._draft = draft
        self.parents: list[tuple[int, ...]] = []
        self.loose: dict[int, tuple[int, ...]] = {}
        """By node: where its value may come from too, by way of Python or numpy."""
        self.closed: set[int] = set()
        """Nodes through which no gradient comes back."""
        self.cuts: dict[int, Taped] = {}
        """By closed node: the call, where one of its inputs needed a gradient."""
        self.parameters: dict[int, str] = {}
        """By node: the parameter that stands there."""
        self.remade: dict[int, Taped] = {}
        """By node: the call that made a new tensor of the values of others, whether these needed a gradient or not."""
        self.coordinates: list[Tensor] = []
        """Leaves by which a derivative was taken in the pass itself, as a differential equation's are."""
        self.originals: Originals | None = None
        """Where the pass is one of a copy: the tensors that it must not meet."""
        self._nodes: dict[int, tuple[ReferenceType[Tensor], int]] = {}
        self._objects: dict[int, tuple[Any, int]] = {}
        self._outside: dict[str, int] = {}
        self._shut: dict[int, int] = {}
        """By place in memory: the cut whose result was put there last."""
        self._writes: dict[int, int] = {}
        self._aliases: dict[int, int] = {}
        self._written: dict[int, Taped] = {}

    def given(self, values: Any) -> None:
        """Tensors that were there before the pass, and so hold nothing of it."""
        for tensor in tensors_in(values):
            self._source(tensor)

    def call(self, name: str, args: Any, kwargs: Any, output: Any, tensors: list[Tensor], needed: bool) -> Taped | None:
        """A call that ran; ``needed`` says whether one of its inputs needed a gradient before it. The cut that it makes."""
        first = len(self.parents)
        if name == "grad":
            self.coordinates += [one for one in tensors if one.is_leaf]
        if name in EXITS:
            self._exit(name, output, tensors, needed)
        elif name in IN_PLACE or (name.endswith("_") and not name.endswith("__")):
            if tensors:
                self._write(name, tensors, needed, self._objects_in(args, kwargs))
        else:
            self._computed(name, args, kwargs, output, tensors, needed)
        return next((self.cuts[node] for node in range(first, len(self.parents)) if node in self.cuts), None)

    def _computed(self, name: str, args: Any, kwargs: Any, output: Any, tensors: list[Tensor], needed: bool) -> None:
        given = {id(tensor) for tensor in tensors}
        outputs = [tensor for tensor in tensors_in(output) if id(tensor) not in given]
        if not outputs:
            return
        parents = self._parents(tensors)
        parents += self._objects_in(args, kwargs)
        loose = self._loose(_entering(name, args, kwargs, created=not tensors)) if self._outside else ()
        flat = name in FLAT or (name in ("div", "divide") and kwargs.get("rounding_mode") is not None)
        open_: list[Tensor] = []
        closed: list[Tensor] = []
        for tensor in outputs:
            (closed if flat or tensor.grad_fn is None else open_).append(tensor)
        for some, shut in ((open_, False), (closed, True)):
            if some:
                node = self._add(parents, loose)
                self._name(some, node, tensors)
                if shut:
                    self._close(node, name, some[0], needed)
                    if name in REMADE and (tensors or self._outside):
                        self.remade[node] = self.cuts.get(node) or self._draft(name, some[0])

    def custom(self, tensors: list[Tensor], output: Any, needed: bool, *, ran: Taped | None) -> list[int]:
        """A custom autograd function: a node for each tensor it takes, which the backward pass may prove closed."""
        gates = [self._add(self._parents([tensor]), ()) for tensor in tensors]
        given = {id(tensor) for tensor in tensors}
        outputs = [tensor for tensor in tensors_in(output) if id(tensor) not in given]
        for tensor in outputs:
            node = self._add(gates, ())
            self._name([tensor], node, tensors)
            if tensor.grad_fn is None:
                self._close(node, "Function", tensor, needed)
        if ran is not None:
            self._written.update((gate, ran) for gate in gates)
        return gates

    def proven_closed(self, gate: int) -> None:
        """The backward pass of a custom function gave this input nothing."""
        self.closed.add(gate)
        self.cuts[gate] = self._written[gate]

    def made(self, name: str, data: Tensor, output: Tensor, needed: bool) -> Taped | None:
        """A new leaf around a tensor, as ``nn.Parameter`` makes it. The cut, if it is one."""
        node = self._add(self._parents([data]), ())
        self.closed.add(node)
        if needed:
            self.cuts[node] = self._draft(name, data)
        self._name([output], node, ())
        return self.cuts.get(node)

    def node_of(self, tensor: Tensor) -> int:
        """The node that a tensor came from; one for it alone where no call was seen to make it."""
        known = self._nodes.get(id(tensor))
        if known is not None and known[0]() is tensor:
            return known[1]
        node = self._source(tensor)
        if id(tensor) not in self._names and (tensor.grad_fn is None):
            # Made unseen: by ``torch.Tensor(...)`` of numbers that had left torch, or around another one's memory.
            shared = self._shut.get(memory_of(tensor)) if self._shut else None
            loose = self._loose("number") if shared is None else (shared,)
            if loose:
                self.loose[node] = loose
        return node

    def _source(self, tensor: Tensor) -> int:
        node = self._add((), ())
        name = self._names.get(id(tensor))
        if name:
            self.parameters[node] = name
        if self.originals is not None and (name := self.originals.name_of(tensor)) is not None:
            met = self._draft("original", tensor)
            self.originals.note(name, met.call, within=bool(met.module_type))
        self._nodes[id(tensor)] = (ref(tensor), node)
        return node

    def _add(self, parents: Iterable[int], loose: tuple[int, ...]) -> int:
        node = len(self.parents)
        self.parents.append(tuple(dict.fromkeys(parents)))
        if loose:
            self.loose[node] = loose
        return node

    def _name(self, tensors: list[Tensor], node: int, inputs: Iterable[Tensor]) -> None:
        for tensor in tensors:
            self._nodes[id(tensor)] = (ref(tensor), node)
        if self._writes:
            # Memory that was freed and is used again holds nothing of what was written there.
            old = {memory_of(tensor) for tensor in inputs}
            for tensor in tensors:
                place = memory_of(tensor)
                if place not in old:
                    self._writes.pop(place, None)

    def _close(self, node: int, name: str, output: Tensor, needed: bool) -> None:
        self.closed.add(node)
        if needed:
            self.cuts[node] = self._draft(name, output)
            if place := memory_of(output):
                self._shut[place] = node

    def _parents(self, tensors: Iterable[Tensor]) -> list[int]:
        parents = []
        for tensor in tensors:
            own = self.node_of(tensor)
            parents.append(own)
            if self._writes:
                written = self._writes.get(memory_of(tensor), -1)
                if written > own:
                    parents.append(written if tensor.grad_fn is not None else self._alias(written))
        return parents

    def _alias(self, written: int) -> int:
        """Return the node of a tensor that was written into by way of another one, of which autograd knows nothing."""
        if written not in self._aliases:
            node = self._aliases[written] = self._add((written,), ())
            self.closed.add(node)
            if written in self._written:
                self.cuts[node] = self._written[written]
        return self._aliases[written]

    def _write(self, name: str, tensors: list[Tensor], needed: bool, objects: list[int]) -> None:
        target, values = tensors[0], tensors[1:]
        needed_by_value = any(value.requires_grad for value in values)
        node = self._add([*self._parents(tensors), *objects], self._loose("number") if not values else ())
        if target.grad_fn is None or name in FLAT:
            self.closed.add(node)
            if needed_by_value or (name in (*FLAT, "detach_") and needed):
                self.cuts[node] = self._draft(name, target)
        elif needed_by_value:
            self._written[node] = self._draft(name, target)
        if target.requires_grad and target.grad_fn is None:
            # A parameter that was written into is a parameter still.
            node = self._add((self.node_of(target), node), ())
        self._nodes[id(target)] = (ref(target), node)
        place = memory_of(target)
        if place and name != "__set__":
            self._writes[place] = node

    def _exit(self, name: str, output: Any, tensors: list[Tensor], needed: bool) -> None:
        """A value leaves torch: the object is remembered, and that there was one."""
        node = self._add(self._parents(tensors), ())
        self.closed.add(node)
        if needed:
            self.cuts[node] = self._draft(name, tensors[0])
        world = "array" if name in ("numpy", "__array__") else "number"
        for value in (output, *output) if isinstance(output, list) else (output,):
            if not isinstance(value, bool):
                self._objects[id(value)] = (value, node)
        before = self._outside.get(world)
        self._outside[world] = gate = self._add((), (node,) if before is None else (before, node))
        self.closed.add(gate)

    def _loose(self, entering: str) -> tuple[int, ...]:
        """Return the possible origins of an incoming value: the arrays if it is one and there were any, else whatever left."""
        if not entering:
            return ()
        if entering == "array" and "array" in self._outside:
            return (self._outside["array"],)
        return tuple(self._outside.values())

    def _objects_in(self, args: Any, kwargs: Any) -> list[int]:
        if not self._objects:
            return []
        found: list[int] = []
        todo: list[Any] = [*args, *kwargs.values()]
        while todo:
            value = todo.pop()
            known = self._objects.get(id(value))
            if known is not None and known[0] is value:
                found.append(known[1])
            elif isinstance(value, (list, tuple)):
                todo.extend(value[:DEEP])
        return found


def _entering(name: str, args: Any, kwargs: Any, *, created: bool) -> str:
    """Name the kind of value that a call takes in from Python and no source states: computed, perhaps from a tensor.

    An "array", a "number", or "" for nothing. It becomes a tensor, or enters a result; elsewhere numbers are settings.
    """
    if name in SHAPED if created else name.strip("_").lstrip("r") not in ARITHMETIC:
        return ""
    frame = user_frame(sys._getframe(1))
    constants = set(_flat(frame.f_code.co_consts)) if frame is not None else set()
    values = [
        value for value in _flat((*args, *kwargs.values())) if isinstance(value, (int, float, np.generic, np.ndarray))
    ]
    if any(isinstance(value, np.ndarray) for value in values):
        return "array"
    return "number" if any(value not in constants for value in values) else ""


def _flat(values: Any) -> Iterator[Any]:
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _flat(value[:DEEP])
        elif not isinstance(value, (Tensor, dict, set)):
            yield value
