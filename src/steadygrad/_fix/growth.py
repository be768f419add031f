"""The cure of ``steadygrad scale`` as a patch of the user's files, proven in a fresh process. Nothing is written here.

The constructor, of a class or a function, ends with the start of each weight as a function of its own argument. Beside it
stands ``parameter_groups``, which knows the rates, and the optimizer of the same file is given what that makes.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any

from torch import nn

from steadygrad._fix import growth_optimizer, growth_rows, names
from steadygrad._fix.growth_rows import MARK
from steadygrad._fix.save import diff_of, refuse_generated, write_files
from steadygrad._fix.source import Source, libcst
from steadygrad._fix.training import function_around, target_file
from steadygrad._fix.verify_growth import prove
from steadygrad.errors import CannotFixError
from steadygrad.scaling.as_code import numbered
from steadygrad.scaling.check_depth import DepthScaled
from steadygrad.scaling.check_scale import Scaled
from steadygrad.scaling.parametrise import multipliers
from steadygrad.subject.loading import import_place, named, split
from steadygrad.subject.named_models import is_named
from steadygrad.subject.target import load_target

Options = Callable[[int], Mapping[str, Any]]
"""The plain options of the member of a size."""


DISPLAY = "display only: "
BY_FILE = "--write cure.py gives the cure as a module of your own"


@dataclass(frozen=True)
class ScalePatch:
    """A proven patch. Nothing is written before ``write()``."""

    sources: tuple[Source, ...]
    told: tuple[str, ...]
    """The parts of the cure that belong to none of the files, and what to do with them."""
    words: str
    """What it was seen to do."""

    def diff(self) -> str:
        """The patch as a unified diff that ``patch -p1`` takes."""
        return "".join(diff_of(source) for source in self.sources)

    def write(self, *, allow_dirty: bool = False) -> list[str]:
        """Write every file of the patch, all or none; gives a line for each. Raises ``OutputError`` as ``fix`` does."""
        return write_files(self.sources, allow_dirty=allow_dirty)


@dataclass(frozen=True)
class _Grown:
    """What grows, as the patch says it."""

    argument: str
    sizes: tuple[int, ...]
    ratio: str
    """The name of the attribute that holds size ÷ smallest size."""
    starts: dict[str, float]
    rates: dict[str, float]

    @property
    def field(self) -> str:
        return self.argument.rpartition(".")[2]


def patch_of(found: Scaled | DepthScaled, target: str, options: Options) -> ScalePatch:
    """The cure of ``found`` in the source of ``target``. Raises ``CannotFixError`` where it cannot be written or does not hold.

    Args:
        found: What was measured.
        target: The text that it was loaded from.
        options: Its plain options at each size that was measured.
    """
    libcst()
    told = list(_told(found))
    grown = _grown(found, told)
    if is_named(target):
        raise CannotFixError(f"{target} is a library's, so its source is left as it is; {BY_FILE}")
    given = options(grown.sizes[0])
    typed = dict(text.partition("=")[::2] for text in given["arguments"])
    loaded = load_target(target, typed, seed=given["seed"], config=given["config"])
    place, name = split(loaded.words)
    value = named(import_place(place), name, place)
    code, method = _constructor(value, name), isinstance(value, type)
    source = Source.own(code.co_filename)
    refuse_generated(source)
    files = [source]
    if method and (path := target_file(target).resolve()) != source.path and path.is_file():
        files.append(Source.own(path))
    written = _class if method else _function
    groups = written(source, code, loaded.model, grown)
    if grown.rates:
        at = f"{grown.field} = {grown.sizes[0]}"
        made = growth_optimizer.Made(name.rpartition(".")[2], found.optimizer, at, method)
        told += growth_optimizer.patch(files, made, groups, code)
    changed = tuple(one for one in files if one.splices)
    texts = {one.path: one.patched_bytes for one in changed}
    ends = (grown.sizes[0], grown.sizes[-1])
    members = {size: options(size) for size in ends}
    prove(texts, target, members, found.as_code(), source.path, groups if grown.rates else "", method=method)
    words = (
        f"safe patch: built in a fresh process at {found.argument} = {ends[0]} and {ends[1]}, each weight starts and each rate "
        "is as the cure has it"
    )
    return ScalePatch(changed, tuple(told), words)


def _grown(found: Scaled | DepthScaled, told: Sequence[str]) -> _Grown:
    """What the patch is to say. Raises ``CannotFixError`` where that is nothing."""
    if found.stable:
        raise CannotFixError(f"nothing to patch: nothing grows with {found.argument}")
    powers = numbered(found.powers())
    if not powers:
        left = "; ".join(one.removeprefix(DISPLAY) for one in told) or "see the help of each finding"
        raise CannotFixError(f"no start and no rate of a weight is left to write; {left}")
    sizes, ratio = (found.sizes, "width_ratio") if isinstance(found, Scaled) else (found.depths, "depth_ratio")
    return _Grown(
        found.argument,
        sizes,
        ratio,
        {name: start for name, (start, _) in powers.items() if start},
        {name: rate for name, (_, rate) in powers.items() if rate},
    )


def _told(found: Scaled | DepthScaled) -> list[str]:
    """What of the cure no start and no rate stands for."""
    if isinstance(found, DepthScaled):
        if found.residual:
            return []
        return ["a net without skips has none for every depth; steadygrad cure folds it or gives it skips"]
    told = [
        f"{DISPLAY}in forward multiply the logits that {name} makes by ({found.argument} / {found.sizes[0]}) ** {power:g}"
        for name, (power, _) in numbered({name: (power, 0.0) for name, power in multipliers(found).items()}).items()
    ]
    if found.computed:
        more = f" and {len(found.computed) - 1} more" if found.computed[1:] else ""
        told.append(f"{DISPLAY}left as it was: {found.computed[0]}{more}; a layer's weight is computed from them")
    return told


def _constructor(value: Any, name: str) -> CodeType:
    """The code that ends with a complete model."""
    if isinstance(value, type) and issubclass(value, nn.Module):
        made, missing = vars(value).get("__init__"), "has no __init__ of its own to patch"
    else:
        made, missing = value, "is neither a class nor a function, so it has no constructor to patch"
    function: Any = None if made is None else inspect.unwrap(made)
    if not isinstance(function, FunctionType):
        raise CannotFixError(f"{name} {missing}; {BY_FILE}")
    if made is value and not function.__qualname__.isidentifier():
        raise CannotFixError(f"{name} is no function of the file's own level; {BY_FILE}")
    return function.__code__


def _size(source: Source, node: Any, code: CodeType, argument: str) -> str:
    """The expression by which the constructor reads its size. Raises ``CannotFixError`` where no argument of its own has it."""
    owner, dot, field = argument.partition(".")
    count = code.co_argcount + code.co_kwonlyargcount
    if owner not in code.co_varnames[:count]:
        raise CannotFixError(f"{code.co_qualname} has no argument {owner} of its own to compute with; {BY_FILE}")
    if not dot:
        return owner
    key = re.search(rf"\b{owner}\[(['\"]){field}\1\]", source.code(node))
    return key[0] if key else argument


def _refuse_patched(source: Source, node: Any, words: str) -> None:
    if MARK in source.code(node):
        raise CannotFixError(
            f"{words} has a patch of {MARK} already; take that out first, or measure with the optimizer that it makes"
        )


def _block(
    source: Source, node: Any, code: CodeType, model: nn.Module, grown: _Grown, this: str
) -> tuple[list[str], str]:
    """The rows that end the constructor, and the attribute that they set."""
    # The user's own attribute of that name stays what it is.
    ratio = f"measured_{grown.ratio}" if hasattr(model, grown.ratio) else grown.ratio
    size = _size(source, node, code, grown.argument)
    what = " and ".join(["starts"] * bool(grown.starts) + ["rates"] * bool(grown.rates))
    torch = names.torch(source) if grown.starts else ""
    return [
        f"# {MARK}: {what} for any {grown.field}; {grown.sizes[0]} stays as it is.",
        f"{this}.{ratio} = {size} / {grown.sizes[0]}",
        *growth_rows.starts(model, grown.starts, this, f"{this}.{ratio}", torch, code.co_varnames),
    ], ratio


def _class(source: Source, code: CodeType, model: nn.Module, grown: _Grown) -> str:
    """The end of ``__init__``, and a method behind it, whose name is given back."""
    kind, node, this = type(model), source.definition(code), code.co_varnames[0]
    home = source.parent(source.parent(node))
    _refuse_patched(source, home, kind.__name__)
    if grown.rates and hasattr(kind, "parameter_groups"):
        raise CannotFixError(f"{kind.__name__} has a method parameter_groups already; {BY_FILE}")
    if _returns(source, node):
        raise CannotFixError(f"{code.co_qualname} returns before its end; {BY_FILE}")
    start, end = source.spans[node.body.body[-1]]
    rows, ratio = _block(source, node, code, model, grown, this)
    text = source.lines(*rows, indent=source.indent_of(start)).split(source.newline)
    if grown.rates:
        typed = " " if node.returns is not None else ""
        words = (grown.field, grown.sizes[0])
        method = growth_rows.groups("parameter_groups", grown.rates, words, "self", f"self.{ratio}", typed=typed)
        text += ["", *source.lines(*method, indent=source.indent_of(source.spans[node][0])).split(source.newline)]
    source.insert_lines(source.line_end(end - 1), *text)
    return "parameter_groups"


def _function(source: Source, code: CodeType, model: nn.Module, grown: _Grown) -> str:
    """The end of a function, around the model that it returns, and a function behind it, whose name is given back."""
    cst = libcst()
    node = source.definition(code)
    _refuse_patched(source, node, code.co_name)
    found = _returns(source, node)
    if len(found) != 1 or found[0].value is None:
        raise CannotFixError(f"{code.co_name} returns a model in {len(found)} places, one is expected; {BY_FILE}")
    value = _model_in(source, found[0].value)
    start, end = source.spans[source.parent(found[0])]
    whole = value is found[0].value
    this = source.code(value) if isinstance(value, cst.Name) else _unused("model", code)
    rows, ratio = _block(source, node, code, model, grown, this)
    indent = source.indent_of(start)
    text = source.lines(*rows, indent=indent)
    if isinstance(value, cst.Name):
        at = growth_optimizer.before_optimizer(source, node, this) or start
        source.insert_lines(at - len(indent), *text.split(source.newline))
    elif whole:
        source.splice(start, start + len("return"), f"{this} =")
        source.insert_lines(source.line_end(end - 1), *text.split(source.newline), f"{indent}return {this}")
    else:
        source.insert_lines(start - len(indent), f"{indent}{this} = {source.code(value)}", *text.split(source.newline))
        source.replace(value, this)
    groups = names.free(source, "parameter_groups")
    if grown.rates:
        words = (grown.field, grown.sizes[0])
        typed = f"{names.nn(source)}.Module" if node.returns is not None else ""
        rows = growth_rows.groups(groups, grown.rates, words, "model", f"model.{ratio}", typed=typed)
        behind = source.line_end(source.spans[node][1] - 1)
        source.insert_lines(behind, "", "", *source.lines(*rows).split(source.newline))
    return groups


def _unused(name: str, code: CodeType) -> str:
    return name if name not in code.co_varnames else f"{name}_to_scale"


def _model_in(source: Source, value: Any) -> Any:
    """The expression of the model in what a function returns: all of it, the first of a tuple, or under its key."""
    cst = libcst()
    if isinstance(value, (cst.Tuple, cst.List)) and value.elements:
        return value.elements[0].value
    if isinstance(value, cst.Dict):
        for element in value.elements:
            if isinstance(element, cst.DictElement) and source.code(element.key).strip("'\"") in ("model", "net"):
                return element.value
    return value


def _returns(source: Source, node: Any) -> list[Any]:
    """The return statements of a function, less those of functions in it."""
    cst = libcst()
    return [one for one in source.spans if isinstance(one, cst.Return) and function_around(source, one) is node]
