"""Arguments of the class or function that builds a model: as typed after ``--arg``, a configuration with defaults, or a file.

A value is a Python literal, ``Config(depth=4)`` with literals inside, of a class of the file, or else plain text;
``config.depth=4`` sets one field of a configuration. Nothing else of what is typed is evaluated.
"""

from __future__ import annotations

import ast
import copy
import dataclasses
import inspect
import re
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from steadygrad.errors import TargetError, UserCodeError
from steadygrad.subject.config_files import FileConfig, config_beside
from steadygrad.subject.given_config import given_config

_CONFIGS = re.compile(r"\w*(config|cfg|conf|args|hparams|hps?|params|options|opts?)", re.IGNORECASE)
_CONFIG_CLASSES = re.compile(r"\w*(Config|Cfg|Conf|Args|Arguments|HParams|Hyperparameters|Hyper|Params|Options)")


def arguments_for(
    callee: Any, name: str, module: ModuleType, typed: Mapping[str, str], told: list[str], config_at: str | None = None
) -> dict[str, Any]:
    """Typed arguments as values, and a configuration for each argument that wants one and was not given.

    ``config_at`` is where the user says that the configuration is; ``told`` gets a word on each that was found in a file.
    """
    given = {key: _value(key, text, module) for key, text in typed.items() if "." not in key}
    fields: dict[str, dict[str, Any]] = {}
    for key, text in typed.items():
        owner, dot, field = key.partition(".")
        if dot:
            fields.setdefault(owner, {})[field] = _value(key, text, module)
    if config_at is not None:
        given = {**_from_given(config_at, callee, name, module, fields, given), **given}
    for parameter in _parameters(callee):
        wanted = parameter.name in fields
        if parameter.name in given or (parameter.default is not parameter.empty and not wanted):
            continue
        kind = _config_class(parameter, module)
        config = _config_of(parameter, module)
        if config is not None:
            given[parameter.name] = replaced(config, fields.pop(parameter.name, {}))
        elif kind is not None:
            given[parameter.name] = _made(kind, fields.pop(parameter.name, {}))
        elif wanted and dataclasses.is_dataclass(parameter.default):
            given[parameter.name] = replaced(parameter.default, fields.pop(parameter.name))
        elif _CONFIGS.fullmatch(parameter.name) and (found := config_beside(module, parameter.name)):
            told.append(f"{parameter.name}: as in {found[0]} (--arg {parameter.name}.field=... sets a field)")
            given[parameter.name] = _from_file(parameter, module, {**found[1], **fields.pop(parameter.name, {})})
    for owner, values in fields.items():
        if owner not in given:
            field = next(iter(values))
            raise TargetError(
                f"{name} takes no configuration {owner!r}, so --arg {owner}.{field}=... has nothing to go to"
            )
        given[owner] = replaced(given[owner], values)
    return given


def missing(callee: Any, given: Mapping[str, Any], module: ModuleType) -> list[str]:
    """Names of the arguments that must be given and are neither given nor a configuration that can be made."""
    return [
        p.name
        for p in _parameters(callee)
        if p.default is p.empty
        and p.name not in given
        and _config_class(p, module) is None
        and _config_of(p, module) is None
    ]


def unknown(callee: Any, given: Mapping[str, Any]) -> list[str]:
    """Given ones that the callee does not take."""
    try:
        parameters = inspect.signature(callee).parameters
    except (TypeError, ValueError):
        return []
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return []
    return [word for word in given if word not in taken(callee)]


def taken(callee: Any) -> list[str]:
    """Names of all arguments."""
    return [p.name for p in _parameters(callee)]


def _parameters(callee: Any) -> list[inspect.Parameter]:
    try:
        parameters = inspect.signature(callee).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]


def _value(key: str, text: str, module: ModuleType) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        pass
    try:
        call = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return text
    if not isinstance(call, ast.Call):
        return text
    kind = getattr(module, call.func.id, None) if isinstance(call.func, ast.Name) else None
    if not isinstance(kind, type):
        raise TargetError(
            f"--arg {key}={text} does not call a class of {_place(module)}; name one, with plain values inside"
        )
    try:
        positional = [ast.literal_eval(value) for value in call.args]
        named = {word.arg: ast.literal_eval(word.value) for word in call.keywords if word.arg is not None}
    except (ValueError, SyntaxError):
        raise TargetError(
            f"cannot read --arg {key}={text}; give plain values, as in {kind.__name__}(depth=4, name='small')"
        ) from None
    return _made(kind, named, positional)


def _config_of(parameter: inspect.Parameter, module: ModuleType) -> Any:
    """The file's own object of that name, where the name is one of a configuration: ``args = parser.parse_args()``."""
    value = getattr(module, parameter.name, None)
    if _CONFIGS.fullmatch(parameter.name) is None or isinstance(value, (type, ModuleType)) or callable(value):
        return None
    return value if isinstance(value, Mapping) or hasattr(value, "__dict__") else None


