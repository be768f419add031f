"""The parameters of an experiment: read from its signature, given as text, checked before anything runs.

A parameter's kind is that of its default (whole number, number, text, yes or no). Knows nothing of experiments or torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from steadygrad.errors import SettingsError
from steadygrad.written import nearest

Value = int | float | str | bool

_TRUE, _FALSE = ("yes", "true", "on", "1"), ("no", "false", "off", "0")


@dataclass(frozen=True)
class Parameter:
    """One parameter and the values that it can have."""

    name: str
    default: Value
    quick: Value
    """Its value with ``--quick``."""
    limits: tuple[float, float] | None = None
    choices: tuple[str, ...] = ()
    meaning: str = ""

    @property
    def words(self) -> str:
        """``100 (quick 50; 1 to 2,000)``."""
        told = [f"quick {shown(self.quick)}"] if self.quick != self.default else []
        if self.limits is not None:
            told.append(f"{shown(self.limits[0])} to {shown(self.limits[1])}")
        if self.choices:
            told.append(", ".join(self.choices))
        return shown(self.default) + (f" ({'; '.join(told)})" if told else "")


def shown(value: Value) -> str:
    """A value as a person writes it: 1,000, 0.5, yes, relu."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer() and abs(value) < 1e6):
        return f"{int(value):,}"
    return f"{value:g}" if isinstance(value, float) else value


def values(experiment: str, known: Sequence[Parameter], given: Mapping[str, Value], *, quick: bool) -> dict[str, Value]:
    """Every parameter's value; ``given`` wins over quick and default. Raises ``SettingsError``, one sentence."""
    names = [parameter.name for parameter in known]
    for name in given:
        if name not in names:
            raise SettingsError(f"{experiment} has no parameter {name!r}{_near(name, names)}")
    return {
        one.name: _checked(experiment, one, given[one.name])
        if one.name in given
        else (one.quick if quick else one.default)
        for one in known
    }


def pairs(given: Iterable[str]) -> dict[str, Value]:
    """Names and texts of ``name=value`` words. Raises ``SettingsError``."""
    found: dict[str, Value] = {}
    for word in given:
        name, equals, value = word.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name:
            raise SettingsError(f"cannot read --set {word!r}; write it as --set name=value")
        if name in found:
            raise SettingsError(f"--set gives {name} twice; drop one of the two")
        found[name] = value.strip()
    return found


def _checked(experiment: str, parameter: Parameter, given: Value) -> Value:
    value = _converted(experiment, parameter, given)
    if parameter.choices and value not in parameter.choices:
        assert isinstance(value, str)
        raise SettingsError(f"{parameter.name} of {experiment} cannot be {value!r}{_near(value, parameter.choices)}")
    if parameter.limits is not None and isinstance(value, (int, float)):
        low, high = parameter.limits
        if not low <= value <= high:
            raise SettingsError(f"{parameter.name} of {experiment} is {value}, expected {shown(low)} to {shown(high)}")
    return value


def _converted(experiment: str, parameter: Parameter, given: Value) -> Value:
    kind = type(parameter.default)
    if isinstance(given, kind) and not (kind is int and isinstance(given, bool)):
        return given
    if kind is str:
        return str(given)
    text = str(given).strip().lower()
    try:
        if kind is bool:
            return {**dict.fromkeys(_TRUE, True), **dict.fromkeys(_FALSE, False)}[text]
        number = float(text)
        if kind is int and number.is_integer():
            return int(number)
        if kind is float and math.isfinite(number):
            return number
        raise ValueError
    except (KeyError, ValueError, OverflowError):
        expected = {bool: "yes or no", int: "a whole number", float: "a number"}[kind]
        raise SettingsError(f"{parameter.name} of {experiment} is {given!r}, expected {expected}") from None


def _near(word: str, known: Sequence[str]) -> str:
    close = nearest(word, known)
    if close:
        return f"; did you mean {close}?"
    return f"; it has {', '.join(known)}" if known else "; it has none"
