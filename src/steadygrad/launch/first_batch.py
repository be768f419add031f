"""The parts of a run's first step: the model's input, its output, and how the loss was made from that.

The loss is mostly computed outside of the model: the operations between the model's output and ``backward`` are noted, and can
be played again on other outputs. What the model is given is kept until ``backward``; nothing is put on the model.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import Tensor, nn, overrides
from torch.nn import functional as F

from steadygrad.errors import SubjectError
from steadygrad.frames import called_at
from steadygrad.objective import loss_in
from steadygrad.record import Location, Operation
from steadygrad.source.spans import location_of, replaying, user_frame
from steadygrad.torch_internals.compiling import anything_is_compiled, inside_compiled, never_compiled
from steadygrad.torch_internals.modes import push_mode, remove_mode
from steadygrad.torch_internals.tensors import tree_leaves, tree_map
from steadygrad.watch import calls

F_NAMES = tuple(name for name, value in vars(F).items() if callable(value) and name.islower())

LONGEST = 1000
"""Operations between the output and ``backward``; a loss that takes more is not one."""


class FirstBatch:
    """Waits for the first ``backward`` of a model in training."""

    def __init__(self, model: nn.Module) -> None:
        self._given: tuple[Any, Any] = ((), {})
        self._output: Any = None
        self._loss: Tensor | None = None
        self._tape: _Tape | None = None
        self._calls: list[_Call] = []
        self._model = model
        self.seen = False
        """Whether the program has gone backward."""
        self.autocast = False
        """Whether the model was called, or its loss computed, under autocast."""
        calls.listen(model, self)

    def backward(self, loss: Tensor) -> None:
        """Note the scalar that the program goes backward from, and stop watching the model: everything needed has been seen."""
        if self._tape is not None and not self.seen:
            self._loss, self._calls = loss, self._tape.stop()
            self.seen = True
            self.leave()

    def leave(self) -> None:
        """Hear of no further call. In ``backward`` torch has put the tape aside, and brings it back: leave again after it."""
        if self._tape is not None:
            self._tape.stop()
            if self._tape.taken:
                self._tape = None
        calls.leave(self._model, self)

    @property
    def output(self) -> Any:
        """The model's output."""
        return self._output

    @property
    def loss(self) -> Tensor | None:
        """The tensor that the program went backward from."""
        return self._loss

    def forget(self) -> None:
        """Let go of the tensors."""
        self._output = self._loss = None
        self._given, self._calls = ((), {}), []

    def cut(self) -> Operation | None:
        """The call outside of the model that keeps its output's gradient from the loss, where one was seen to."""
        return None if self._loss is None else _cut_before(self._loss, self._calls)

    @never_compiled
    def before(self, args: Any, kwargs: Any) -> None:
        """Note that the model is called."""
        if torch.is_grad_enabled():
            self._given = (args, kwargs)
            self.autocast |= any(torch.is_autocast_enabled(kind) for kind in ("cpu", "cuda"))

    @never_compiled
    def after(self, output: Any) -> None:
        """Note the model's output: whatever is computed from now on may be the loss."""
        if torch.is_grad_enabled():
            if self._tape is not None:
                self._tape.stop()
            self._output, self._tape = output, None if _patched() or _is_compiled_around(self._model) else _Tape()

    def batch_and_loss(self) -> tuple[Any, Replay | None]:
        """The batch, and the loss as a function of output and targets; None where the model computes its own.

        Raises ``SubjectError`` where the loss cannot be played again.
        """
        args, kwargs = self._given
        if self._output is None or self._loss is None:
            raise SubjectError("the model was not called, or backward not called on a scalar, before the first step")
        if args and kwargs:
            raise SubjectError("the model is called with arguments of both kinds, by place and by name")
        inputs = (args[0] if len(args) == 1 else args) if args else kwargs
        if self._is_its_own():
            return inputs, None
        samples = [len(one) for one in (*args, *kwargs.values()) if isinstance(one, Tensor) and one.dim()]
        if not samples or (args and len(samples) < len(args)):
            raise SubjectError("the model is not called with tensors alone, and does not compute its own loss")
        replay = Replay(self._output, self._loss, self._calls, samples[0])
        return (inputs, tuple(replay.targets)), replay

    def _is_its_own(self) -> bool:
        """Return whether the program goes backward from the loss in the output, or from a share of it (accumulation)."""
        own = loss_in(self._output)
        if own is self._loss:
            return True
        if not isinstance(own, Tensor) or self._loss is None or own.dim():
            return False
        known = {id(own)}
        for _, args, kwargs, given, _ in _leading_to(id(self._loss), self._calls):
            if any(id(t) not in known and t.requires_grad for t in _tensors((args, kwargs))):
                return False
            known.update(id(t) for t in _tensors(given))
        # Of what the output holds besides, nothing was read; a share is no more than the whole.
        return id(self._loss) in known and 0 < float(self._loss.detach() / own.detach()) <= 1


