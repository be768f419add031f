"""``steadygrad activations``: what mean-field theory says of each activation."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import click

_CELLS = 7


@click.command(name="activations", short_help="A table of activations: derivatives, critical scales, depth scales.")
@click.argument("names", nargs=-1)
@click.option("--output-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(names: tuple[str, ...], output_format: str) -> None:
    """Tabulate NAMES (sigmoid, relu, ... or file.py:function for your own); all known ones without NAMES.

    φ′ rms and max: root mean square under N(0, 1), and greatest value, of the derivative. σ_w, σ_b: critical scales, at which
    the gradient neither shrinks nor grows while the variance stays at q: 1, or where σ_b is 0 (-: nowhere). Q′: slope of
    the variance map at q; above 1 a net leaves q, and "below" and "above" are where it ends from 0.9 q and 1.1 q. C′, depth:
    slope of the correlation map where a net of torch's default weights ends, and the layers over which it changes a
    gradient's square e-fold.
    """
    from steadygrad.theory.table import rows

    found = [_row(name) for name in names] or list(rows())
    if output_format == "json":
        bodies = [{key: _finite(value) for key, value in asdict(row).items()} for row in found]
        click.echo(json.dumps(bodies, indent=2, ensure_ascii=False))
        return
    widest = max(11, *(len(row.name) for row in found))
    heads = ("φ′ rms", "φ′ max", "σ_w", "σ_b", "q", "Q′", "below", "above", "C′", "depth")
    click.echo("activation".ljust(widest) + "".join(f"{head:>{_CELLS}s}" for head in heads)[1:])
    for row in found:
        values = (
            *(row.derivative_rms, row.derivative_max, row.critical_weight_std, row.critical_bias_std),
            *(row.critical_variance, row.variance_slope, row.from_below, row.from_above, row.slope, row.depth_scale),
        )
        click.echo(row.name.ljust(widest) + "".join(f"{_number(value):>{_CELLS}s}" for value in values)[1:])


def _row(name: str) -> Any:
    from steadygrad.errors import TargetError
    from steadygrad.theory.activations import ACTIVATIONS
    from steadygrad.theory.table import row_for, row_for_known

    if ":" not in name:
        known = row_for_known(name)
        if known is None:
            from steadygrad.written import nearest

            close = nearest(name, [activation.name for activation in ACTIVATIONS])
            hint = f"; did you mean {close}?" if close else "; name your own as file.py:function"
            raise TargetError(f"unknown activation {name!r}{hint}")
        return known
    from steadygrad.subject.loading import load_function, split

    try:
        return row_for(split(name)[1], _on_arrays(load_function(name, "activations")))
    except (ValueError, TypeError, RuntimeError, AttributeError) as error:
        raise TargetError(f"{name} is no elementwise function of a tensor or array: {error}") from None


def _on_arrays(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Call the user's function on arrays, whether it was written for tensors or for arrays."""
    import numpy as np

    try:
        if np.shape(function(np.zeros(2))) == (2,):
            return function
    except Exception:
        # One written for tensors may raise anything on an array; whether it takes a tensor is seen next.
        pass
    import torch

    def adapted(x: Any) -> Any:
        return np.asarray(function(torch.as_tensor(np.asarray(x, dtype=float))).detach().numpy())

    return adapted


def _number(value: float | None) -> str:
    if value is None or math.isnan(value):
        return "-"
    if math.isinf(value):
        return "inf"
    return f"{value:.3f}" if abs(value) < 1000 else f"{value:.2g}"


def _finite(value: Any) -> Any:
    return value if not isinstance(value, float) or math.isfinite(value) else str(value)
