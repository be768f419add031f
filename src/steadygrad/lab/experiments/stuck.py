"""Where gradients are small, updates are small and the loss is flat."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

from steadygrad.lab import Curve, Outcome, Panel, experiment, mean_reading
from steadygrad.lab.training import GUESSING, blobs, descend, matrices, plain, rounded
from steadygrad.numerals import number

SHALLOW = 1
"""Hidden layers of the twin whose gradient arrives."""


@experiment(
    quick={"nets": 4, "steps": 200},
    refuted={"optimizer": "adam"},
    limits={"depth": (2, 60), "width": (4, 256), "rate": (1e-6, 10.0), "steps": (20, 20000), "nets": (2, 100)},
    choices={"optimizer": ("sgd", "adam")},
    order=20,
)
def stuck(
    *, depth: int = 10, width: int = 32, optimizer: str = "sgd", rate: float = 0.5, steps: int = 1000, nets: int = 10
) -> Outcome:
    """Small gradients make small updates, and small updates a flat loss.

    ## Claim

    Gradient descent moves a weight by rate × gradient. Where the gradient has vanished the first layers stay where they
    were drawn, what comes out of them is noise to the others, and the loss stays at that of guessing.

    ## Source

    Hochreiter 1991; Bengio, Simard and Frasconi 1994; Glorot and Bengio 2010, section 4.2.

    ## Measurement

    Plain sigmoid nets with torch's default weights on four Gaussian classes: the first layer's way through all steps ÷ its
    norm, the slope of log update on log gradient over the layers in the first step, and the loss at the end ÷ that of
    guessing, beside a net of one hidden layer trained alike.

    ## Refuted by

    First layers that move although their gradient has vanished, or a loss that falls all the same. With optimizer adam it is
    refuted: an optimizer that divides by the gradient's size moves every layer.

    ## Parameters

    - depth: hidden layers
    - width: units of a layer
    - optimizer: sgd, or adam, which is free of the gradient's scale
    - rate: learning rate
    - steps: steps of each training, on the whole of the data
    - nets: nets, each on data of its own
    """
    moved, slopes, deep, shallow, profiles = [], [], [], [], []
    for _ in range(nets):
        # In float32 an update of 1e-9 of a weight is rounded away; what is claimed is about smaller ones too.
        data = blobs(256)
        data = data[0].double(), data[1]
        net = plain(depth, width, nn.Sigmoid).double()
        profiles.append(_first_step(net, data, optimizer, rate))
        gradients, updates = profiles[-1]
        slopes.append(_slope(gradients, updates))
        first = matrices(net)[0].detach()
        before = first.clone()
        deep.append(descend(net, [data] * steps, _optimizer(net, optimizer, rate)))
        moved.append(math.log10(max(1e-30, float((first - before).norm() / before.norm()))))
        twin = plain(SHALLOW, width, nn.Sigmoid).double()
        shallow.append(descend(twin, [data] * steps, _optimizer(twin, optimizer, rate)))
    middle = [torch.tensor([one[side] for one in profiles]).mean(0) for side in (0, 1)]
    layers = tuple(float(number) for number in range(1, depth + 2))
    every = tuple(float(step) for step in range(0, steps, max(1, steps // 100)))
    curves = [torch.tensor(losses).mean(0) for losses in (deep, shallow)]
    return Outcome(
        readings=(
            mean_reading(
                "first layer's way through the training ÷ its norm, log10", moved, unit="decades", greatest=-2.0
            ),
            mean_reading("slope of log update on log gradient over the layers", slopes, least=0.9, greatest=1.1),
            mean_reading("loss at the end ÷ that of guessing", [rounded(one) / GUESSING for one in deep], least=0.95),
            mean_reading(
                f"the same with {SHALLOW} hidden layer", [rounded(one) / GUESSING for one in shallow], greatest=0.5
            ),
        ),
        figures=(
            Panel(
                "First step: log10, layer by layer",
                "layer",
                "decades",
                (
                    Curve("gradient", layers, tuple(middle[0].tolist())),
                    Curve("update ÷ weight", layers, tuple(middle[1].tolist())),
                ),
            ),
            Panel(
                "Loss, mean over the nets",
                "step",
                "cross-entropy",
                tuple(
                    Curve(name, every, tuple(float(losses[int(step)]) for step in every))
                    for name, losses in ((f"{depth} hidden layers", curves[0]), (f"{SHALLOW} hidden layer", curves[1]))
                ),
            ),
        ),
        seen=f"The first layer's gradient is {number(abs(float(middle[0][0] - middle[0][-1])))} decades below the last one's.",
    )


def _optimizer(net: nn.Module, name: str, rate: float) -> torch.optim.Optimizer:
    if name == "adam":
        return torch.optim.Adam(net.parameters(), lr=rate)
    return torch.optim.SGD(net.parameters(), lr=rate)


def _first_step(
    net: nn.Sequential, data: tuple[torch.Tensor, torch.Tensor], optimizer: str, rate: float
) -> tuple[list[float], list[float]]:
    """log10 gradient norm and log10 update ÷ weight of each matrix in one step, which is taken back."""
    weights = matrices(net)
    before = [weight.detach().clone() for weight in weights]
    state = {key: value.clone() for key, value in net.state_dict().items()}
    step = _optimizer(net, optimizer, rate)
    F.cross_entropy(net(data[0]), data[1]).backward()  # type: ignore[no-untyped-call]
    gradients = [_log10(weight.grad.norm()) for weight in weights if weight.grad is not None]
    step.step()
    updates = [_log10((weight.detach() - old).norm() / old.norm()) for weight, old in zip(weights, before, strict=True)]
    net.load_state_dict(state)
    return gradients, updates


def _log10(value: torch.Tensor) -> float:
    return math.log10(max(1e-300, float(value)))


def _slope(x: list[float], y: list[float]) -> float:
    a, b = torch.tensor(x, dtype=torch.float64), torch.tensor(y, dtype=torch.float64)
    a = a - a.mean()
    return float((a * b).sum() / a.square().sum())