def _config_class(parameter: inspect.Parameter, module: ModuleType) -> type | None:
    """The class of a configuration: by annotation, else the file's only one where the name of the argument says so."""
    wanted = parameter.annotation
    if isinstance(wanted, str):
        wanted = getattr(module, wanted.strip("'\""), None)
    if isinstance(wanted, type) and wanted.__module__ not in ("builtins", "typing") and _is_config(wanted):
        return wanted
    if parameter.annotation is not parameter.empty or _CONFIGS.fullmatch(parameter.name) is None:
        return None
    known = {id(v): v for v in vars(module).values() if isinstance(v, type) and _is_config(v)}
    own = [kind for kind in known.values() if kind.__module__ == module.__name__] or list(known.values())
    return own[0] if len(own) == 1 else None


def _from_given(
    config_at: str,
    callee: Any,
    name: str,
    module: ModuleType,
    fields: dict[str, dict[str, Any]],
    given: Mapping[str, Any],
) -> dict[str, Any]:
    """The configuration as the argument that takes one; as all arguments where its names are theirs."""
    parameters = _parameters(callee)
    needed = [p for p in parameters if p.default is p.empty and p.name not in given]
    wanted = [p for p in parameters if _CONFIGS.fullmatch(p.name) or _dataclass_of(p, module) is not None]
    if not wanted:
        values = given_config(config_at, None, {})
        if isinstance(values, Mapping) and values and set(values) <= {p.name for p in parameters}:
            return {str(key): values[key] for key in values}
        wanted = needed if len(needed) == 1 else []
    if not wanted:
        raise TargetError(
            f"{name} takes no configuration, so {config_at} has nothing to go to; it takes "
            f"{', '.join(taken(callee)) or 'nothing'}"
        )
    owner = wanted[0]
    own = fields.pop(owner.name, {})
    kind = _dataclass_of(owner, module)
    made = given_config(config_at, kind, own)
    if kind is not None and type(made) is FileConfig:
        return {owner.name: _made(kind, made)}
    # An object of a file of Python is as it is there.
    return {owner.name: made if isinstance(made, Mapping) else replaced(made, own)}


def _dataclass_of(parameter: inspect.Parameter, module: ModuleType) -> type | None:
    wanted = parameter.annotation
    if isinstance(wanted, str):
        wanted = getattr(module, wanted.strip("'\""), None)
    return wanted if isinstance(wanted, type) and dataclasses.is_dataclass(wanted) else None


def _from_file(parameter: inspect.Parameter, module: ModuleType, values: dict[str, Any]) -> Any:
    """Build the dataclass that the argument expects, else an object with access by key and by attribute."""
    wanted = _dataclass_of(parameter, module)
    return FileConfig(values) if wanted is None else _made(wanted, values)


def _is_config(kind: type) -> bool:
    """Return whether a class is a bundle of values that all have defaults."""
    if not (dataclasses.is_dataclass(kind) or _CONFIG_CLASSES.fullmatch(kind.__name__)):
        return False
    try:
        inspect.signature(kind).bind()
    except (TypeError, ValueError):
        return False
    return True


def _made(kind: type, named: Mapping[str, Any], positional: list[Any] | None = None) -> Any:
    wrong = unknown(kind, named)
    if wrong and not hasattr(kind, wrong[0]):
        raise TargetError(
            f"{kind.__name__} takes no argument {wrong[0]!r}; it takes {', '.join(taken(kind)) or 'none'}"
        )
    try:
        made = kind(*(positional or ()), **{key: value for key, value in named.items() if key not in wrong})
    except Exception as error:
        raise UserCodeError(f"{kind.__name__} raised this when it was built; fix it, or give other values") from error
    return replaced(made, {key: named[key] for key in wrong})


def replaced(config: Any, values: Mapping[str, Any]) -> Any:
    """A configuration with some fields set to other values; a plain dict or object is set in a copy of its own."""
    if not values:
        return config
    if isinstance(config, Mapping):
        return {**config, **values}
    wrong = next((field for field in values if not hasattr(config, field)), None)
    if wrong is not None:
        known = ", ".join(word for word in vars(config)) if hasattr(config, "__dict__") else ""
        raise TargetError(f"{type(config).__name__} has no {wrong!r}" + (f"; it has {known}" if known else ""))
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        return dataclasses.replace(config, **values)
    config = copy.copy(config)
    for field, value in values.items():
        setattr(config, field, value)
    return config


def _place(module: ModuleType) -> str:
    return getattr(module, "__file__", None) or module.__name__
