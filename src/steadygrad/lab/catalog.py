"""The experiments: found in ``experiments``, one file each, or in a user's own file; a function with a decorator.

The docstring is the page: a line that sums it up, then sections under ``HEADINGS``. What the files here say of
themselves is read from their text, so that listing and explaining needs no torch. Adding an experiment is adding a file.
"""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import inspect
import pkgutil
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FunctionType
from typing import Any, overload

from steadygrad.errors import TargetError, UnknownExperimentError
from steadygrad.lab import experiments
from steadygrad.lab.outcome import Outcome
from steadygrad.lab.parameters import Parameter, Value
from steadygrad.written import nearest

HEADINGS = ("Claim", "Source", "Measurement", "Refuted by", "Parameters")
"""Every experiment's docstring here has these sections, in this order; one of a user's may leave any out."""

Measure = Callable[..., Outcome]

_MARK = "__steadygrad_experiment__"


@dataclass(frozen=True)
class Experiment:
    """One experiment, as its file states it."""

    name: str
    """The function's, with hyphens: "depth-product"; of a user's, where it stands: "my.py:halving"."""
    summary: str
    sections: Mapping[str, str]
    """Text by heading."""
    parameters: tuple[Parameter, ...]
    measure: Callable[[], Measure]
    """Gives the function that measures; imports torch."""
    refuted: Mapping[str, Value] = field(default_factory=dict)
    """Parameters at which the claim does not hold."""
    order: int = 0
    theirs: bool = False
    """Whether it stands in a user's file: what it raises is then the user's."""

    @property
    def commands(self) -> tuple[str, ...]:
        """Command lines that run it quickly, as it stands and where its claim does not hold."""
        run = f"steadygrad lab run {self.name} --quick"
        given = " ".join(f"--set {name}={value}" for name, value in self.refuted.items())
        return (run, f"{run} {given}") if given else (run,)

    @property
    def page(self) -> str:
        """Markdown."""
        told = [f"## {heading}\n\n{text}" for heading, text in self.sections.items() if heading != "Parameters"]
        rows = [f"| {one.name} | {one.words} | {one.meaning} |" for one in self.parameters]
        table = "\n".join(["| parameter | value | meaning |", "|---|---|---|", *rows])
        lines = (f"{command}{'  # refuted' if number else ''}" for number, command in enumerate(self.commands))
        run = "\n".join(["```", *lines, "```"])
        return "\n\n".join([f"# {self.name}", self.summary, *told, "## Parameters", table, "## Run it", run]) + "\n"


@overload
def experiment(function: Measure, /) -> Measure: ...


@overload
def experiment(
    *,
    quick: Mapping[str, Value] | None = None,
    refuted: Mapping[str, Value] | None = None,
    limits: Mapping[str, tuple[float, float]] | None = None,
    choices: Mapping[str, tuple[str, ...]] | None = None,
    order: int = 0,
) -> Callable[[Measure], Measure]: ...


def experiment(
    function: Measure | None = None,
    /,
    *,
    quick: Mapping[str, Value] | None = None,
    refuted: Mapping[str, Value] | None = None,
    limits: Mapping[str, tuple[float, float]] | None = None,
    choices: Mapping[str, tuple[str, ...]] | None = None,
    order: int = 0,
) -> Measure | Callable[[Measure], Measure]:
    """Make a function with keyword arguments an experiment.

    Args:
        function: The function, where the decorator stands without brackets.
        quick: Other values of parameters for ``--quick``, which is to take 20 seconds at most.
        refuted: Parameters at which the claim does not hold: what shows that the experiment can say so.
        limits: Least and greatest value of a parameter, both included.
        choices: The texts that a parameter can have.
        order: Place in the list of experiments.

    Raises:
        TypeError: An argument of the function has no default, or one that is no number, text or bool.
    """
    options: dict[str, Any] = {"quick": quick, "refuted": refuted, "limits": limits, "choices": choices, "order": order}

    def mark(function: Measure) -> Measure:
        setattr(function, _MARK, options)
        _from_function(function, options)
        return function

    return mark if function is None else mark(function)


@functools.cache
def load() -> tuple[Experiment, ...]:
    """All experiments in the folder ``experiments``, in their order."""
    found = [_read(info.name) for info in pkgutil.iter_modules(experiments.__path__)]
    return tuple(sorted(found, key=lambda one: (one.order, one.name)))


