"""Values outside of a model that a forward pass may write to: class attributes, module variables, closures of hooks; put back.

Known are the classes of the modules and of the optimizer, what the functions of theirs and their hooks have as globals and in
closures, and the modules of the program that are imported there. Of that, numbers and other plain values, lists, dicts, sets,
small tensors and arrays, and the attributes of the program's own objects are put back as they were found, and what is new goes.
Beyond it (files, iterators, objects of other libraries, what lies deeper than ``DEPTH``) nothing can be put back. Where a thread
of the program's own is at work nothing is: what it wrote meanwhile would be lost. Runs nothing.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from steadygrad.copies.nested import is_dense
from steadygrad.source.spans import is_user_file
from steadygrad.torch_internals.held import global_hooks, hooks_of
from steadygrad.torch_internals.tensors import version_of

DEPTH = 4
"""Levels that a value may lie below a variable: an element of a list in an attribute of an object is three."""
MOST = 20_000
"""Values looked at: 30 ms of a look, which takes several times a step of a model."""
WIDE = 1_000
"""Elements of a container beyond which they are kept as they are, and not looked into: a data set, not a state."""
BYTES = 2**20
"""Of a tensor or array beyond which it is data."""

_CODE = (ModuleType, FunctionType, BuiltinFunctionType, MethodType, type, property, classmethod, staticmethod)
_IS_MISSING = object()
_inside = threading.local()


@contextmanager
def same_surroundings(model: nn.Module, *others: object) -> Iterator[None]:
    """Within the outermost block of this thread all of it may be written to; it is then put back."""
    if getattr(_inside, "on", False) or _others_at_work():
        yield
        return
    kept = _Kept()
    for module in model.modules():
        kept.functions(hooks_of(module))
        kept.kind(type(module))
    for other in others:
        kept.kind(type(other))
    kept.functions(global_hooks())
    _inside.on = True
    try:
        yield
    finally:
        _inside.on = False
        kept.put_back()


def _others_at_work() -> bool:
    """Return whether a thread runs a function of the program's, or is of a class of the program's."""
    for thread in threading.enumerate():
        if thread in (threading.current_thread(), threading.main_thread()):
            continue
        target = getattr(thread, "_target", None)
        if _is_programs(getattr(target, "__module__", None)) or _is_programs(type(thread).__module__):
            return True
    return False


def _is_programs(name: str | None) -> bool:
    """Return whether a module is the program's own: neither torch's, ours, the standard library's nor an installed package."""
    path = getattr(sys.modules.get(name or ""), "__file__", None)
    return path is not None and "-packages/" not in path and is_user_file(path) and "/steadygrad/" not in path


