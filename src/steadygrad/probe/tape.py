"""Operations as they run: what a forward pass did, in order, with the user's expression and the module of each.

A torch-function mode sees every call a model makes, modules and functions alike; the module stack comes from
``nn.Module.__call__``. The tape keeps small samples and autograd nodes, never whole activations. It measures nothing
of the backward pass and judges nothing.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node
from torch.overrides import TorchFunctionMode

from steadygrad.copies.nested import first_of, is_dense, path_name, tensors_in
from steadygrad.probe import calls, choices, layout, positions, sampling, units
from steadygrad.probe.attention import look
from steadygrad.probe.calls import COMPOSITES, CUTS, DATA, ENDS, EXITS, NUMBERS, QUIET, SET_DATA, fan_in
from steadygrad.probe.conversions import name_of_cut
from steadygrad.probe.flow import Flow
from steadygrad.probe.grad_mode import GradMode
from steadygrad.probe.operation_kinds import PASS_THROUGH, SUMS, kind_of
from steadygrad.probe.taped import Reuse, SequenceCall, Taped, note_operands, sequence_calls
from steadygrad.record import Location
from steadygrad.source.spans import (
    construction_of,
    in_deepcopy,
    location_of,
    outside_constructors,
    user_frame,
)
from steadygrad.torch_internals.points import FUNCTION_APPLY, GRAD_MODE_NAME, MODULE_CALL, PARAMETER_NEW
from steadygrad.torch_internals.replacing import caller, replaced
from steadygrad.torch_internals.tensors import next_sequence_number, sequence_number, tree_map_with_path


class Tape(TorchFunctionMode):
    """Records a forward pass run inside ``with tape.recording(model):``."""

    def __init__(self, names: dict[int, str], batch_size: int | None) -> None:
        super().__init__()
        self.operations: list[Taped] = []
        self.cuts: list[Taped] = []
        self.ran: set[int] = set()
        self.taken: set[str] = set()
        self.reuse: dict[str, Reuse] = {}
        self.sequences: list[SequenceCall] = []
        self.choices: dict[tuple[Any, ...], choices.Choice] = {}
        self.flow = Flow(names, self._cut)
        self.made: dict[int, tuple[Tensor, Location | None]] = {}
        """Parameters made during the pass, by id: each with the expression."""
        self.end: int | None = None
        """The node of the loss in the flow."""
        self._grad_mode = GradMode()
        self._inside = 0
        self._names = names
        self.batch_size = batch_size
        self._stack: list[tuple[nn.Module, bool]] = []
        self._paths: dict[int, str] = {}
        self._ends: list[int] = []
        self._ended: list[int] = []
        self._owner: dict[Node, int] = {}
        self._folds = layout.Folds(batch_size)
        self._starts: list[int] = []
        self.differentiable = True
        """Whether float inputs are made to need a gradient; a model that does not bear it is run without."""
        self.leaves: dict[str, Tensor] = {}
        self.handed: list[Tensor] = []
        self.inputs_seen: list[tuple[str, Tensor]] = []

    @contextmanager
    def recording(self, model: nn.Module) -> Iterator[Tape]:
        """Watch every call until the block ends."""
        self._paths = {id(module): path for path, module in model.named_modules(remove_duplicate=False)}
        with (
            replaced(*MODULE_CALL, self._called),
            replaced(*FUNCTION_APPLY, self._applied),
            replaced(*PARAMETER_NEW, self._wrapped),
            self._grad_mode.watched(),
            self,
        ):
            yield self

    def _called(self, original: Any, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        """Stand in for ``nn.Module.__call__``."""
        if not self._stack and id(module) in self._paths and self.differentiable:
            args, kwargs = self._with_gradient(args, kwargs)
        frame = caller()
        self._stack.append((module, user_frame(frame) is not frame))
        self.ran.add(id(module))
        try:
            return original(module, *args, **kwargs)
        finally:
            self._stack.pop()

    def _applied(self, original: Any, cls: Any, *args: Any, **kwargs: Any) -> Any:
        """Stand in for ``torch.autograd.Function.apply``."""
        start = next_sequence_number()
        tensors = list(tensors_in(args))
        parents = [node for tensor in tensors if (node := tensor.grad_fn) is not None]
        needed = any(tensor.requires_grad for tensor in tensors)
        self._inside += 1  # A function's own forward always runs without gradients.
        try:
            output = original(cls, *args, **kwargs)
        finally:
            self._inside -= 1
        first = first_of(output)
        if first is not None and first.grad_fn is not None:
            self._record(cls, cls.__name__, args, kwargs, output, first, start, tensors, parents, None)
        if first is not None and not self._inside:
            self._follow_custom(args, tensors, output, first, needed)
        return output

    def _follow_custom(self, args: Any, tensors: list[Tensor], output: Any, first: Tensor, needed: bool) -> None:
        """The flow through a custom function, whose backward pass may turn out to give an input no gradient."""
        gates = self.flow.custom(tensors, output, needed, ran=self._cut("Function", first) if needed else None)
        if first.grad_fn is None or len(gates) != sum(isinstance(argument, Tensor) for argument in args):
            return
        asked = [tensor.requires_grad for tensor in tensors]

        def hook(given: tuple[Tensor | None, ...], _: Any) -> None:
            for gate, wanted, gradient in zip(gates, asked, given, strict=False):
                if wanted and gradient is None:
                    self.flow.proven_closed(gate)

        first.grad_fn.register_hook(hook)

    def _wrapped(self, original: Any, cls: Any, data: Any = None, requires_grad: bool = True) -> Any:
        """Stand in for ``nn.Parameter.__new__``."""
        output = original(cls, data, requires_grad)
        if self._inside:
            return output
        self.made[id(output)] = (output, location_of(outside_constructors(user_frame(caller()))))
        if isinstance(data, Tensor):
            cut = self.flow.made("Parameter", data, output, data.requires_grad)
            if cut is not None and data.grad_fn is not None:
                self.cuts.append(cut)
        return output

    def _with_gradient(self, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """The model's own inputs, made to need a gradient, so that the trunk reaches them.

        What is handed on is not a leaf, so that a model may write into its input as it would without the probe.
        """

        def lead(path: Any, value: Any) -> Any:
            if not is_dense(value) or value.requires_grad or not torch.is_grad_enabled():
                return value
            name = path_name(path)
            self.inputs_seen.append((name, value))
            if not (value.is_floating_point() or value.is_complex()) or "mask" in name or "label" in name:
                return value
            leaf = value.detach().requires_grad_()
            self.leaves[name] = leaf
            self.handed.append(leaf.clone())
            return self.handed[-1]

        return tuple(tree_map_with_path(lead, (list(args), kwargs)))

    def end_in(self, loss: Any) -> None:
        """End the pass, with the result that it was for."""
        if isinstance(loss, Tensor):
            self.end = self.flow.node_of(loss)

    def owner_of(self, node: Node) -> int | None:
        """Index of the operation that made an autograd node; None for a node made outside every call seen."""
        if node in self._owner:
            return self._owner[node]
        number = sequence_number(node)
        position = bisect_left(self._ends, number)
        if position == len(self._ends) or number < self._starts[position]:
            return None
        return self._ended[position]

    def __torch_function__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name == GRAD_MODE_NAME:
            self._grad_mode.changes(bool(args[0]))
        if name in QUIET and not (name in EXITS or func == SET_DATA or (name == "__get__" and args[0] is not None)):
            return func(*args, **kwargs)
        if func in COMPOSITES:
            with self:
                return COMPOSITES[func](*args, **kwargs)
        start = next_sequence_number()
        tensors = [*tensors_in(args), *tensors_in(kwargs)]
        # An in-place call gives its input a new node, so the parents are read off before it runs.
        parents = [node for tensor in tensors if (node := tensor.grad_fn) is not None]
        needed = any(tensor.requires_grad for tensor in tensors)
        before = self._before(name, args, kwargs)
        output = func(*args, **kwargs)
        cut = None
        if not self._inside and (name != "__get__" or isinstance(output, Tensor)):
            called = "data" if func == DATA else name
            cut = self.flow.call(called, args, kwargs, output, tensors, needed and not self._by_design())
        first = first_of(output)
        if name in choices.CHOOSES and (counted := choices.counts(name, args, kwargs, output)) is not None:
            choices.add(self.choices, self._draft(name, counted, None), counted)
        if first is None or name in QUIET:
            if name in NUMBERS and cut is not None:
                self.cuts.append(cut)
            if not (name == "__get__" and torch.is_grad_enabled() and first is not None):
                return output
        if first.grad_fn is not None and first.grad_fn in parents:
            return output  # What hands its input on ("contiguous", dropout at 0) is no operation to a gradient.
        if first.grad_fn is not None:
            self._record(func, name, args, kwargs, output, first, start, tensors, parents, before)
            return output
        if kind_of(name) == "shape":
            self._folds.note(first, self._layout(name, args, kwargs, tensors, first))
        if cut is not None and (
            name in CUTS or func == DATA or (not torch.is_grad_enabled() and first.is_floating_point())
        ):
            self.cuts.append(cut)
        return output

    def _cut(self, name: str, tensor: Tensor) -> Taped:
        """The call that runs now as one that ends the path: where gradients are off, what turned them off."""
        cut = self._draft(name, tensor, None)
        off = self._grad_mode.off
        if off is not None and name not in ENDS and (tensor.is_floating_point() or tensor.is_complex()):
            cut.name, cut.call, cut.contained = off[0], off[1] or cut.call, False
        elif in_deepcopy(sys._getframe(1)):
            cut.name = "deepcopy"
        else:
            cut.name = name_of_cut(cut.name, cut.call)
        return cut

    def _by_design(self) -> bool:
        """Return whether torch's own parametrisation is at work, which takes its power iterations without gradients."""
        return bool(self._stack) and type(self._stack[-1][0]).__module__.startswith("torch.nn.utils.")

    def _before(self, name: str, args: Any, kwargs: Any) -> units.Inputs | None:
        if kind_of(name) != "activation":
            return None
        first = args[0] if args else kwargs.get("input")
        if not isinstance(first, Tensor):
            return None
        owner = self.owner_of(first.grad_fn) if first.grad_fn is not None else None
        dimension = units.dimension(self.operations, owner, first.dim())
        sample = self.operations[owner].sample if owner is not None and self._is_of(owner, first) else None
        return units.look(name, first, self.batch_size, self._where(first), dimension, sample)

    def _is_of(self, owner: int, tensor: Tensor) -> bool:
        return self.operations[owner].shape == tensor.shape and self.operations[owner].dtype == tensor.dtype

    def _layout(self, name: str, args: Any, kwargs: Any, tensors: list[Tensor], output: Tensor) -> layout.Layout | None:
        """Find where the samples lie in the output of a call: first as a rule, else where the call left them."""
        size = self.batch_size
        if size is None or size < 2 or not output.dim():
            return None
        if output.shape[0] == size and not layout.turns(name) and (not tensors or self._is_first(tensors[0])):
            return layout.FIRST
        for tensor in tensors:
            if id(tensor) in self._names or (known := self._where(tensor)) is None:
                continue
            found = layout.follow(name, args, kwargs, tensor, known, output, size)
            if found is not None:
                return found
        return layout.by_shape(output.shape, size)

    def _is_first(self, tensor: Tensor) -> bool:
        """Return whether nothing is known of a tensor that would put its samples elsewhere than first."""
        owner = None if tensor.grad_fn is None else self._owner.get(tensor.grad_fn)
        return owner is None or self.operations[owner].layout in (None, layout.FIRST)

    def _where(self, tensor: Tensor) -> layout.Layout | None:
        """Find where the samples lie in a tensor: as followed from call to call, else as its shape shows."""
        owner = self.owner_of(tensor.grad_fn) if tensor.grad_fn is not None else None
        if owner is not None and self._is_of(owner, tensor):
            return self.operations[owner].layout
        return self._folds.of(tensor)

    def _draft(self, name: str, first: Tensor, node: Node | None, *, custom: bool = False) -> Taped:
        frame = user_frame(sys._getframe(2))
        module, inside_torch = self._stack[-1] if self._stack else (None, False)
        kind = "custom" if custom else kind_of(name)
        if name == "softmax" and first.dim() < 3:
            kind = "activation"
        return Taped(
            index=len(self.operations),
            name=name.strip("_") or name,
            kind=kind,
            module=self._paths.get(id(module), "") if module is not None else "",
            module_type=type(module).__name__ if module is not None else "",
            call=location_of(frame),
            construction=construction_of(module) if module is not None else None,
            contained=inside_torch and type(module).__module__.startswith("torch."),
            shape=tuple(first.shape),
            dtype=first.dtype,
            node=node,
            passes_through=kind in PASS_THROUGH or name in SUMS,
        )

    def _record(
        self,
        func: Any,
        name: str,
        args: Any,
        kwargs: Any,
        output: Any,
        first: Tensor,
        start: int,
        tensors: list[Tensor],
        parents: list[Node],
        before: units.Inputs | None,
    ) -> None:
        taped = self._draft(name, first, first.grad_fn, custom=isinstance(func, type))
        taped.layout = self._layout(name, args, kwargs, tensors, first)
        taped.parents = tuple({owner: None for node in parents if (owner := self.owner_of(node)) is not None})
        self._weigh(taped, name, tensors, first)
        note_operands(taped, name, tensors, args, kwargs)
        if calls.is_sampled(name, taped.kind, len(tensors)):
            taped.sample = sampling.take(first, self.batch_size, taped.layout)
            taped.positions = positions.take(name, first, taped.layout)
        if taped.kind == "activation":
            taped.inputs, taped.function, taped.options = before, func, (args[1:], kwargs)
        elif taped.kind == "attention":
            taped.attention = look(name, args, kwargs, first)
        elif taped.kind == "recurrent":
            self.sequences += sequence_calls(taped.index, name, args, output)
        self.operations.append(taped)
        for tensor in tensors_in(output):
            if tensor.grad_fn is not None:
                self._owner[tensor.grad_fn] = taped.index
        self._starts.append(start)
        self._ends.append(next_sequence_number() - 1)
        self._ended.append(taped.index)

    def _weigh(self, taped: Taped, name: str, tensors: list[Tensor], first: Tensor) -> None:
        for tensor in tensors:
            parameter = self._names.get(id(tensor))
            if parameter is None:
                continue
            self.taken.add(parameter)
            if not taped.weight and tensor.dim() > 1 and taped.kind in ("linear", "embedding"):
                taped.weight, taped.fan_in = parameter, fan_in(name, tensor, first=tensor is tensors[0])
            if tensor.dim() > 1 and taped.kind in ("linear", "recurrent") and first.grad_fn is not None:
                reuse = self.reuse.setdefault(parameter, Reuse(parameter, tensor))
                reuse.nodes.append(first.grad_fn)
                reuse.operations.append(taped.index)
                reuse.last = first