def _patched() -> bool:
    """Return whether the program has replaced torch's functions by its own, which may not bear our call in place of torch's."""
    functions = (vars(F)[name] for name in F_NAMES)
    return any(getattr(one, "__module__", "torch").partition(".")[0] != "torch" for one in functions)


def _is_compiled_around(model: nn.Module) -> bool:
    """Return whether the program compiles a part of the model: compiled under a tape, that part is compiled again after."""
    return anything_is_compiled() and inside_compiled(model) is None


_Call = tuple[Any, Any, Any, Any, Location | None]
"""A function of torch's, its arguments, its keyword arguments, what it gave, and where the program called it."""


class _Tape(overrides.TorchFunctionMode):
    """Notes the functions of torch's that are called from its making until ``stop``."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: list[_Call] = []
        self._running = True
        self.taken = False
        """Whether it is among the modes no more."""
        push_mode(self)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        frame = user_frame(sys._getframe(1))
        # Its warnings are shown at the program's line.
        given = called_at(frame)(func, args, kwargs or {})
        if self._running and len(self._calls) <= LONGEST:
            place = location_of(frame)
            self._calls.append((func, args, kwargs or {}, given, place))
        return given

    def stop(self) -> list[_Call]:
        """Take it from among the modes, whatever was put on top of it meanwhile."""
        self._running = False
        self.taken = self.taken or remove_mode(self)
        return self._calls


class Replay:
    """The loss as a function of the model's output and of what in the batch it was compared with."""

    def __init__(self, output: Any, loss: Tensor, calls: list[_Call], samples: int) -> None:
        if len(calls) > LONGEST:
            raise SubjectError("the calls between the model's output and backward are too many to replay")
        self._leaves = [id(leaf) for leaf in tree_leaves(output)]
        self._loss = id(loss)
        # What was called holds its tensors, so that no identity is given to another one.
        self._kept = (output, loss, calls)
        self._calls = _leading_to(id(loss), calls)
        made = {*self._leaves, *(id(leaf) for call in self._calls for leaf in _tensors(call[3]))}
        outside = {
            id(t): t for _, args, kwargs, _, _ in self._calls for t in _tensors((args, kwargs)) if id(t) not in made
        }
        if self._loss not in made or not any(id(t) in self._leaves for c in self._calls for t in _tensors(c[1:3])):
            raise SubjectError("the calls from the model's output to the loss could not be followed")
        if any(tensor.requires_grad for tensor in outside.values()):
            raise SubjectError("the loss reads parameters beside the model's output")
        last = getattr(self._calls[-1][0], "__name__", "") if self._calls else ""
        self.__name__ = last if last in F_NAMES else "the program's own loss"
        self.targets = [t for t in outside.values() if t.dim() > 0 and len(t) == samples]

    def __call__(self, output: Any, targets: tuple[Tensor, ...]) -> Tensor:
        now: dict[int, Any] = dict(zip(self._leaves, tree_leaves(output), strict=True))
        now.update((id(old), new) for old, new in zip(self.targets, targets, strict=True))

        def current(leaf: Any) -> Any:
            return now.get(id(leaf), leaf) if isinstance(leaf, Tensor) else leaf

        for function, args, kwargs, given, place in self._calls:
            with replaying(place):
                again = function(*tree_map(current, args), **tree_map(current, kwargs))
            now.update((id(old), new) for old, new in zip(_tensors(given), _tensors(again), strict=True))
        loss: Tensor = now[self._loss]
        return loss


def _leading_to(wanted: int, calls: list[_Call]) -> list[_Call]:
    """The calls that a tensor was computed by, in order."""
    needed, kept = {wanted}, []
    for call in reversed(calls):
        if any(id(leaf) in needed for leaf in _tensors(call[3])):
            kept.append(call)
            needed |= {id(leaf) for leaf in _tensors(call[1:3])}
    return kept[::-1]


def _cut_before(loss: Tensor, calls: list[_Call]) -> Operation | None:
    """Find the first call on the way to the loss that passes no path on: it took one, or made its tensor of no tensor."""
    leading = [call for call in _leading_to(id(loss), calls) if call[4] is not None]
    made = [call for call in leading if not _tensors(call[1:3])]
    ended = [call for call in leading if _has_path(call[1:3]) and not _has_path(call[3])]
    for function, _, _, given, place in (*ended, *made):
        shape = tuple(next((t.shape for t in _tensors(given)), ()))
        name = getattr(function, "__name__", "")
        return Operation(0, name, "cut", "", "", place, place, None, shape, "")
    return None


def _has_path(value: Any) -> bool:
    return any(tensor.grad_fn is not None for tensor in _tensors(value))


def _tensors(value: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]
