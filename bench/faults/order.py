"""Faults of which it is known by construction what shows first, and when: the batch, the forward pass, the loss, the gradient,
the optimizer's averages, the weights or the rate. The guard's first sign is compared with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import torch
from torch import Tensor
from torch.nn import functional as F

import steadygrad
from bench.faults import losses, spikes, updates
from bench.faults.fault import AT, adam, bent, weights_of
from bench.faults.sick import FAULTS as CLASSIC
from bench.faults.training import Net, Script

KINDS = ("batch", "forward", "loss", "gradient", "moments", "weights", "rate")


@dataclass(frozen=True)
class Case:
    """A script, and its first sign."""

    make: Callable[[], Script]
    kind: str
    step: int = AT
    tolerance: int = 0
    where: str = ""
    """A part of what the sign must name as its place; "" = not asked for."""


@dataclass(frozen=True)
class Told:
    """The first sign that the guard told."""

    name: str
    kind: str
    step: int
    where: str
    words: str
    """The alarm's own line about it."""
    code: str

    @property
    def right(self) -> bool:
        case = CASES[self.name]
        return self.kind == case.kind and abs(self.step - case.step) <= case.tolerance and case.where in self.where


def steeper(factor: float) -> Callable[[Tensor], Tensor]:
    """The same value, and a gradient that is ``factor`` times as large: as a custom backward pass with a mistake."""
    return lambda h: h * factor - (h * (factor - 1)).detach()


def broken_backward(h: Tensor) -> Tensor:
    """The same value, and a gradient of NaN where a unit is off: the root's slope at zero."""
    return h + 0 * (h * (h > 0)).sqrt()


def hooked(layer: int, factor: float) -> Callable[[], Script]:
    """A hook on one weight multiplies its gradient from that step on."""

    def make() -> Script:
        model = Net()

        def before(step: int) -> None:
            if step == AT:
                model.layers[layer].weight.register_hook(lambda gradient: gradient * factor)

        return Script(model, adam(model), AT + 50, before=before)

    return make


def masked_loss() -> Script:
    """A mean over nobody: the output is well, the loss is 0 ÷ 0."""
    return CLASSIC["empty-mask"].make()


def other_loss() -> Script:
    """From one step on, another reduction: the sum instead of the mean, a hundred times over."""
    model, now = Net(), [0]

    def loss(output: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(output, y) if now[0] < AT else 100 * F.cross_entropy(output, y, reduction="sum")

    return Script(model, adam(model), AT + 50, loss=loss, before=lambda step: now.__setitem__(0, step))


CASES: dict[str, Case] = {
    "batch-times-10000": Case(lambda: spikes.spiking("mlp", AT), "batch"),
    "batch-times-10000-early": Case(lambda: spikes.spiking("mlp", 20), "batch", 20),
    "batch-of-nan": Case(losses.FAULTS["nan-batch"].make, "batch"),
    "one-nan-in-batch": Case(CLASSIC["nan-in-batch"].make, "batch"),
    "one-feature-in-another-unit": Case(losses.FAULTS["other-unit"].make, "batch"),
    "batch-in-accumulation": Case(lambda: spikes.spiking("mlp", AT, "accumulated"), "batch"),
    "batch-in-convolutions": Case(lambda: spikes.spiking("conv", 60), "batch", 60),
    "layer-output-times-3000": Case(bent(2, lambda h: h * 3000), "forward", where="layers.2"),
    "layer-output-times-100-early": Case(bent(3, lambda h: h * 100, 60), "forward", 60, where="layers.3"),
    "layer-divides-by-zero": Case(bent(2, lambda h: h / (h - h)), "forward", where="layers.2"),
    "layer-output-plus-10000": Case(bent(1, lambda h: h + 1e4), "forward", where="layers.1"),
    "loss-times-1000": Case(losses.scaled_loss(1e3, AT), "loss"),
    "loss-of-nobody": Case(masked_loss, "loss"),
    "loss-summed": Case(other_loss, "loss"),
    "loss-back-to-size": Case(losses.loss_back_to_size, "loss", losses.STALE_FROM),
    "gradient-times-10000": Case(bent(2, steeper(1e4)), "gradient", where="layers.2"),
    "gradient-of-nan": Case(bent(3, broken_backward), "gradient", where="layers.3"),
    "gradient-by-a-hook": Case(hooked(4, 1e4), "gradient", where="layers.4"),
    "averages-of-squares-wiped": Case(updates.averages(updates.wipe), "moments"),
    "averages-a-thousandfold": Case(updates.averages(updates.swell), "moments"),
    "averages-wiped-early": Case(updates.averages(updates.wipe, 120), "moments", 120),
    "layer-times-60": Case(CLASSIC["corrupted-weights"].make, "weights", where="layers.3"),
    "all-weights-nan": Case(updates.FAULTS["all-weights-nan"].make, "weights"),
    "bit-flip": Case(CLASSIC["bit-flip"].make, "weights", where="layers.1"),
    "bias-overwritten": Case(
        weights_of(lambda model: model.layers[2].bias.sub_(torch.linspace(-1e4, 1e4, 32))), "weights", where="layers.2"
    ),
    "rate-times-3000": Case(updates.rate_leap(3000), "rate"),
    "rate-times-300": Case(updates.rate_leap(300, 120), "rate", 120),
    "rate-times-3000-early": Case(updates.rate_leap(3000, 20), "rate", 20),
}


def examine(name: str) -> Told:
    """Run it, guarded at default settings."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    script = CASES[name].make()
    guard = steadygrad.guard(script.model, script.optimizer, say=lambda line: None)
    script.run(fingerprints=False)
    guard.detach()
    alarms = [alarm for alarm in guard.alarms if alarm.severity != "info"]
    if not alarms:
        return Told(name, "-", 0, "", "no alarm", "-")
    signs = sorted(getattr(alarms[0], "signs", ()), key=lambda sign: sign.step)
    words = getattr(alarms[0], "first_sign", "") or alarms[0].cause or alarms[0].message
    if not signs:
        return Told(name, "-", 0, "", words, alarms[0].code)
    return Told(name, str(signs[0].kind), signs[0].step, str(signs[0].where), words, alarms[0].code)


def show(names: Sequence[str], *, workers: int = 1) -> int:
    """A line for each; gives how many are wrong."""
    print(
        f"{'fault':29s} {'truth':9s} {'step':>5s}   {'told':9s} {'step':>5s} {'where':18s} {'code':6s} {'':6s} first sign"
    )
    right: dict[str, list[bool]] = {}
    with ProcessPoolExecutor(max_workers=workers, mp_context=get_context("spawn")) as pool:
        for told in pool.map(examine, names):
            case = CASES[told.name]
            right.setdefault(case.kind, []).append(told.right)
            word = "right" if told.right else "WRONG"
            print(
                f"{told.name:29s} {case.kind:9s} {case.step:5d}   {told.kind:9s} {told.step:5d} {told.where:18s} "
                f"{told.code:6s} {word:6s} {told.words[:80]}",
                flush=True,
            )
    for kind in KINDS:
        if kind in right:
            print(f"{kind:9s} {sum(right[kind])} of {len(right[kind])}")
    good, all_ = sum(map(sum, right.values())), sum(map(len, right.values()))
    print(f"the first sign is right in {good} of {all_}")
    return all_ - good
