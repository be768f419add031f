"""Candidates for the model in a file: its objects, classes and builders, without losses and parts of another.

Knows modules and signatures; builds and runs nothing.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from types import CodeType, FunctionType, ModuleType
from typing import Any

from torch import nn

from steadygrad.torch_internals.held import Loss

_BUILDERS = re.compile(r"(build|make|create|get|load|init)_(\w+_)?(model|net|network|module)|build|model|net|setup")
_LOSS_NAMED = re.compile(r".*(Loss|Criterion)$")


def candidates(module: ModuleType) -> dict[str, Any]:
    """Module objects, module classes of the file and functions that build one, by name; no losses."""
    found: dict[str, Any] = {}
    losses = {type(value) for value in vars(module).values() if isinstance(value, nn.Module) and is_loss(value)}
    for name, value in vars(module).items():
        if name.startswith("_") or is_loss(value) or (isinstance(value, type) and value in losses):
            continue
        own = getattr(value, "__module__", None) == module.__name__
        if isinstance(value, nn.Module) or (
            own
            and (
                (isinstance(value, type) and issubclass(value, nn.Module))
                or (isinstance(value, FunctionType) and _builds(value))
            )
        ):
            found[name] = value
    return found


def roots(found: Mapping[str, Any]) -> list[str]:
    """Keep those that no other is made of, calls or inherits from; objects without parameters only where all are."""
    used = {name for candidate, value in found.items() for name in _uses(value, found) if name != candidate}
    remaining = [name for name in found if name not in used] or list(found)
    return [name for name in remaining if not _is_bare(found[name])] or remaining


def _is_bare(value: Any) -> bool:
    """Return whether it is a module that has nothing to train: a pooling, a transform of pictures."""
    return isinstance(value, nn.Module) and not any(True for _ in value.parameters())


def is_loss(value: Any) -> bool:
    """Return whether a module or a class of modules is a loss: torch's own, or one of (input, target) without parameters."""
    kind = value if isinstance(value, type) else type(value)
    if not issubclass(kind, nn.Module):
        return False
    if issubclass(kind, Loss) or kind.__module__ == "torch.nn.modules.loss":
        return True
    if not _takes_two(kind):
        return False
    if isinstance(value, nn.Module):
        return not any(True for _ in value.parameters())
    return _LOSS_NAMED.match(kind.__name__) is not None


def _takes_two(kind: type[nn.Module]) -> bool:
    try:
        parameters = list(inspect.signature(kind.forward).parameters.values())[1:]
    except (TypeError, ValueError):
        return False
    return len([p for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD]) == 2


def _builds(function: FunctionType) -> bool:
    returns = function.__annotations__.get("return")
    if isinstance(returns, type):
        return issubclass(returns, nn.Module)
    if isinstance(returns, str):
        return returns.split(".")[-1] == "Module"
    return _BUILDERS.fullmatch(function.__name__) is not None


def _uses(value: Any, found: Mapping[str, Any]) -> set[str]:
    """Names of the candidates that a candidate is made of, calls or inherits from."""
    if isinstance(value, nn.Module):
        inside = [*value.modules()]
        kinds = {type(item) for item in inside}
        children = {id(item) for item in inside[1:]}
        return {name for name, other in found.items() if id(other) in children or other in kinds}
    if isinstance(value, FunctionType):
        return _names(value.__code__) & set(found)
    methods = [item for item in vars(value).values() if isinstance(item, FunctionType)]
    bases = {name for name, other in found.items() if other is not value and other in value.__mro__}
    return bases.union(*(_names(method.__code__) & set(found) for method in methods))


def _names(code: CodeType) -> set[str]:
    return set(code.co_names).union(*(_names(inner) for inner in _inner(code)))


def _inner(code: CodeType) -> Iterator[CodeType]:
    return (constant for constant in code.co_consts if isinstance(constant, CodeType))
