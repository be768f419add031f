"""The values that hold a part of a model where ``copy.deepcopy`` does not look: cells and defaults of functions, weak references.

Asks only, and changes nothing. Knows Python's objects; of torch no more than tensors and modules.
"""

from __future__ import annotations

import dis
import functools
import weakref
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from types import BuiltinMethodType, CellType, CodeType, FunctionType, MethodType, MethodWrapperType
from typing import Any

from torch import Tensor, nn

PROXIES: tuple[type, ...] = weakref.ProxyTypes
BOUND = (BuiltinMethodType, MethodWrapperType)
"""Methods of C types, such as ``tensor.matmul``."""
CACHED = type(functools.lru_cache(lambda: None))
CONTAINERS = (list, dict, set, OrderedDict, defaultdict, deque)
"""Mutable ones that are rebuilt element by element; any other type is left to ``deepcopy``."""

PLAIN = frozenset({str, int, float, bool, bytes, type(None), type})

LOOKED_AT = 10_000
"""Objects behind one value beyond which no part is looked for: a data set, a trainer. A GPT block's closure has 3."""


def referent(proxy: Any) -> Any:
    """Return the object behind a ``weakref.proxy``; None where that is gone."""
    try:
        return proxy.__reduce_ex__.__self__
    except (ReferenceError, AttributeError):
        return None


def contents(cell: CellType) -> tuple[Any, ...]:
    """Return the contents of a cell: one value, or none where it is empty."""
    try:
        return (cell.cell_contents,)
    except ValueError:
        return ()


@functools.lru_cache(maxsize=4096)
def _writes(code: CodeType, operations: tuple[str, ...]) -> frozenset[str]:
    """Names that a function's code sets or deletes by one of these operations."""
    return frozenset(one.argval for one in dis.get_instructions(code) if one.opname in operations)


def global_parts(function: FunctionType) -> dict[str, Any]:
    """Tensors, layers and containers among the globals that a function reads, by name; none where it sets globals itself."""
    known = function.__globals__
    read = {name: known[name] for name in function.__code__.co_names if name in known}
    found = {name: one for name, one in read.items() if type(one) in CONTAINERS or _is_torch(one)}
    return found if found and not _writes(function.__code__, ("STORE_GLOBAL", "DELETE_GLOBAL")) else {}


def keeps_state(function: FunctionType) -> bool:
    """Return whether calls of a function change or read its cells: containers, tensors, layers, ``nonlocal`` names."""
    held = [value for cell in function.__closure__ or () for value in contents(cell)]
    if any(type(value) in CONTAINERS or _is_torch(value) for value in held):
        return True
    code = function.__code__
    return bool(code.co_freevars) and not _writes(code, ("STORE_DEREF", "DELETE_DEREF")).isdisjoint(code.co_freevars)


def _is_torch(value: Any) -> bool:
    return type(value) not in PROXIES and isinstance(value, (Tensor, nn.Module))


def attributes_of(value: Any) -> dict[str, Any]:
    """A value's own ``__dict__``, whatever its ``__getattr__`` answers."""
    try:
        own: dict[str, Any] = vars(value)
    except TypeError:
        return {}
    return own


def slots_of(value: Any) -> dict[str, Any]:
    """Attributes in ``__slots__``."""
    names = (name for kind in type(value).__mro__ for name in _names(vars(kind).get("__slots__", ())))
    return {
        name: getattr(value, name) for name in names if name not in ("__dict__", "__weakref__") and hasattr(value, name)
    }


def _names(slots: Any) -> tuple[str, ...]:
    return (slots,) if isinstance(slots, str) else tuple(slots)


def inside(value: Any) -> Iterator[Any]:
    """Return what a value holds, one level deep; classes, modules of Python, tensors and plain values hold nothing."""
    kind = type(value)
    if kind is FunctionType:
        for cell in value.__closure__ or ():
            yield from contents(cell)
        yield from value.__defaults__ or ()
        yield from (value.__kwdefaults__ or {}).values()
        yield from (*vars(value).values(), *global_parts(value).values())
    elif kind is MethodType:
        yield from (value.__func__, value.__self__)
    elif kind in BOUND:
        yield value.__self__
    elif kind in PROXIES:
        yield referent(value)
    elif isinstance(value, weakref.ref):
        yield value()
    elif kind is CACHED:
        yield value.__wrapped__
    elif isinstance(value, functools.partial):
        yield from (value.func, *value.args, *value.keywords.values(), *vars(value).values())
    elif isinstance(value, (tuple, list, set, frozenset, deque)):
        yield from tuple(value)
    elif isinstance(value, dict):
        yield from tuple(value.values())
    elif not isinstance(value, (type, Tensor)) and kind.__module__ != "builtins":
        yield from tuple(attributes_of(value).values())
        yield from slots_of(value).values()


def holds(value: Any, part: Callable[[Any], bool | None]) -> bool:
    """Return whether a value is or holds what ``part`` calls one. Where that says None, what is held is looked at as well."""
    todo, seen = deque([value]), {id(value): value}
    while todo and len(seen) < LOOKED_AT:
        found = part(one := todo.popleft())
        if found:
            return True
        if found is None:
            for held in inside(one):
                if type(held) not in PLAIN and id(held) not in seen:
                    seen[id(held)] = held
                    todo.append(held)
    return False
