"""A family of growing depth to its check: build, measure each, fit, judge, train. ``scale_depth`` is the public function."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from steadygrad.copies.randomness import same_randomness
from steadygrad.errors import SubjectError
from steadygrad.record.depth import DepthRecord, LayerScale
from steadygrad.scaling import as_code, deepen, parameters
from steadygrad.scaling.as_code import Powers
from steadygrad.scaling.family import family, measured
from steadygrad.scaling.judge_depth import judged
from steadygrad.scaling.laws import law
from steadygrad.scaling.layers import Deep, Pattern, mean_update, measure_deep, of_pattern, repeated, stream
from steadygrad.scaling.limit import limit_of
from steadygrad.scaling.transfer import check_large, with_transfer
from steadygrad.source.spans import recording_constructions
from steadygrad.source.user_errors import raised_as_theirs, running_theirs
from steadygrad.subject.optimizers import OptimizerLike
from steadygrad.subject.subject import Subject

STEPS = 1
SEEDS = 2
SECONDS = 60.0


class DepthScaled(DepthRecord):
    """The outcome of ``scale_depth``. ``print(found)`` shows it as the terminal does; a notebook draws it."""

    def __str__(self) -> str:
        """Return the report as text."""
        from steadygrad.report.depth import render

        return render(self)

    def _repr_html_(self) -> str:
        from steadygrad.report.scale_page import fragment

        return fragment(self)

    def initialise_(self, model: nn.Module, depth: int) -> None:
        """Scale the ends of the branches of ``model`` for its ``depth``, in place; the least depth stays as it is.

        Args:
            model: A model of the family, as it was built.
            depth: Its depth.
        """
        parameters.initialise_(model, self._factors(depth))

    def groups(self, model: nn.Module, depth: int, lr: float) -> list[dict[str, Any]]:
        """Return the parameter groups of an optimizer, each with the learning rate that its weights need at this depth.

        Args:
            model: A model of the family. It is not changed.
            depth: Its depth.
            lr: The learning rate that is right at the least depth.

        Returns:
            ``[{"params": [...], "lr": ...}, ...]``, for the optimizer's constructor.
        """
        return parameters.groups(model, self._factors(depth), lr)

    def as_code(self) -> str:
        """Return the cure as the text of a module: ``initialise_`` and ``groups`` for any depth. The module needs torch alone."""
        depths = ", ".join(str(depth) for depth in self.depths)
        measured = f"{self.target} at {self.argument} = {depths}, {self.optimizer}"
        return as_code.module(self.argument, self.depths[0], self.powers(), {}, measured)

    def powers(self) -> dict[str, Powers]:
        """Return the powers of depth ÷ least depth for the start and the rate of each end of a branch, * for its number."""
        ends = [one.pattern for one in self.layers if one.ends_branch]
        return {pattern: deepen.powers(self, pattern.replace("*", "0")) for pattern in ends}

    def _factors(self, depth: int) -> parameters.Factors:
        return parameters.factors_of(partial(deepen.powers, self), depth / self.depths[0])


def scale_depth(
    build: Callable[[int], nn.Module],
    depths: Sequence[int],
    batch: Any = None,
    loss_fn: Callable[..., torch.Tensor] | None = None,
    *,
    optimizer: OptimizerLike = None,
    argument: str = "depth",
    seeds: int = SEEDS,
    seconds: float = SECONDS,
    prove_at: int | None = None,
) -> DepthScaled:
    """Measure what grows from layer to layer, and at which depth a family of models stops training.

    Args:
        build: Function of a depth that builds the model.
        depths: At least two depths, such as ``(4, 8, 16, 32)``.
        batch: As for ``check``; the same for every depth.
        loss_fn: As for ``check``.
        optimizer: The optimizer in words, "adam:1e-3", or a function that makes one from parameters. None: AdamW at 1e-3.
        argument: The name of what grows, for the report.
        seeds: Models of each depth.
        seconds: Time for short trainings that find the depth at which it stops training. 0: none.
        prove_at: A large depth, as for ``scale``: does the best rate of the shallowest model serve one of this depth?

    Returns:
        The laws of activations, gradients, spread and updates, what is off in ``findings``, the ``limit``, for nets with
        skips the cure as numbers: ``initialise_`` and ``groups``, and with ``prove_at`` the sweeps of rates in ``transfer``.

    Raises:
        SteadygradError: The family cannot be measured; the message says why.
        Exception: Whatever the models themselves raise.

    Example:
        >>> import torch, steadygrad as sg
        >>> from torch import nn
        >>> def build(depth: int) -> nn.Module:
        ...     layers = [module for _ in range(depth) for module in (nn.Linear(16, 16), nn.Sigmoid())]
        ...     return nn.Sequential(nn.Linear(8, 16), *layers, nn.Linear(16, 2))
        >>> batch = torch.randn(32, 8), torch.randint(0, 2, (32,))
        >>> found = sg.scale_depth(build, (2, 4, 8), batch, nn.functional.cross_entropy, seconds=0)
        >>> found.gradient.kind, found.gradient.value < -0.5
        ('exponential', True)
    """
    member = family(build, batch, loss_fn, optimizer)
    with raised_as_theirs(), same_randomness(), recording_constructions():
        return depth_of(member, depths, argument, seeds=seeds, seconds=seconds, prove_at=prove_at)


def depth_of(
    member: Callable[[int, int], Subject],
    depths: Sequence[int],
    argument: str,
    *,
    target: str = "",
    seeds: int = SEEDS,
    seconds: float = SECONDS,
    prove_at: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> DepthScaled:
    """``scale_depth`` of a family whose members, by depth and seed, are subjects: what the command line shares."""
    depths = tuple(sorted(set(depths)))
    if len(depths) < 2 or depths[0] < 1 or seeds < 1 or seconds < 0:
        raise SubjectError(
            "give at least two depths above 0, one or more seeds, and no seconds below 0, as in depths=(4, 8, 16)"
        )
    check_large(prove_at, depths[0], argument)
    say = progress or (lambda _: None)
    begun = time.monotonic()
    found = measured(member, depths, seeds, lambda one: measure_deep(one, STEPS), say, argument)
    at = found.at
    patterns = repeated(at[0][0], at[-1][0])
    if not patterns:
        raise SubjectError(f"{argument} adds no weights; name an argument that makes the model deeper")
    along = [[stream(one, _names(one, patterns)) for one in members] for members in at]
    activations, gradient, spread, change = (
        law(depths, [[getattr(one, quantity) for one in members] for members in along])
        for quantity in ("activations", "gradient", "spread", "change")
    )
    layers = tuple(_layers(at, depths, patterns))
    limit = None
    if seconds:
        with running_theirs("the model, its loss or its optimizer raised this while it was trained"):
            limit = limit_of(member, depths, (activations, gradient, spread), seconds=seconds, progress_of=say)
    residual = any(one.ends_branch for one in layers)
    scaled = DepthScaled(
        target=target or found.model,
        argument=argument,
        depths=depths,
        steps=STEPS,
        seeds=seeds,
        optimizer=found.optimizer,
        adaptive=found.adaptive,
        activations=activations,
        gradient=gradient,
        spread=spread,
        change=change,
        layers=layers,
        residual=residual,
        limit=limit,
        findings=judged(activations, gradient, spread, change, layers, limit, depths, argument, residual=residual),
        seconds=time.monotonic() - begun,
    )
    return with_transfer(scaled, member, depths[0], prove_at, partial(deepen.powers, scaled), say=say)


def _names(member: Deep, patterns: Iterable[Pattern]) -> list[str]:
    return [name for pattern in patterns for name in of_pattern(member, pattern)]


def _layers(at: Sequence[Sequence[Deep]], depths: Sequence[int], patterns: Sequence[Pattern]) -> Iterable[LayerScale]:
    for pattern in patterns:
        names = of_pattern(at[-1][0], pattern)
        values = [[mean_update(one, of_pattern(one, pattern)) for one in members] for members in at]
        if all(math.isnan(value) for found in values for value in found):
            continue
        yield LayerScale(
            pattern[0],
            next((place for name in names if (place := at[-1][0].locations.get(name)) is not None), None),
            bool(at[-1][0].ends & set(names)),
            law(depths, values),
        )
