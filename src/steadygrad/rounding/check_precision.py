"""A subject to its verdict at another precision: measure, train, judge. ``precision`` is the public function."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from steadygrad.clip import Clip
from steadygrad.clip.hook import hook_for
from steadygrad.copies.copying import unwrapped
from steadygrad.errors import SubjectError
from steadygrad.numerals import number
from steadygrad.probe.run_probe import probe_copy
from steadygrad.record.precision import HIGHER, PRECISIONS, OperationRounding, PrecisionRecord
from steadygrad.rounding.emulation import Site
from steadygrad.rounding.formats import RECIPES, Recipe
from steadygrad.rounding.judge import judged
from steadygrad.rounding.measure import Pass, Seen, cosine_of, decades_of, error_of, observed, one_pass
from steadygrad.rounding.search import Search
from steadygrad.rounding.training import fall_of, swallowed
from steadygrad.source.inferred_constructions import infer_constructions
from steadygrad.source.user_errors import raised_as_theirs, running_theirs
from steadygrad.subject.optimizers import OptimizerLike
from steadygrad.subject.subject import Subject, make_subject
from steadygrad.subject.with_copy import with_copy

STEPS = 30
TOLERANCE = 0.01

LEARNS = 0.02
"""Part of the loss that is gone after the steps, from which it can be said whether a rounded net follows."""

STORED = ("bf16", "fp16")
"""Formats in which whole models are stored, weights among them."""


class Rounded(PrecisionRecord):
    """The outcome of ``precision``. ``print(found)`` shows it as the terminal does."""

    def __str__(self) -> str:
        """Return the report as text."""
        from steadygrad.report.precision import render

        return render(self)


def precision(
    model: nn.Module,
    batch: Any = None,
    loss_fn: Callable[..., torch.Tensor] | None = None,
    *,
    to: str,
    optimizer: OptimizerLike = None,
    clip: Clip | str | None = None,
    seed: int = 0,
    steps: int = STEPS,
    tolerance: float = TOLERANCE,
) -> Rounded:
    """Say whether ``model`` trains at another precision, and which of its operations must stay higher.

    The operands of every matrix product and convolution are rounded bit for bit, in the forward and the backward pass, on
    copies of the model that take real steps of its optimizer.

    Args:
        model: As for ``check``; it is not changed.
        batch: As for ``check``.
        loss_fn: As for ``check``.
        to: The precision: "bf16", "fp16", "fp8", "mxfp8" or "nvfp4".
        optimizer: As for ``check``; it is not changed.
        clip: As for ``check``.
        seed: As for ``check``.
        steps: Steps of each training.
        tolerance: Part of the loss's fall that may be missing after them.

    Returns:
        What the format does to each operation, ``.kept`` with those that must stay higher, ``.modules`` with the paths of
        their modules, ``.loss_scale``, and ``.findings``.

    Raises:
        SteadygradError: No verdict is possible; the message says why.
        Exception: Whatever the model itself raises.

    Example:
        >>> import torch, steadygrad as sg
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 3))
        >>> batch = torch.randn(64, 8), torch.randint(0, 3, (64,))
        >>> found = sg.precision(model, batch, nn.functional.cross_entropy, to="bf16", optimizer="adam:1e-2")
        >>> found.as_it_is, len(found.operations)
        (True, 2)
    """
    with raised_as_theirs():
        subject = make_subject(model, batch, loss_fn, optimizer=optimizer, seed=seed, before_step=hook_for(clip))
        infer_constructions(unwrapped(model), sys._getframe(1))
        return precision_of(subject, to, steps=steps, tolerance=tolerance)


def precision_of(
    subject: Subject,
    to: str,
    *,
    steps: int = STEPS,
    tolerance: float = TOLERANCE,
    progress: Callable[[str], None] | None = None,
) -> Rounded:
    """``precision`` of a subject: what the command line shares."""
    if to not in PRECISIONS:
        raise SubjectError(f"the precision is {to!r}; give one of {', '.join(PRECISIONS)}")
    if steps < 1 or not 0 < tolerance < 1:
        raise SubjectError(
            f"steps is {steps} and tolerance {tolerance:g}; give 1 step or more, and a part between 0 and 1"
        )
    begun, recipe, say = time.monotonic(), RECIPES[to], progress or (lambda _: None)
    with running_theirs("the model, its loss or its optimizer raised this while it ran rounded"):
        found, plain, rounded, harms = _measured(subject, recipe, say)
        search = Search(subject, recipe, steps, tolerance, say)
        _refuse_what_does_not_learn(search.reference())
        search.measure_noise()
        ranked = sorted(found, key=lambda site: -harms[site])
        largest = max(seen.gradient.largest for seen in found.values())
        kept = search.kept(ranked, largest)
        updates = swallowed(subject, recipe.operand.element) if to in STORED else ()
        weights = search.weights(kept) if to in STORED else "as they are"
    operations = tuple(
        _operation(site, seen, plain, rounded, harms[site], site in kept) for site, seen in found.items()
    )
    return Rounded(
        target=subject.target or type(subject.model).__name__,
        precision=to,
        higher=HIGHER[to],
        optimizer=type(subject.optimizer).__name__,
        steps=steps,
        tolerance=tolerance,
        noise=search.noise,
        operations=operations,
        updates=updates,
        reference=search.reference(),
        trained=tuple(search.trained),
        loss_scale=search.loss_scale,
        weights=weights,
        unseen=plain.fused,
        findings=judged(to, operations, updates, search.trained, search.loss_scale, weights),
        seconds=time.monotonic() - begun,
    )


def _measured(
    subject: Subject, recipe: Recipe, say: Callable[[str], None]
) -> tuple[dict[Site, Seen], Pass, Pass, Mapping[Site, float]]:
    """The operations, the pass as it is, the rounded one, and the harm of each operation alone."""
    with with_copy(subject, optimizer=False) as run:
        probe_copy(run)  # Rounding shows nothing of a copy that computes with the original; the probe says so.
        plain, found = observed(run, recipe)
        if not found:
            fused = f"; {', '.join(plain.fused)} stay as they are" if plain.fused else ""
            raise SubjectError(f"the model multiplies no matrices that could be rounded{fused}")
        if not plain.gradients or not math.isfinite(error_of(plain.gradients, plain.gradients)):
            raise SubjectError("the gradients are zero or not finite before anything is rounded; run steadygrad check")
        rounded = one_pass(run, lambda _: recipe)
        harms: dict[Site, float] = {}
        for number_, site in enumerate(found, 1):
            say(f"operation {number_} of {len(found)} rounded alone")
            alone = one_pass(run, lambda one, site=site: recipe if one == site else None)  # type: ignore[misc]
            harms[site] = error_of(alone.gradients, plain.gradients)
    return found, plain, rounded, harms


def _refuse_what_does_not_learn(reference: tuple[float, ...]) -> None:
    fall = fall_of(reference)
    if not fall >= LEARNS:
        raise SubjectError(
            f"the loss goes from {number(reference[0])} to {number(reference[-1])} in {len(reference)} steps before anything is "
            "rounded, so nothing can be said of rounding; run steadygrad check, or take more steps"
        )


def _operation(site: Site, seen: Seen, plain: Pass, rounded: Pass, harm: float, kept: bool) -> OperationRounding:
    exact_one, rounded_one = plain.gradients.get(site.weight), rounded.gradients.get(site.weight)
    known = exact_one is not None and rounded_one is not None
    return OperationRounding(
        name=site.name,
        module=site.module,
        location=site.location,
        weight=site.weight,
        calls=seen.calls,
        first=seen.first.record(),
        second=seen.second.record(),
        gradient=seen.gradient.record(),
        harm=harm,
        weight_error=error_of({"": rounded_one}, {"": exact_one}) if known else math.nan,  # type: ignore[dict-item]
        weight_cosine=cosine_of(rounded_one, exact_one) if known else math.nan,  # type: ignore[arg-type]
        decades=decades_of(rounded.arrived.get(site, 0.0), plain.arrived.get(site, 0.0)),
        kept=kept,
    )
