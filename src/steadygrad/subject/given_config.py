"""``--config``: a file of YAML or JSON, or an object of a file of Python, as the configuration of a class or a function.

With omegaconf installed a file is an OmegaConf object, as Hydra hands it over; without it, plain values by key and as
attributes. Must not know what is built from it.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steadygrad.errors import MissingPackageError, TargetError, in_one_line
from steadygrad.subject.config_files import ENDINGS, read_config
from steadygrad.subject.loading import load_object


def given_config(text: str, kind: type | None, fields: Mapping[str, Any]) -> Any:
    """Read the configuration and set ``fields`` in it; ``kind`` is the dataclass that is expected, if any.

    Raises ``TargetError`` where it cannot be read, ``MissingPackageError`` where only omegaconf can read it.
    """
    path = Path(text)
    if path.suffix[1:] not in ENDINGS:
        made = load_object(text, "--config")
        return made() if isinstance(made, type) else made
    if not path.is_file():
        raise TargetError(f"no such configuration: {text}; check the path")
    try:
        values = _of_omegaconf(path, kind, fields) if importlib.util.find_spec("omegaconf") else _plain(path, fields)
    except (TargetError, MissingPackageError):
        raise
    except Exception as error:
        raise TargetError(f"cannot read the configuration {text} ({in_one_line(error)}); mend it there") from error
    return values


def _of_omegaconf(path: Path, kind: type | None, fields: Mapping[str, Any]) -> Any:
    omega: Any = importlib.import_module("omegaconf").OmegaConf
    read = omega.load(path)
    _refuse(path, read)
    if kind is not None and dataclasses.is_dataclass(kind):
        return omega.to_object(omega.merge(omega.structured(kind), read, dict(fields)))
    return omega.merge(read, dict(fields))


def _plain(path: Path, fields: Mapping[str, Any]) -> Any:
    if "${" in path.read_text(encoding="utf-8"):
        raise MissingPackageError(
            f"omegaconf is not installed, and {path} refers to values of its own by ${{…}}; "
            'next: pip install "steadygrad[config]"'
        )
    read: Any = read_config(path)
    _refuse(path, read)
    return type(read)({**read, **fields})


def _refuse(path: Path, read: Any) -> None:
    if not isinstance(read, Mapping):
        raise TargetError(f"{path} holds {type(read).__name__}, expected names with values")
    if "defaults" in read and not isinstance(read["defaults"], (str, int, float, Mapping)):
        raise TargetError(
            f"{path} has a defaults list, which only Hydra composes; give the composed file, as python train.py --cfg job "
            "prints it"
        )
