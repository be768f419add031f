"""The same target with other whole numbers: what its constructor, its configuration or the function that builds it is given.

A patch is made from one model, and is to hold for the class. So the fresh process that proves it changes one number at a
time, asks whether the unpatched source builds and runs with it, and if so, what becomes of the patched one.
"""

from __future__ import annotations

import builtins
import functools
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import Any

import torch
from torch import nn

from steadygrad.copies.copying import clone_batch
from steadygrad.source.spans import arguments_of, is_user_file
from steadygrad.subject.arguments import replaced
from steadygrad.subject.from_options import subject_of
from steadygrad.subject.loading import import_place, named, split
from steadygrad.subject.subject import Subject
from steadygrad.subject.with_copy import with_copy

VALUES = 2
"""Other values of each number for which a patch is to hold."""


@dataclass(frozen=True)
class Other:
    """One number changed."""

    name: str
    before: int
    value: int
    kind: str
    """Qualified name of the class whose constructor is given it; "" for a function, which gets it as an argument."""

    @property
    def words(self) -> str:
        return f"{self.name}={self.value}"

    def options(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """The options with the argument of a function among them."""
        given = [text for text in asked["arguments"] if not text.startswith(f"{self.name}=")]
        return {**asked, "arguments": asked["arguments"] if self.kind else [*given, self.words]}


def others_of(subject: Subject, target: str, options: Mapping[str, Any]) -> list[list[Other]]:
    """Return, for each whole number that the model was made with, other values in the order of trial."""
    kind = _constructor_of(type(subject.model))
    numbers = {name: one for name, one in arguments_of(subject.model).items() if type(one) is int} if kind else {}
    found = [[Other(name, one, value, kind) for value in _values(one)] for name, one in numbers.items()]
    place, name = split(target)
    function = named(import_place(place), name, place) if name else None
    if isinstance(function, FunctionType):
        typed = dict(text.partition("=")[::2] for text in options["arguments"])
        for parameter in inspect.signature(function).parameters.values():
            text = typed.get(parameter.name, parameter.default)
            if type(text) is int or (isinstance(text, str) and text.isdecimal() and parameter.name in typed):
                found.append([Other(parameter.name, int(text), value, "") for value in _values(int(text))])
    return found


def _values(number: int) -> list[int]:
    """Other values, the likeliest first: two thirds and five thirds, half and double, one more and one less."""
    tried = (number * 2 // 3, number * 5 // 3, number // 2, number * 2, number + 1, number - 1)
    return [value for value in dict.fromkeys(tried) if value > 0 and value != number]


def _constructor_of(kind: type) -> str:
    """The class, among a model's own, whose ``__init__`` is the user's; "" where there is none."""
    for one in kind.__mro__:
        init = vars(one).get("__init__")
        if init is not None:
            code = getattr(inspect.unwrap(init), "__code__", None)
            return one.__qualname__ if code is not None and is_user_file(code.co_filename) else ""
    return ""


@contextmanager
def given(other: Other) -> Iterator[None]:
    """Classes of this name that are made within get the other number where their constructor is given the old one."""
    if not other.kind:
        yield
        return
    build = builtins.__build_class__

    def building(body: Any, name: str, *bases: Any, **keywords: Any) -> Any:
        kind = build(body, name, *bases, **keywords)
        init = vars(kind).get("__init__") if isinstance(kind, type) and issubclass(kind, nn.Module) else None
        if init is not None and kind.__qualname__ == other.kind:
            kind.__init__ = _with_other(init, other)
        return kind

    builtins.__build_class__ = building  # type: ignore[assignment]
    try:
        yield
    finally:
        builtins.__build_class__ = build


def _with_other(init: Callable[..., None], other: Other) -> Callable[..., None]:
    signature = inspect.signature(init)

    @functools.wraps(init)
    def constructed(*args: Any, **kwargs: Any) -> None:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        for name, value in list(bound.arguments.items())[1:]:
            if name == other.name and value == other.before:
                bound.arguments[name] = other.value
            elif not isinstance(value, (nn.Module, type)) and getattr(value, other.name, None) == other.before:
                bound.arguments[name] = replaced(value, {other.name: other.value})
        init(*bound.args, **bound.kwargs)

    return constructed


def runs(target: str, options: Mapping[str, Any], other: Other) -> bool:
    """Return whether the source as it stands builds with the other number, takes its batch, and gives a finite loss."""
    try:
        with anew(), given(other):
            subject = subject_of(target, other.options(options))
            with with_copy(subject, optimizer=False) as run:
                loss, _ = run.objective(run.model, clone_batch(subject.batch))
                return bool(torch.isfinite(loss).all())
    except Exception:
        return False  # Whatever it raises: the source does not run with this number.


@contextmanager
def anew() -> Iterator[None]:
    """Within, the user's own modules are imported once more, and forgotten behind it."""
    known = set(sys.modules)
    try:
        yield
    finally:
        for name in set(sys.modules) - known:
            file = getattr(sys.modules[name], "__file__", None) or ""
            ours = name.partition(".")[0] == "steadygrad" or "site-packages" in Path(file).parts
            if file and is_user_file(file) and not ours:
                del sys.modules[name]
