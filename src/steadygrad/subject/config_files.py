"""A configuration that lies beside a file as JSON or YAML: what its model is built from, where nothing else gives it.

Read as plain values; nothing in it is evaluated. Must not know who asks.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from steadygrad.errors import TargetError, in_one_line

ENDINGS = ("json", "yaml", "yml")
LARGEST = 2**20
"""Bytes; what is larger is no configuration."""


class FileConfig(dict[str, Any]):
    """The values of a file, by key and as attributes."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(
                f"the configuration file has no {name!r}; it has {', '.join(map(str, self))}"
            ) from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value


def config_beside(module: ModuleType, argument: str) -> tuple[str, FileConfig] | None:
    """Name and values of a file in the module's folder that is called like the argument, "config" or like the module.

    Raises ``TargetError`` where it cannot be read.
    """
    source = getattr(module, "__file__", None)
    if source is None:
        return None
    stems = dict.fromkeys((argument, "config", Path(source).stem))
    found = [
        path for stem in stems for ending in ENDINGS if (path := Path(source).parent / f"{stem}.{ending}").is_file()
    ]
    if not found:
        return None
    path = found[0]
    try:
        values = read_config(path)
    except (OSError, ValueError, RecursionError) as error:
        raise TargetError(f"cannot read {path.name} for {argument} ({in_one_line(error)}); give --arg") from None
    return None if values is None else (path.name, values)


def read_config(path: Path) -> FileConfig | None:
    """Values of a file of JSON or YAML; None for what is no mapping, or too large for a configuration."""
    if path.stat().st_size > LARGEST:
        return None
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        read = json.loads(text)
    else:
        try:
            yaml: Any = importlib.import_module("yaml")
        except ImportError:
            raise TargetError(
                f'to read {path.name}, install PyYAML (pip install "steadygrad[config]"), or give --arg'
            ) from None
        try:
            read = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ValueError(str(error)) from None
    return _attributes(read) if isinstance(read, Mapping) else None


def _attributes(values: Any, known: dict[int, Any] | None = None) -> Any:
    """Mappings as ``FileConfig``, at any depth; what YAML repeats by an alias is made once."""
    known = {} if known is None else known
    if not isinstance(values, (Mapping, list)):
        return values
    if id(values) not in known:
        known[id(values)] = (
            FileConfig((key, _attributes(value, known)) for key, value in values.items())
            if isinstance(values, Mapping)
            else [_attributes(value, known) for value in values]
        )
    return known[id(values)]
