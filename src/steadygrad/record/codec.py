"""Frozen dataclasses to JSON values and back, driven by their annotations.

JSON has no NaN or infinity, so non-finite floats travel as the strings "NaN", "Infinity" and "-Infinity".
Unknown keys are passed over, so that an older reader opens a newer file of the same version.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import reprlib
import types
import typing
from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar

from steadygrad.errors import CorruptReportError

SCHEMA_VERSION = 1

T = TypeVar("T")

_TO_NAME = {math.inf: "Infinity", -math.inf: "-Infinity"}
_FROM_NAME = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def to_jsonable(value: Any) -> Any:
    """Plain dicts, lists, strings and finite numbers for a record."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_jsonable(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (tuple, list)):
        return [to_jsonable(item) for item in value]
    if isinstance(value, dict):
        return {str(key): to_jsonable(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return _TO_NAME.get(value, "NaN")
    return value


def from_jsonable(kind: type[T], value: Any, where: str = "report") -> T:
    """The record of type ``kind`` that ``value`` describes. Raises ``CorruptReportError`` where it does not fit."""
    return typing.cast(T, _read(kind, value, where))


def json_text(body: Any, *, indent: int | None = 2) -> str:
    """JSON as people read it, in which no character steers a terminal: those of C1 and DEL are escapes, as are the others.

    So is a lone surrogate (from a file name that is not UTF-8).
    """
    text = json.dumps(body, indent=indent, ensure_ascii=False, allow_nan=False)
    return text.translate(_STEERS).encode("utf-8", errors="backslashreplace").decode("utf-8")


_STEERS = {code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)}


def _read(kind: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        options = typing.get_args(kind)
        if value is None and type(None) in options:
            return None
        return _read(next(option for option in options if option is not type(None)), value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise CorruptReportError(f"{where} is {_short(value)}, expected a list")
        items = typing.get_args(kind)
        kinds = [items[0]] * len(value) if len(items) == 2 and items[1] is ... else list(items)
        if len(kinds) != len(value):
            raise CorruptReportError(f"{where} has {len(value)} entries, expected {len(kinds)}")
        return tuple(_read(k, item, f"{where}[{i}]") for i, (k, item) in enumerate(zip(kinds, value, strict=True)))
    if origin is dict:
        if not isinstance(value, dict):
            raise CorruptReportError(f"{where} is {_short(value)}, expected an object")
        (_, kind) = typing.get_args(kind)
        return {key: _read(kind, item, f"{where}.{key}") for key, item in value.items()}
    if dataclasses.is_dataclass(kind):
        older = older_form(kind)
        return older(value) if older is not None and isinstance(value, str) else _read_dataclass(kind, value, where)
    if isinstance(kind, type) and issubclass(kind, Enum):
        try:
            return (older_form(kind) or kind)(value)
        except (AttributeError, ValueError):
            raise CorruptReportError(f"{where} is {_short(value)}, expected one of {[m.value for m in kind]}") from None
    if kind is float:
        if isinstance(value, str) and value in _FROM_NAME:
            return _FROM_NAME[value]
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            try:
                return float(value)
            except OverflowError:
                raise CorruptReportError(f"{where} is too large for a number") from None
    elif isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        if kind is int and not -(2**63) <= value < 2**63:
            raise CorruptReportError(f"{where} is too large for a number")
        return value
    raise CorruptReportError(f"{where} is {_short(value)}, expected {kind.__name__}")


def older_form(kind: Any) -> Callable[[str], Any] | None:
    """Make a record of the sentence that early files of this version held in its place; None where they did not."""
    return getattr(kind, "from_text", None)


def _read_dataclass(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise CorruptReportError(f"{where} is {_short(value)}, expected an object")
    hints = _hints(kind)
    values = {}
    for field in dataclasses.fields(kind):
        if field.name in value:
            values[field.name] = _read(hints[field.name], value[field.name], f"{where}.{field.name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise CorruptReportError(f"{where} has no {field.name!r}")
    return kind(**values)


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _short(value: Any) -> str:
    return reprlib.repr(value)
