"""steadygrad finds where and why gradients vanish or explode in a PyTorch model. Public names, resolved when first used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from steadygrad.version import __version__

if TYPE_CHECKING:
    from steadygrad import integrations, lab
    from steadygrad._check import Report, check
    from steadygrad._fix.apply import Fixed
    from steadygrad._fix.fix import fix
    from steadygrad._fix.growth import ScalePatch
    from steadygrad._fix.scale_patch import scale_patch
    from steadygrad._guard.attach import guard
    from steadygrad._guard.guard import Guard
    from steadygrad.act.on_alarm import OnAlarm
    from steadygrad.clip import (
        Clip,
        QuantileState,
        ZScoreState,
        clip_adaptive_,
        clip_norm_,
        clip_per_parameter_,
        clip_quantile_,
        clip_value_,
        clip_zscore_,
    )
    from steadygrad.cures.cured import Cured
    from steadygrad.cures.learning_rate import find_lr
    from steadygrad.cures.plan import cure
    from steadygrad.cures.rate_search import RateSearch
    from steadygrad.errors import SteadygradError, TrainingStopped
    from steadygrad.proof import Proof, prove
    from steadygrad.record import Alarm, Evidence, Finding, Location, Severity, Verdict
    from steadygrad.rounding.check_precision import Rounded, precision
    from steadygrad.scaling.check_depth import DepthScaled, scale_depth
    from steadygrad.scaling.check_scale import Scaled, scale

_HOME = {
    "check": "steadygrad._check",
    "Report": "steadygrad._check",
    "Clip": "steadygrad.clip",
    "QuantileState": "steadygrad.clip",
    "ZScoreState": "steadygrad.clip",
    "clip_adaptive_": "steadygrad.clip",
    "clip_norm_": "steadygrad.clip",
    "clip_per_parameter_": "steadygrad.clip",
    "clip_quantile_": "steadygrad.clip",
    "clip_value_": "steadygrad.clip",
    "clip_zscore_": "steadygrad.clip",
    "Cured": "steadygrad.cures.cured",
    "cure": "steadygrad.cures.plan",
    "find_lr": "steadygrad.cures.learning_rate",
    "RateSearch": "steadygrad.cures.rate_search",
    "Rounded": "steadygrad.rounding.check_precision",
    "precision": "steadygrad.rounding.check_precision",
    "DepthScaled": "steadygrad.scaling.check_depth",
    "scale_depth": "steadygrad.scaling.check_depth",
    "Scaled": "steadygrad.scaling.check_scale",
    "scale": "steadygrad.scaling.check_scale",
    "Proof": "steadygrad.proof",
    "prove": "steadygrad.proof",
    "Fixed": "steadygrad._fix.apply",
    "fix": "steadygrad._fix.fix",
    "ScalePatch": "steadygrad._fix.growth",
    "scale_patch": "steadygrad._fix.scale_patch",
    "SteadygradError": "steadygrad.errors",
    "TrainingStopped": "steadygrad.errors",
    "Guard": "steadygrad._guard.guard",
    "guard": "steadygrad._guard.attach",
    "OnAlarm": "steadygrad.act.on_alarm",
    "Alarm": "steadygrad.record",
    "Evidence": "steadygrad.record",
    "Finding": "steadygrad.record",
    "Location": "steadygrad.record",
    "Severity": "steadygrad.record",
    "Verdict": "steadygrad.record",
}

__all__ = [
    "Alarm",
    "Clip",
    "Cured",
    "DepthScaled",
    "Evidence",
    "Finding",
    "Fixed",
    "Guard",
    "Location",
    "OnAlarm",
    "Proof",
    "QuantileState",
    "RateSearch",
    "Rounded",
    "ScalePatch",
    "Scaled",
    "Report",
    "Severity",
    "SteadygradError",
    "TrainingStopped",
    "Verdict",
    "ZScoreState",
    "__version__",
    "check",
    "clip_adaptive_",
    "clip_norm_",
    "clip_per_parameter_",
    "clip_quantile_",
    "clip_value_",
    "clip_zscore_",
    "cure",
    "find_lr",
    "fix",
    "guard",
    "integrations",
    "lab",
    "precision",
    "prove",
    "scale",
    "scale_depth",
    "scale_patch",
]


_ROOMS = ("lab", "integrations")
"""Parts that are reached whole: ``sg.lab.experiment``."""


def __getattr__(name: str) -> Any:
    if name not in _HOME and name not in _ROOMS:
        raise AttributeError(f"module 'steadygrad' has no attribute {name!r}")
    import importlib

    if name in _ROOMS:
        return importlib.import_module(f"steadygrad.{name}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