def find(text: str) -> Experiment:
    """The experiment with this name, or the user's that ``file.py:function`` means.

    Raises ``UnknownExperimentError`` naming the nearest, ``TargetError`` for a function that is none, ``UserCodeError``
    where the user's file raises.
    """
    if ":" in text or text.endswith(".py"):
        return _users(text)
    word = text.strip().lower().replace("_", "-")
    names = [one.name for one in load()]
    if word in names:
        return load()[names.index(word)]
    close = nearest(word, names)
    hint = f", did you mean {close}?" if close else ""
    raise UnknownExperimentError(f"no experiment {text!r}{hint}; steadygrad lab lists them")


def _users(text: str) -> Experiment:
    from steadygrad.subject.loading import import_place, named, split

    place, name = split(text)
    module = import_place(place)
    marked = [key for key, value in vars(module).items() if isinstance(value, FunctionType) and hasattr(value, _MARK)]
    if not name:
        if len(marked) != 1:
            told = f"its experiments are {', '.join(marked)}" if marked else "none there has the decorator"
            raise TargetError(f"name a function, as in {place}:{marked[0] if marked else 'function'}; {told}")
        name = marked[0]
    function = named(module, name, place)
    if not (isinstance(function, FunctionType) and hasattr(function, _MARK)):
        raise TargetError(
            f"{name} in {place} is no experiment; put @experiment() from steadygrad.lab above a function that returns "
            "an Outcome"
        )
    return replace(_from_function(function, getattr(function, _MARK)), name=f"{place}:{name}", theirs=True)


def _from_function(function: Measure, options: Mapping[str, Any]) -> Experiment:
    defaults = {}
    for one in inspect.signature(function).parameters.values():
        if one.default is one.empty or not isinstance(one.default, (bool, int, float, str)):
            raise TypeError(
                f"{function.__name__}: the argument {one.name!r} needs a default that is a number, a text or a bool"
            )
        defaults[one.name] = one.default
    for option in ("quick", "refuted", "limits", "choices"):
        unknown = set(options[option] or {}) - set(defaults)
        if unknown:
            raise TypeError(f"{function.__name__}: {option} names {min(unknown)!r}, which is no argument of it")
    doc = inspect.getdoc(function) or ""
    return _experiment(function.__name__, doc, defaults, options, lambda: function)


def _read(file_name: str) -> Experiment:
    """The description of the file's decorated function, read from its text."""
    spec = importlib.util.find_spec(f"{experiments.__name__}.{file_name}")
    assert spec is not None and spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == file_name)
    (decorator,) = function.decorator_list
    assert isinstance(decorator, ast.Call)
    said = {word.arg: ast.literal_eval(word.value) for word in decorator.keywords if word.arg}
    arguments = zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
    defaults = {argument.arg: ast.literal_eval(value) for argument, value in arguments if value is not None}

    def measure() -> Measure:
        found: Measure = getattr(importlib.import_module(f"{experiments.__name__}.{file_name}"), file_name)
        return found

    return _experiment(file_name, ast.get_docstring(function) or "", defaults, said, measure)


def _experiment(
    name: str,
    doc: str,
    defaults: Mapping[str, Value],
    options: Mapping[str, Any],
    measure: Callable[[], Measure],
) -> Experiment:
    summary, _, rest = doc.partition("\n")
    sections = dict(re.findall(r"^## (.+?)\s*\n(.*?)(?=^## |\Z)", rest, flags=re.MULTILINE | re.DOTALL))
    meanings = dict(re.findall(r"^- (\w+): (.*(?:\n  .*)*)", sections.get("Parameters", ""), flags=re.MULTILINE))
    quick, limits, choices = (options.get(word) or {} for word in ("quick", "limits", "choices"))
    parameters = tuple(
        Parameter(
            key,
            default,
            quick.get(key, default),
            limits.get(key),
            tuple(choices.get(key, ())),
            " ".join(meanings.get(key, "").split()),
        )
        for key, default in defaults.items()
    )
    return Experiment(
        name.replace("_", "-"),
        summary.strip(),
        {heading: text.strip() for heading, text in sections.items()},
        parameters,
        measure,
        options.get("refuted") or {},
        options.get("order") or 0,
    )