class _Kept:
    """The values found, and how to put them back."""

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._alive: list[Any] = []
        """The values known by their identity."""
        self._undo: list[Callable[[], None]] = []

    def put_back(self) -> None:
        for undo in reversed(self._undo):
            undo()

    def kind(self, kind: type) -> None:
        """A class: its attributes, those of the classes it is made of, and the globals of its functions."""
        for one in kind.__mro__:
            path = getattr(sys.modules.get(one.__module__), "__file__", None)
            if self._known(one) or path is None or not is_user_file(path) or one is object:
                continue
            self._names(partial(vars, one), partial(setattr, one), partial(delattr, one))
            self.functions(value for value in vars(one).values() if isinstance(value, FunctionType))

    def functions(self, functions: Iterable[Any]) -> None:
        """Their closures, attributes and globals; of a method also the object it is of."""
        for one in functions:
            if isinstance(one, MethodType):
                self._value(one.__self__, DEPTH - 1)
            self._function(getattr(one, "__func__", one))

    def _function(self, function: Any) -> None:
        if not isinstance(function, FunctionType) or self._known(function):
            return
        if not is_user_file(function.__code__.co_filename):
            return
        self._dict(vars(function), DEPTH - 1)
        for cell in function.__closure__ or ():
            self._cell(cell)
        self._globals(function.__globals__)

    def _globals(self, names: dict[str, Any], *, deeper: bool = True) -> None:
        if not _is_programs(names.get("__name__")):
            return
        if not self._known(names):
            self._dict(names, DEPTH)
        for value in list(names.values()) if deeper else ():
            if isinstance(value, ModuleType):
                self._globals(vars(value), deeper=False)

    def _cell(self, cell: Any) -> None:
        try:
            before = cell.cell_contents
        except ValueError:  # Nothing is in it yet.
            return

        def undo() -> None:
            if cell.cell_contents is not before:
                cell.cell_contents = before

        if not self._known(cell):
            self._undo.append(undo)
            self._value(before, DEPTH - 1)

    def _known(self, thing: Any) -> bool:
        if id(thing) in self._seen or len(self._seen) >= MOST:
            return True
        self._seen.add(id(thing))
        self._alive.append(thing)
        return False

    def _dict(self, names: dict[Any, Any], depth: int) -> None:
        self._names(lambda: names, names.__setitem__, names.__delitem__, depth)

    def _names(
        self,
        now: Callable[[], Any],
        give: Callable[[Any, Any], None],
        take: Callable[[Any], None],
        depth: int = DEPTH,
    ) -> None:
        """Names with values: what was bound to them, and what is in what was bound."""
        before = dict(now())

        def undo() -> None:
            after = dict(now())
            if len(after) == len(before) and all(
                after.get(name, _IS_MISSING) is value for name, value in before.items()
            ):
                return
            for name in after.keys() - before.keys():
                # What was imported or defined meanwhile is no state.
                if not isinstance(after[name], _CODE):
                    take(name)
            for name, value in before.items():
                if after.get(name, _IS_MISSING) is not value:
                    give(name, value)

        self._undo.append(undo)
        if len(before) <= WIDE:
            for value in before.values():
                self._value(value, depth - 1)

    def _value(self, value: Any, depth: int) -> None:
        if depth < 0 or value is None or isinstance(value, (int, float, str, bytes, complex, *_CODE)):
            if isinstance(value, FunctionType):
                self._function(value)
            return
        if isinstance(value, (list, deque, set, dict, bytearray, tuple)):
            self._container(value, depth)
        elif isinstance(value, (Tensor, np.ndarray)):
            self._numbers(value)
        elif (isinstance(value, nn.Module) or _is_programs(type(value).__module__)) and not self._known(value):
            names = getattr(value, "__dict__", None)
            if isinstance(names, dict):
                self._dict(names, depth)

    def _container(self, value: Any, depth: int) -> None:
        if self._known(value):
            return
        if isinstance(value, dict):
            self._dict(value, depth)
            return
        before = list(value)
        if isinstance(value, set):

            def undo() -> None:
                if len(value) != len(before) or any(one not in value for one in before):
                    value.clear()
                    value.update(before)

        else:

            def undo() -> None:
                if len(value) == len(before) and all(now is one for now, one in zip(value, before, strict=True)):
                    return
                value.clear()
                value.extend(before)

        if not isinstance(value, tuple):
            self._undo.append(undo)
        if len(before) <= WIDE:
            for one in before:
                self._value(one, depth - 1)

    def _numbers(self, value: Any) -> None:
        """A tensor or array that is small enough to be a state."""
        if type(value) not in (Tensor, nn.Parameter, np.ndarray) or (isinstance(value, Tensor) and not is_dense(value)):
            return
        if value.nbytes > BYTES or self._known(value):
            return
        if isinstance(value, np.ndarray):
            array = value.copy()

            def undo() -> None:
                if value.tobytes() != array.tobytes() and value.flags.writeable:
                    value[...] = array

        else:
            try:
                version, before = version_of(value), value.detach().clone()
            except RuntimeError:  # Tensors of inference mode count nothing.
                return

            apart = value.grad_fn is None and not value.requires_grad

            def undo() -> None:
                if apart and value.grad_fn is not None:
                    # What was written into it has a path, which it must not keep.
                    value.detach_()
                if version_of(value) != version:
                    with torch.no_grad():
                        value.detach().copy_(before)

        self._undo.append(undo)
