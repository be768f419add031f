"""Folded initialisation: a plain sigmoid net of a thousand layers that trains, by numbers only."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from steadygrad._check import check_subject
from steadygrad.cures import fold
from steadygrad.cures.editable_copy import editable_copy_of
from steadygrad.lab import Curve, Outcome, Panel, experiment, mean_reading
from steadygrad.lab.training import GUESSING, blobs, descend, plain, rounded
from steadygrad.numerals import number
from steadygrad.report.profile import levels
from steadygrad.subject.subject import make_subject

WIDTH = 32


@experiment(
    quick={"depth": 100, "steps": 40},
    refuted={"rate": 10.0},
    limits={"depth": (5, 2000), "rate": (1e-6, 100.0), "steps": (10, 5000), "nets": (2, 20)},
    choices={"activation": ("sigmoid", "tanh", "relu", "gelu", "elu")},
    order=130,
)
def folded(
    *, depth: int = 1000, activation: str = "sigmoid", rate: float = 0.01, steps: int = 80, nets: int = 3
) -> Outcome:
    """A plain sigmoid net of a thousand layers trains once its weights and biases are folded; nothing else is changed.

    ## Claim

    A plain net of any depth can begin where neither signal nor gradient is lost: every pre-activation with the scale and
    mean at which the whole net's correlation map has the slope 1.5, orthogonal weights, same modules, same activations.

    ## Source

    Martens et al. 2021 (arXiv:2110.01765), section 7; Zhang et al. 2022 (arXiv:2203.08120); there the activation is changed,
    here the same shift and scale are folded into weights and biases.

    ## Measurement

    The probe's decades from the loss to the input before and after folding, exact at any depth; then Adam at rate ÷ depth
    on four Gaussian classes from both starts, all else alike: loss at the end ÷ that of guessing.

    ## Refuted by

    A folded net that loses decades or does not learn, or one with torch's default weights that does as well. With rate 10
    it is refuted: folding does not make every learning rate a good one.

    ## Parameters

    - depth: hidden layers
    - activation: the function
    - rate: learning rate × depth
    - steps: steps of each training
    - nets: nets, each on data of its own
    """
    kinds = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU, "gelu": nn.GELU, "elu": nn.ELU}
    lost: dict[str, list[float]] = {"default": [], "folded": []}
    ends: dict[str, list[float]] = {"default": [], "folded": []}
    curves: dict[str, list[list[float]]] = {"default": [], "folded": []}
    profiles: dict[str, list[float]] = {}
    for _ in range(nets):
        data = blobs(128)
        net = plain(depth, WIDTH, kinds[activation])
        subject = make_subject(
            net, data, F.cross_entropy, optimizer=torch.optim.Adam(net.parameters(), lr=rate / depth)
        )
        report = check_subject(subject, trial=0)
        copy = editable_copy_of(subject, report.trace)
        (candidate,) = fold.propose(copy, report)
        fold.apply_(copy, candidate.edits[0])
        for name, model in (("default", net), ("folded", copy.model)):
            optimizer = torch.optim.Adam(model.parameters(), lr=rate / depth)
            trunk = check_subject(make_subject(model, data, F.cross_entropy, optimizer=optimizer), trial=0).trace.trunk
            assert trunk is not None
            lost[name].append(trunk.decades)
            profiles[name] = levels(trunk)
            losses = descend(model, [data] * steps, optimizer)
            curves[name].append(losses)
            ends[name].append(rounded(losses, 5) / GUESSING)
    every = tuple(map(float, range(steps)))
    return Outcome(
        readings=(
            mean_reading(
                f"gradient at the input of {depth} {activation} layers, default",
                lost["default"],
                unit="decades",
                greatest=-0.05 * depth,
            ),
            mean_reading("the same, folded", lost["folded"], unit="decades", least=-3.0, greatest=3.0),
            mean_reading(f"loss after {steps} steps ÷ that of guessing, default", ends["default"], least=0.9),
            mean_reading("the same, folded", ends["folded"], greatest=0.6),
        ),
        figures=(
            Panel(
                "Gradient from the loss to the input",
                "steps of the trunk",
                "log10 norm",
                tuple(Curve(name, tuple(map(float, range(len(one)))), tuple(one)) for name, one in profiles.items()),
            ),
            Panel(
                f"Training at {depth} layers, mean over nets",
                "step",
                "cross-entropy",
                tuple(Curve(name, every, tuple(torch.tensor(runs).mean(0).tolist())) for name, runs in curves.items()),
            ),
        ),
        seen=f"{number(sum(lost['default']) / nets)} decades become {number(sum(lost['folded']) / nets)}; the folded nets end at "
        f"{number(sum(ends['folded']) / nets)} of the loss of guessing.",
    )
