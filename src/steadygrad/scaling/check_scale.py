"""A family of models to its coordinate check: build, measure each, fit, judge. ``scale`` is the public function."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from steadygrad.copies.randomness import same_randomness
from steadygrad.errors import SubjectError
from steadygrad.record.scale import AttentionScale, Exponent, ScaleRecord, WeightScale
from steadygrad.scaling import as_code, parameters, parametrise
from steadygrad.scaling.as_code import Powers
from steadygrad.scaling.family import family, measured
from steadygrad.scaling.fit import exponent
from steadygrad.scaling.judge import judged
from steadygrad.scaling.member import Member, Use, measure
from steadygrad.scaling.transfer import check_large, with_transfer
from steadygrad.source.spans import recording_constructions
from steadygrad.source.user_errors import raised_as_theirs
from steadygrad.subject.optimizers import OptimizerLike
from steadygrad.subject.subject import Subject

STEPS = 3
SEEDS = 2


class Scaled(ScaleRecord):
    """The outcome of ``scale``. ``print(found)`` shows it as the terminal does; a notebook draws it."""

    def __str__(self) -> str:
        """Return the report as text."""
        from steadygrad.report.scale import render

        return render(self)

    def _repr_html_(self) -> str:
        from steadygrad.report.scale_page import fragment

        return fragment(self)

    def initialise_(self, model: nn.Module, size: int) -> None:
        """Scale the start of each weight of ``model`` for its ``size``, in place; the smallest size stays as it is.

        What is tied needs a multiplier beside it, see ``multipliers``.

        Args:
            model: A model of the family, as it was built.
            size: Its size.
        """
        parameters.initialise_(model, self._factors(size))

    def groups(self, model: nn.Module, size: int, lr: float) -> list[dict[str, Any]]:
        """Return the parameter groups of an optimizer, each with the learning rate that its weights need at this size.

        Args:
            model: A model of the family. It is not changed.
            size: Its size.
            lr: The learning rate that is right at the smallest size.

        Returns:
            ``[{"params": [...], "lr": ...}, ...]``, for the optimizer's constructor.
        """
        return parameters.groups(model, self._factors(size), lr)

    def multipliers(self, size: int) -> dict[str, float]:
        """Return the numbers that no start and no rate can stand for, by the weight: where one embeds and reads out.

        Args:
            size: The size of the model.

        Returns:
            For each such weight the factor of the logits that it makes; empty where no weight is tied.
        """
        return {name: (size / self.sizes[0]) ** power for name, power in parametrise.multipliers(self).items()}

    def as_code(self) -> str:
        """Return the cure as the text of a module: ``initialise_`` and ``groups`` for any size. The module needs torch alone."""
        sizes = ", ".join(str(size) for size in self.sizes)
        measured = f"{self.target} at {self.argument} = {sizes}, {self.optimizer}"
        return as_code.module(self.argument, self.sizes[0], self.powers(), parametrise.multipliers(self), measured)

    def powers(self) -> dict[str, Powers]:
        """Return the powers of size ÷ smallest size for the start and the rate of each weight that was measured."""
        names = dict.fromkeys(one.name for one in self.weights)
        return {name: parametrise.powers(self, name) for name in names}

    def _factors(self, size: int) -> parameters.Factors:
        return parameters.factors_of(partial(parametrise.powers, self), size / self.sizes[0])


def scale(
    build: Callable[[int], nn.Module],
    sizes: Sequence[int],
    batch: Any = None,
    loss_fn: Callable[..., torch.Tensor] | None = None,
    *,
    optimizer: OptimizerLike = None,
    argument: str = "width",
    steps: int = STEPS,
    seeds: int = SEEDS,
    prove_at: int | None = None,
) -> Scaled:
    """Measure how outputs and updates grow when the model does, before the large one is trained.

    Args:
        build: Function of a size that builds the model.
        sizes: At least two sizes, such as ``(64, 128, 256)``.
        batch: As for ``check``; the same for every size.
        loss_fn: As for ``check``.
        optimizer: The optimizer in words, "adam:1e-3", or a function that makes one from parameters. None: AdamW at 1e-3.
        argument: The name of what grows, for the report.
        steps: Real steps before the updates are measured.
        seeds: Models of each size.
        prove_at: A large size. The smallest model and this one, without and with the cure, are trained at rates around the
            optimizer's own, a hundred steps each: does the best rate of the smallest serve the large one? None: no training.

    Returns:
        For each weight the exponents of its output and of its update, what is off and why in ``findings``, the cure as
        numbers: ``initialise_`` and ``groups``, and with ``prove_at`` the sweeps of rates in ``transfer``.

    Raises:
        SteadygradError: The family cannot be measured; the message says why.
        Exception: Whatever the models themselves raise.

    Example:
        >>> import torch, steadygrad as sg
        >>> from torch import nn
        >>> def build(width: int) -> nn.Module:
        ...     return nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 2))
        >>> batch = torch.randn(32, 8), torch.randint(0, 2, (32,))
        >>> found = sg.scale(build, (64, 128, 256), batch, nn.functional.cross_entropy, optimizer="adam:1e-3")
        >>> sorted(one.weights for one in found.findings if one.kind == "rate")
        [('2.weight',), ('4.weight',)]
        >>> model = build(1024)
        >>> found.initialise_(model, 1024)
        >>> optimizer = torch.optim.Adam(found.groups(model, 1024, lr=1e-3))
    """
    member = family(build, batch, loss_fn, optimizer)
    with raised_as_theirs(), same_randomness(), recording_constructions():
        return scale_of(member, sizes, argument, steps=steps, seeds=seeds, prove_at=prove_at)


def scale_of(
    member: Callable[[int, int], Subject],
    sizes: Sequence[int],
    argument: str,
    *,
    target: str = "",
    steps: int = STEPS,
    seeds: int = SEEDS,
    prove_at: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> Scaled:
    """``scale`` of a family whose members, by size and seed, are subjects: what the command line shares."""
    sizes = tuple(sorted(set(sizes)))
    if len(sizes) < 2 or sizes[0] < 1 or steps < 1 or seeds < 1:
        raise SubjectError(
            "give at least two sizes above 0, and one or more steps and seeds, as in sizes=(64, 128, 256)"
        )
    check_large(prove_at, sizes[0], argument)
    begun, say = time.monotonic(), progress or (lambda _: None)
    found = measured(member, sizes, seeds, lambda one: measure(one, steps), say, argument)
    at, adaptive = found.at, found.adaptive
    _refuse_other_weights(at, sizes, argument)
    weights, attentions = tuple(_weights(at, sizes)), tuple(_attentions(at, sizes))
    if all(one.role == "fixed" for one in weights) and not at[0][0].computed:
        raise SubjectError(f"{argument} changes the shape of no weight; name an argument that makes the model wider")
    scaled = Scaled(
        target=target or found.model,
        argument=argument,
        sizes=sizes,
        steps=steps,
        seeds=seeds,
        optimizer=found.optimizer,
        adaptive=adaptive,
        weights=weights,
        attentions=attentions,
        findings=judged(weights, attentions, sizes, argument, adaptive=adaptive),
        computed=at[0][0].computed,
        seconds=time.monotonic() - begun,
    )
    without = () if prove_at is None else scaled.multipliers(prove_at)
    powers = partial(parametrise.powers, scaled)
    return with_transfer(scaled, member, sizes[0], prove_at, powers, without=without, say=say)


def _refuse_other_weights(at: Sequence[Sequence[Member]], sizes: Sequence[int], argument: str) -> None:
    first = set(at[0][0].names)
    for size, members in zip(sizes, at, strict=True):
        for one in members:
            if other := sorted(first ^ set(one.names)):
                raise SubjectError(
                    f"the models of {argument} {sizes[0]} and {size} train different weights ({', '.join(other[:2])}); name an "
                    "argument that makes the model wider, not deeper"
                )


def _weights(at: Sequence[Sequence[Member]], sizes: Sequence[int]) -> Iterable[WeightScale]:
    """Every use; one that some members lack, as of an expert that no sample went to, has what the others give."""
    for key in dict.fromkeys(key for members in at for one in members for key in one.uses):
        using = [[one.uses[key] for one in members if key in one.uses] for members in at]
        known = [uses[0] for uses in using if uses]

        def power(quantity: str, using: list[list[Use]] = using) -> Exponent:
            return exponent(sizes, [[getattr(one, quantity) for one in uses] for uses in using])

        yield WeightScale(
            *key,
            _role(known[0], known[-1]),
            known[0].location,
            power("output"),
            power("gain"),
            power("gradient"),
            power("update"),
            power("relative"),
        )


def _role(smallest: Use, largest: Use) -> str:
    grown = [pair for pair in zip(smallest.shape, largest.shape, strict=True) if pair[1] > pair[0]]
    if not grown:
        return "fixed"
    if sum(size > 1 for size in largest.shape) == 1:
        return "vector"
    if len(grown) > 1:
        return "hidden"
    # Of what a layer gives, the number of samples may grow as well, as of those that go to an expert.
    return "input" if grown[0] in zip(smallest.given, largest.given, strict=False) else "output"


def _attentions(at: Sequence[Sequence[Member]], sizes: Sequence[int]) -> Iterable[AttentionScale]:
    counts = {len(one.attentions) for members in at for one in members}
    for number in range(min(counts)):
        first = at[0][0].attentions[number]
        yield AttentionScale(
            first.queries,
            first.packed,
            first.location,
            tuple(members[0].attentions[number].size for members in at),
            exponent(sizes, [[one.attentions[number].logits for one in members] for members in at]),
        )
