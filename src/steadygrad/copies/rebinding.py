"""A copy that computes with itself: what ``copy.deepcopy`` hands on as it is, is rebuilt with the copy's own parts.

To ``deepcopy`` a function is a plain value, so a forward that goes through a closure over a layer would run the layer of the
original. Functions (cells, defaults, attributes), partials, bound methods and weak references that hold a part of the
original are rebuilt, wherever the copy's modules reach them: in attributes, containers and hooks, and nested in each other.
The original's own objects are read, never written.
"""

from __future__ import annotations

import copy
import functools
import weakref
from collections import deque
from collections.abc import Callable
from itertools import islice
from types import CellType, FunctionType, MethodType
from typing import Any

from torch import Tensor, nn

from steadygrad.copies.holding import (
    BOUND,
    CACHED,
    CONTAINERS,
    PLAIN,
    PROXIES,
    attributes_of,
    contents,
    global_parts,
    holds,
    keeps_state,
    referent,
    slots_of,
)
from steadygrad.torch_internals.held import buffer_table, parameter_table

_MADE_OF = (tuple, frozenset, functools.partial, MethodType)
"""Values that cannot be changed in place; they are rebuilt where one of their parts is."""


class _Weak:
    """Stands in a copy where the original has a ``weakref.proxy`` or a ``WeakMethod``."""

    def __init__(self, reference: Any) -> None:
        self.reference = reference


def mark_weak(model: nn.Module, memo: dict[int, Any]) -> None:
    """Keep a deep copy from proxies, whose referents it would copy twice, and from weak methods, which it refuses."""
    for module in model.modules():
        for value in vars(module).values():
            for one in (value, *(value.values() if type(value) is dict else value if type(value) is list else ())):
                if type(one) in PROXIES or (isinstance(one, weakref.ref) and type(one) is not weakref.ref):
                    memo[id(one)] = _Weak(one)


