"""Number formats: at which size of the gradient fp16, bf16 and float32 lose it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from steadygrad.lab import Curve, Outcome, Panel, Reading, experiment, mean_reading
from steadygrad.lab.training import blobs, plain
from steadygrad.numerals import percent

WIDTH = 32

FORMATS = {"fp16": torch.float16, "bf16": torch.bfloat16, "float32": torch.float32}

# The smallest number above 0 of each format, IEEE 754-2019 (binary16, binary32) and bfloat16 as truncated binary32.
SMALLEST = {"fp16": -24 * math.log10(2), "bf16": -133 * math.log10(2), "float32": -149 * math.log10(2)}

FLUSHED = {"bf16": 7 * math.log10(2.0)}
"""Decades between the smallest normal number and the smallest of all, where a processor may flush what lies between."""


@experiment(
    quick={"nets": 8},
    refuted={"depth": 4},
    limits={"depth": (2, 120), "nets": (2, 100), "loss_scale": (0, 40)},
    order=140,
)
def precision(*, depth: int = 70, nets: int = 30, loss_scale: int = 0) -> Outcome:
    """A number format loses the gradient at its smallest number: fp16 first by far, bf16 almost as late as float32.

    ## Claim

    What is below half of a format's smallest number is rounded to 0: 2^−24 in fp16, 2^−133 in bf16, 2^−149 in float32.
    Processors whose own bf16 instructions take denormals for 0 lose it up to 7 binary digits earlier, from 2^−126 down. A
    gradient that shrinks layer by layer is exactly 0 from there on, first in fp16; bf16 keeps float32's range and loses
    digits instead. Multiplying the loss moves the place.

    ## Source

    Micikevicius et al. 2018 (arXiv:1710.03740), section 3.2 and figure 3; IEEE 754-2019; Kalamkar et al. 2019
    (arXiv:1905.12322); Intel's Architecture Instruction Set Extensions reference, VDPBF16PS (denormals are zero).

    ## Measurement

    One deep sigmoid net, the same numbers in four formats. The gradient of each layer's output: how much of it is exactly 0,
    and how large it is in float64 where half of it is 0, beside half the format's smallest number.

    ## Refuted by

    A format that loses the gradient elsewhere than at its smallest number, or does not lose it at all. With depth 4 it is
    refuted: nothing gets that small.

    ## Parameters

    - depth: hidden layers
    - nets: nets
    - loss_scale: the loss is multiplied by 2 to this power
    """
    shares: dict[str, list[Tensor]] = {name: [] for name in FORMATS}
    sizes = []
    for _ in range(nets):
        net = plain(depth, WIDTH, nn.Sigmoid).double()
        x, y = blobs(32)
        exact = _gradients(net, x.double(), y, loss_scale)
        sizes.append(torch.tensor([_log10(one.abs().median()) for one in exact]))
        for name, dtype in FORMATS.items():
            found = _gradients(_copy(net, depth, dtype), x.to(dtype), y, loss_scale)
            shares[name].append(torch.tensor([float((one == 0).double().mean()) for one in found]))
    readings: list[Reading] = []
    for name in FORMATS:
        gone = [float(share[0]) for share in shares[name]]
        readings.append(mean_reading(f"{name}, share of the first layer's gradient that is 0", gone, least=0.5))
        lost = [_size_where_half_is_lost(share, size) for share, size in zip(shares[name], sizes, strict=True)]
        known = [size - SMALLEST[name] - math.log10(0.5) for size in lost if size is not None]
        if len(known) > 1:
            what = f"{name}, size of the gradient where half of it is lost ÷ half the smallest number, log10"
            greatest = 1.0 + FLUSHED.get(name, 0.0)
            readings.append(mean_reading(what, known, unit="decades", least=-1.0, greatest=greatest))
    lowest = min(*SMALLEST.values(), *(float(one.min()) for one in sizes))
    layers = tuple(float(number) for number in range(1, depth + 1))
    size = torch.stack(sizes).mean(0)
    return Outcome(
        readings=tuple(readings),
        figures=(
            Panel(
                "Share of the gradient that is exactly 0",
                "layer",
                "share",
                tuple(Curve(name, layers, tuple(torch.stack(one).mean(0).tolist())) for name, one in shares.items()),
                y_range=(0.0, 1.0),
            ),
            Panel(
                "Size of the gradient in float64, and what formats can hold",
                "layer",
                "log10",
                (
                    Curve("median of the gradient", layers, tuple(size.tolist())),
                    *(
                        Curve(f"{name}'s smallest", layers, (SMALLEST[name],) * depth, style="dashed")
                        for name in FORMATS
                    ),
                ),
                # Room below for the names.
                y_range=(1.4 * lowest, 2.0),
            ),
        ),
        seen="Of the first layer's gradient "
        + ", ".join(f"{percent(float(torch.stack(one).mean(0)[0]))} is 0 in {name}" for name, one in shares.items())
        + ".",
    )


def _copy(net: nn.Sequential, depth: int, dtype: torch.dtype) -> nn.Sequential:
    copy = plain(depth, WIDTH, nn.Sigmoid)
    copy.load_state_dict(net.state_dict())
    return copy.to(dtype)


def _gradients(net: nn.Sequential, x: Tensor, y: Tensor, loss_scale: int) -> list[Tensor]:
    """The loss's gradient at each hidden layer's output, first layer first."""
    outputs, state = [], x
    for module in net:
        state = module(state)
        if isinstance(module, nn.Sigmoid):
            outputs.append(state)
    loss = F.cross_entropy(state, y) * 2.0**loss_scale
    return [one.double() for one in torch.autograd.grad(loss, outputs)]


def _log10(value: Tensor) -> float:
    return math.log10(max(1e-300, float(value)))


def _size_where_half_is_lost(share: Tensor, size: Tensor) -> float | None:
    """log10 size of the gradient between the last layer of which half or more is 0 and the next; None = there is none."""
    lost = (share >= 0.5).nonzero().flatten()
    if len(lost) == 0 or int(lost[-1]) + 1 >= len(share):
        return None
    at = int(lost[-1])
    return float(size[at] + size[at + 1]) / 2
