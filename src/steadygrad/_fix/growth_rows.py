"""A cure for growth as rows of Python: starts at the end of a constructor, and a function that makes the optimizer's groups.

Knows text and a model's modules; knows no file. ``this`` is what the model is called there, ``ratio`` its size ÷ the smallest.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from torch import nn

from steadygrad.errors import CannotFixError

LONGEST = 79
"""Columns within which a table of powers stands on one line."""

_LISTS = (nn.Sequential, nn.ModuleList, nn.ParameterList)


def starts(
    model: nn.Module, powers: Mapping[str, float], this: str, ratio: str, torch: str, taken: Collection[str]
) -> list[str]:
    """The block that scales the start of each weight; none where every start stays.

    Args:
        model: One of the family.
        powers: Of ``ratio``, by name; * in a name is any number.
        this: The model.
        ratio: An expression.
        torch: The file's name for it.
        taken: Names that a loop may not use.
    """
    by_loop: dict[tuple[str, ...], list[str]] = {}
    for name, power in powers.items():
        loops, weight = _place(model, name, this, taken)
        by_loop.setdefault(loops, []).append(f"{weight}.mul_({ratio}**{power:g})")
    if not by_loop:
        return []
    around: tuple[str, ...] = ()
    rows = [f"with {torch}.no_grad():"]
    for loops, lines in by_loop.items():
        shared = next(
            (n for n, (a, b) in enumerate(zip(loops, around, strict=False)) if a != b), min(len(loops), len(around))
        )
        rows += [f"{'    ' * depth}{row}" for depth, row in enumerate(loops, 1) if depth > shared]
        rows += [f"{'    ' * (len(loops) + 1)}{row}" for row in lines]
        around = loops
    return rows


def groups(
    name: str,
    powers: Mapping[str, float],
    words: tuple[str, int],
    this: str,
    ratio: str,
    *,
    typed: str = "",
) -> list[str]:
    """The function that gives the optimizer's groups.

    Args:
        name: Of the function.
        powers: Of ``ratio`` for the rate, by name.
        words: The name of what grows, and its least value.
        this: The model.
        ratio: An expression of the model.
        typed: What annotates the model, " " for a method, where the file annotates its functions.
    """
    model = f"{this}: {typed}" if typed.strip() else this
    head = f"def {name}({model}, lr: float) -> list[dict]:" if typed else f"def {name}({model}, lr):"
    number, look = _look(powers)
    return [
        head,
        f'    """Groups for an optimizer; lr is that of {words[0]} = {words[1]} ({MARK})."""',
        *_table(powers),
        f"    groups{': dict[float, list]' if typed else ''} = {{}}",
        f"    for name, parameter in {this}.named_parameters():",
        "        if parameter.requires_grad:",
        *number,
        f"            rate = lr * {ratio} ** {look}",
        "            groups.setdefault(rate, []).append(parameter)",
        '    return [{"params": own, "lr": rate} for rate, own in groups.items()]',
    ]


def _look(powers: Mapping[str, float]) -> tuple[list[str], str]:
    """Rows that turn a name into one of the table, and the expression of its power. Raises ``CannotFixError``."""
    starred = [name.split(".") for name in powers if "*" in name]
    if not starred:
        return [], "powers.get(name, 0)"
    if any(part.isdecimal() for parts in starred for part in parts):
        at = {place for parts in starred for place, part in enumerate(parts) if part == "*"}
        if len(at) > 1 or len(starred) < len(powers):
            raise CannotFixError("the names of its layers have numbers at several places, so no short rule finds them")
        (place,) = at
        rows = ['parts = name.split(".")', f'parts[{place}:{place + 1}] = ["*"]']
        return [f"            {row}" for row in rows], 'powers.get(".".join(parts), 0)'
    alone = any(part.isdecimal() for name in powers for part in name.split("."))
    look = "powers.get(name, powers.get(pattern, 0))" if alone else "powers.get(pattern, 0)"
    return ['            pattern = ".".join("*" if p.isdigit() else p for p in name.split("."))'], look


MARK = "steadygrad scale"
"""What a patched constructor says: it is not patched again."""


def _table(powers: Mapping[str, float]) -> Iterable[str]:
    items = [f'"{name}": {power:g}' for name, power in powers.items()]
    line = f"    powers = {{{', '.join(items)}}}"
    return [line] if len(line) + 4 <= LONGEST else ["    powers = {", *(f"        {one}," for one in items), "    }"]


def _place(model: nn.Module, name: str, this: str, taken: Collection[str]) -> tuple[tuple[str, ...], str]:
    """The loops around a weight, and the weight: by attributes where all have them, else by its name."""
    at: list[Any] = [model]
    loops: list[str] = []
    text, used = this, {this, *taken}
    for part in name.split("."):
        if part == "*" and all(isinstance(one, _LISTS) for one in at):
            each = _singular(text, used)
            loops.append(f"for {each} in {text}:")
            at, text = [child for one in at for child in one], each
            used.add(each)
            continue
        if part.isdecimal() and all(isinstance(one, _LISTS) and int(part) < len(one) for one in at):
            # From the end, as a reader would say it: there may be more layers in front.
            last = int(part) > 0 and all(int(part) == len(one) - 1 for one in at)
            at, text = [one[int(part)] for one in at], f"{text}[{-1 if last else part}]"
        elif part.isidentifier() and all(getattr(one, part, None) is not None for one in at):
            at, text = [getattr(one, part) for one in at], f"{text}.{part}"
        else:
            return _by_name(name, this, used)
    return tuple(loops), text


def _by_name(name: str, this: str, used: Collection[str]) -> tuple[tuple[str, ...], str]:
    before, star, _ = name.partition("*")
    behind = name.rpartition("*")[2]
    if not star:
        return (), f'{this}.get_parameter("{name}")'
    key, weight = _free("name", used), _free("weight", used)
    tests = [f'{key}.startswith("{before}")'] * bool(before) + [f'{key}.endswith("{behind}")'] * bool(behind)
    return (f"for {key}, {weight} in {this}.named_parameters():", f"if {' and '.join(tests)}:"), weight


def _singular(text: str, used: Collection[str]) -> str:
    last = text.rpartition(".")[2]
    plain = last.removesuffix("s") if last.isidentifier() and last.endswith("s") and len(last) > 2 else "layer"
    return _free(plain, used)


def _free(name: str, used: Collection[str]) -> str:
    return next(one for one in itertools.chain([name], (f"{name}_{n}" for n in itertools.count(2))) if one not in used)
