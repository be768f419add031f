"""Callbacks of trainers, and trackers. Each is a thin module over public names, and an optional extra.

``steadygrad.integrations.lightning``, ``transformers``: a callback that guards the trainer's optimizers. ``tensorboard``,
``wandb``, ``mlflow``, ``trackio``: a ``Tracker`` for ``guard(…, trackers=…)`` and for ``steadygrad export``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from steadygrad.errors import MissingPackageError, SettingsError

TRACKERS = ("tensorboard", "wandb", "mlflow", "trackio")
"""Modules here that have a ``Tracker``, ``new(into, name)``, which makes one for a run of the past, and ``beginning(place)``,
which gives what makes one for a run that begins."""


def optional(*modules: str, extra: str) -> Any:
    """The first of these modules that is there. Raises ``MissingPackageError``, which names the extra."""
    for name in modules:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise
    package = modules[0].partition(".")[0]
    raise MissingPackageError(f'{package} is not installed; next: pip install "steadygrad[{extra}]"')


def live(text: str) -> Callable[[], Any]:
    """Return what makes a tracker of a run that is beginning: "tensorboard:logs", "wandb", "mlflow:EXPERIMENT".

    Raises ``SettingsError`` for an unknown name, ``MissingPackageError`` where its package is not installed.
    """
    name, _, place = text.partition(":")
    if name not in TRACKERS:
        raise SettingsError(
            f"unknown tracker {name!r}; known are {', '.join(TRACKERS)}, as in --tracker tensorboard:logs"
        )
    made: Callable[[], Any] = importlib.import_module(f"{__name__}.{name}").beginning(place or None)
    return made


def __getattr__(name: str) -> Any:
    if name in (*TRACKERS, "lightning", "transformers"):
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
