"""Models of a library by name, with fresh weights: ``timm:resnet18``, ``hf:gpt2``, ``hf:folder/with/config.json``.

Nothing of a model but its configuration is ever fetched, and no code from a repository is run. Each library is imported where
it is named, with an error that names the extra.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from steadygrad.errors import MissingPackageError, TargetError, in_one_line
from steadygrad.written import nearest

_EXTRAS = {"timm": "timm", "hf": "transformers"}
_AUTO = (
    "AutoModelForMaskedLM",
    "AutoModelForCausalLM",
    "AutoModelForSeq2SeqLM",
    "AutoModelForImageClassification",
    "AutoModel",
)
"""Tried in this order where a configuration names no class: those with a head first."""


def is_named(text: str) -> bool:
    """Return whether a target is the name of a library's model."""
    return text.partition(":")[0] in _EXTRAS and ":" in text


def named_model(text: str, typed: Mapping[str, str]) -> nn.Module:
    """Build it; ``typed`` go to ``timm.create_model``, or into the configuration. Raises ``TargetError``."""
    library, _, name = text.partition(":")
    if not name:
        raise TargetError(f"{text} names no model; write it as timm:resnet18 or hf:gpt2")
    given = {key: _value(value) for key, value in typed.items()}
    package = _imported(_EXTRAS[library])
    try:
        made: nn.Module = (
            _of_timm(package, name, given) if library == "timm" else _of_transformers(package, name, given)
        )
    except TargetError:
        raise
    except Exception as error:
        raise TargetError(f"{text} cannot be built ({in_one_line(error)}); check its name and its --arg") from error
    return made


def _of_timm(timm: Any, name: str, given: dict[str, Any]) -> nn.Module:
    known = timm.list_models()
    if name.partition(".")[0] not in known:
        close = nearest(name, known)
        hint = f"did you mean timm:{close}?" if close else "timm.list_models() lists them"
        raise TargetError(f"timm has no model {name!r}; {hint}")
    model: nn.Module = timm.create_model(name, pretrained=False, **given)
    return model


def _of_transformers(transformers: Any, name: str, given: dict[str, Any]) -> nn.Module:
    types = importlib.import_module("transformers.models.auto.configuration_auto").CONFIG_MAPPING
    if not Path(name).is_dir() and name in types:
        config = transformers.AutoConfig.for_model(name, **given)
    else:
        try:
            config = transformers.AutoConfig.from_pretrained(name, trust_remote_code=False, **given)
        except OSError as error:
            close = nearest(name, types)
            hint = f"did you mean hf:{close}?" if close else "name a type, such as hf:gpt2, or a folder"
            raise TargetError(
                f"{name!r} is no model type of transformers and no folder with a config.json, and none can be fetched; {hint}"
            ) from error
    own = getattr(transformers, next(iter(config.architectures or ()), ""), None)
    if own is not None:
        model: nn.Module = own(config)
        return model
    for auto in _AUTO:
        try:
            model = getattr(transformers, auto).from_config(config, trust_remote_code=False)
        except ValueError as error:
            if "Unrecognized configuration class" not in str(error):
                raise
        else:
            return model
    raise TargetError(f"transformers has no model for the configuration of {name}; build it in a function")


def _imported(package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise TargetError(f"{package} cannot be imported ({in_one_line(error)}); install what it needs") from error
    except Exception as error:
        raise TargetError(f"{package} cannot be imported ({in_one_line(error)}); mend its installation") from error
    raise MissingPackageError(f'{package} is not installed; next: pip install "steadygrad[{package}]"')


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