class Rebinding:
    """The counterparts of an original's parts in the copy. ``memo`` is that of the deep copy, and grows as more is copied."""

    def __init__(self, model: nn.Module, twin: nn.Module, memo: dict[int, Any]) -> None:
        self._memo = memo
        self._known = 0
        theirs = {id(module) for module in model.modules()} if twin is not model else set()
        self._modules = [module for module in twin.modules() if id(module) not in theirs]
        self._own = {id(module) for module in self._modules}
        self._cells: dict[int, tuple[CellType, CellType]] = {}
        self._remade: dict[int, tuple[Any, Any]] = {}
        self._todo: list[Any] = []
        self._done: dict[int, Any] = {}
        self._stateful = True
        for mine, original in zip(twin.modules(), model.modules(), strict=False):
            if id(original) not in memo and type(mine) is type(original):
                # A ``__deepcopy__`` of the user's own has left the memo out.
                self._remember(original, mine)
                own, known = ({**parameter_table(one), **buffer_table(one)} for one in (mine, original))
                for name, tensor in known.items():
                    if tensor is not None and own.get(name) is not None and id(tensor) not in memo:
                        self._remember(tensor, own[name])

    def settle(self, beside: nn.Module | None = None) -> None:
        """Rebuild whatever the copy's modules reach, or those of another copy made with the same memo."""
        self._todo += self._modules if beside is None else beside.modules()
        self._work()

    def fitted(self, function: Any, *, stateful: bool = False) -> Any:
        """A function (a loss, a hook) with the copy's parts in the place of the original's; as it is where it holds none.

        ``stateful``: containers and tensors that calls may leave a mark in are copied as well.
        """
        before, self._stateful = self._stateful, stateful
        try:
            fit = self._fit(function)
            self._work()
        finally:
            self._stateful = before
        return fit

    def _work(self) -> None:
        while self._todo:
            one = self._todo.pop()
            if id(one) not in self._done:
                self._done[id(one)] = one
                self._refresh(one)

    def _ours(self, value: Any) -> bool:
        """Return whether an object is a part of the copy."""
        if len(self._memo) != self._known:
            self._own.update(map(id, islice(self._memo.values(), self._known, None)))
            self._known = len(self._memo)
        return id(value) in self._own

    def _remember(self, original: Any, copied: Any) -> None:
        # The original stays alive as long as the memo, so that its identity is given to no other object.
        self._ours(copied)
        self._memo.setdefault(id(self._memo), []).append(original)
        self._memo[id(original)] = copied
        self._own.add(id(copied))
        self._known = len(self._memo)

    def _part(self, value: Any) -> bool | None:
        """Return whether a value is a part of the original that has a copy; None where what it holds may be one."""
        if type(value) is _Weak or self._memo.get(id(value), value) is not value:
            return True
        if self._stateful and type(value) is FunctionType and keeps_state(value):
            return True
        return False if self._ours(value) and not isinstance(value, _MADE_OF) else None

    def _fit(self, value: Any) -> Any:
        """The copy's counterpart of a value. Mutable objects of the copy are noted, to be refreshed in place."""
        kind = type(value)
        if kind in PLAIN or (kind in CONTAINERS and not value):
            return value
        value = self._memo.get(id(value), value)
        if type(value) is _Weak:
            value = value.reference
        if type(value) in PROXIES:
            return self._proxy(value)
        if isinstance(value, Tensor):
            return value
        if isinstance(value, _MADE_OF):
            return self._made_of(value, self._fit)
        if self._ours(value):
            self._todo.append(value)
            return value
        return self._anew(value) if holds(value, self._part) else value

    def _held(self, value: Any) -> Any:
        """Return the copy's counterpart of what a function holds, or a copy of what calls would leave their mark in."""
        fit = self._made_of(value, self._held) if isinstance(value, _MADE_OF) else self._fit(value)
        if fit is not value or not self._stateful or type(value) in PROXIES or self._ours(value):
            return fit
        leaf = isinstance(value, Tensor) and value.is_leaf
        return self._deep(value) if type(value) in CONTAINERS or isinstance(value, nn.Module) or leaf else fit

    def _made_of(self, value: Any, fit: Callable[[Any], Any]) -> Any:
        """The same of the counterparts of its parts; the very same where these are."""
        if id(value) in self._remade:
            return self._remade[id(value)][1]
        anew = _of_parts(value, fit)
        self._remade[id(value)] = (value, anew)
        return anew

    def _anew(self, value: Any) -> Any:
        kind = type(value)
        if kind is FunctionType:
            return self._function(value)
        if kind in BOUND:
            return getattr(self._fit(value.__self__), value.__name__)
        if kind is CACHED:
            return functools.lru_cache(**value.cache_parameters())(self._fit(value.__wrapped__))
        if isinstance(value, weakref.ref):
            target = self._fit(value())
            return weakref.WeakMethod(target) if isinstance(value, weakref.WeakMethod) else weakref.ref(target)
        return self._deep(value) if self._stateful and isinstance(value, nn.Module) else self._shallow(value)

    def _function(self, function: FunctionType) -> FunctionType:
        pairs = []
        for cell in function.__closure__ or ():
            pairs.append(self._cells.setdefault(id(cell), (cell, CellType())))
        parts = {name: self._fit(one) for name, one in global_parts(function).items()}
        changed = any(one is not function.__globals__[name] for name, one in parts.items())
        names = {**function.__globals__, **parts} if changed else function.__globals__
        fit = FunctionType(function.__code__, names, function.__name__, None, tuple(own for _, own in pairs))
        self._remember(function, fit)
        for cell, own in pairs:
            for value in contents(cell) if not contents(own) else ():
                own.cell_contents = self._held(value)
        if function.__defaults__ is not None:
            fit.__defaults__ = tuple(map(self._held, function.__defaults__))
        if function.__kwdefaults__ is not None:
            fit.__kwdefaults__ = {name: self._held(one) for name, one in function.__kwdefaults__.items()}
        functools.update_wrapper(fit, function, updated=())
        del fit.__wrapped__  # type: ignore[attr-defined]
        vars(fit).update({name: self._fit(one) for name, one in vars(function).items()})
        return fit

    def _deep(self, value: Any) -> Any:
        try:
            copied = copy.deepcopy(value, self._memo)
        except Exception:
            return value  # What cannot be copied (a lock, a file) stays shared; the pass shows whether weights are.
        if copied is not value:
            self._own.add(id(copied))
            self._todo.append(copied)
        return copied

    def _shallow(self, value: Any) -> Any:
        """The same object with other parts: what it holds beside, a data set or a log, is not copied."""
        try:
            copied = copy.copy(value)
        except Exception:
            return value
        if copied is not value:
            self._remember(value, copied)
            self._todo.append(copied)
        return copied

    def _proxy(self, proxy: Any) -> Any:
        target = referent(proxy)
        copied = self._memo.get(id(target), target)
        return proxy if copied is target else weakref.proxy(copied)

    def _refresh(self, value: Any) -> None:
        """Put the copy's parts into an object of the copy."""
        if isinstance(value, (weakref.WeakValueDictionary, weakref.WeakKeyDictionary)):
            for key, held in list(value.items()):
                del value[key]
                value[self._fit(key)] = self._fit(held)
            return
        if isinstance(value, dict):
            _replace(value, list(value.items()), self._fit)
        elif isinstance(value, (list, deque)):
            _replace(value, list(enumerate(value)), self._fit)
        elif isinstance(value, set):
            anew = [self._fit(held) for held in value]
            value.clear()
            value.update(anew)
        if type(value) not in CONTAINERS and not isinstance(value, type):
            own = attributes_of(value)
            _replace(own, list(own.items()), self._fit)
            for name, held in slots_of(value).items():
                fit = self._fit(held)
                if fit is not held:
                    object.__setattr__(value, name, fit)


def _replace(holder: Any, items: list[tuple[Any, Any]], fit: Callable[[Any], Any]) -> None:
    for key, held in items:
        anew = fit(held)
        if anew is not held:
            holder[key] = anew


def _of_parts(value: Any, fit: Callable[[Any], Any]) -> Any:
    """A tuple, frozen set, partial or bound method of other parts; the very same where no part is another."""
    if isinstance(value, (tuple, frozenset)):
        parts = [fit(one) for one in value]
        if all(one is other for one, other in zip(parts, value, strict=True)):
            return value
        return type(value)._make(parts) if hasattr(value, "_make") else type(value)(parts)
    if isinstance(value, MethodType):
        own, function = fit(value.__self__), fit(value.__func__)
        same = own is value.__self__ and function is value.__func__
        return value if same else MethodType(function, own)
    parts = [fit(one) for one in (value.func, *value.args, *value.keywords.values(), *vars(value).values())]
    old = [value.func, *value.args, *value.keywords.values(), *vars(value).values()]
    if all(one is other for one, other in zip(parts, old, strict=True)):
        return value
    names = len(parts) - len(vars(value)), len(parts) - len(vars(value)) - len(value.keywords)
    anew = type(value)(*parts[: names[1]], **dict(zip(value.keywords, parts[names[1] : names[0]], strict=True)))
    vars(anew).update(zip(vars(value), parts[names[0] :], strict=True))
    return anew
