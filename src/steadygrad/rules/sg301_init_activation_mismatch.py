"""The scale of the weights does not suit the activation behind them, layer after layer.

## What it measures

The variance gain of the weights of each linear or convolutional layer on the trunk, and of each product with a parameter
there, beside the gain that the activation behind it needs:

    measured σ_w² = fan-in × mean(w²)        needed σ_w²: the critical one, where σ_w² E[φ′(√q z)²] = 1, z ~ N(0, 1)

(2 for ReLU, 1 for tanh and between two linear layers). q is the variance at which a net stays: 0 for tanh, 46 for the
sigmoid, else the first from 1 upwards from which the net does not run off (Q′ ≤ 1; 4 for GELU, whose needed σ_w² is 1.98).
A layer with the ratio r = measured ÷ needed adds ½ |log10 r| decades to the loss or gain. The finding is raised where the
gradient vanishes or explodes on the trunk and mismatched layers explain a good part of the decades. It takes the place of
SG101 or SG201 and their severity. A model that learns in the step test gets no finding, with one exception on one batch.
There the finding is an error where the median layer's variance is 10 times too large or more and the gradient gains 3
decades, even if the steps learn the batch: such a net learns one batch by heart and no more. On one batch it is also an
error where a hundred steps teach nothing and 9.5 decades are lost (SG101).

A layer whose output is normalised has no scale of its own and does not count. In a layer of your own the finding marks the
`nn.Parameter(…)` of its weights, if steadygrad loads the file. Weights that are all zero are marked at the call of
`nn.init.zeros_` or `nn.init.constant_` that writes them, if steadygrad loads the file or runs the program.

## Why it matters

The factor is the same in every layer, so it compounds. `nn.Linear` draws from U(-1/√fan-in, 1/√fan-in). This gives
σ_w² = 1/3, a sixth of what a ReLU needs: invisible in three layers, fatal in thirty. The forward signal shrinks by the
same factor as the gradient, until only the biases are left and every sample looks alike.

## Example

Xavier's variance of 1/fan-in in front of ReLU: it halves the second moment in each of 40 layers:

```python
import torch
from torch import nn


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.ModuleList(nn.Linear(64, 64) for _ in range(40))
        self.head = nn.Linear(64, 10)
        for fc in self.hidden:
            nn.init.xavier_normal_(fc.weight)

    def forward(self, x):
        for fc in self.hidden:
            x = torch.relu(fc(x))
            #              ^^^^^ SG301
        return self.head(x)


def setup():
    torch.manual_seed(0)
    x = torch.randn(128, 64)
    y = (x @ torch.randn(64, 10)).argmax(1)
    model = Plain()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return model, (x, y), nn.functional.cross_entropy, optimizer
```

## Use instead

He's initialisation, made for ReLU:

```python
import torch
from torch import nn


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.ModuleList(nn.Linear(64, 64) for _ in range(40))
        self.head = nn.Linear(64, 10)
        for fc in self.hidden:
            nn.init.kaiming_normal_(fc.weight, nonlinearity="relu")

    def forward(self, x):
        for fc in self.hidden:
            x = torch.relu(fc(x))
        return self.head(x)


def setup():
    torch.manual_seed(0)
    x = torch.randn(128, 64)
    y = (x @ torch.randn(64, 10)).argmax(1)
    model = Plain()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return model, (x, y), nn.functional.cross_entropy, optimizer
```

## Cures and their safety

- *The initialisation that the activation asks for* (He for ReLU and kin; Xavier or orthogonal for tanh; LeCun for SELU):
  changes numbers only: same modules, same `state_dict` keys. Initialise before training: it discards trained weights.
- *Folded initialisation* (weights and biases fitted on one batch): the same, and it holds to far greater depth.
- *Batch norm before the activation*: new parameters; sets the scale whatever the weights are. Beyond some tens of layers
  it needs skips (SG302).
- *A residual span*: changes the function; no new parameters where shapes agree.

## When it is wrong

- The needed scale is that of a wide net with zero biases. Narrow layers fluctuate around it; large biases move it.
- The rule does not judge layers inside a residual block, because they are not on the trunk. It does not judge activations
  under which every variance dies or grows without bound, such as tanhshrink; SG102 judges squashing ones by their derivative.
- The mean square does not describe weights with structure (low rank, much sparsity, one shared value).

## Where the threshold comes from

`SMALL = 0.8` and `LARGE = 1.25` bound the ratio: initialisations made for the activation lie within, torch's default for
ReLU far below. `SHARE = 0.4` is the part of the decades that mismatched layers must explain. `rules/thresholds.py` defines
vanishing and exploding. `FAR_TOO_LARGE = 10`: of 1,170 calibration rows nine have such weights and gain 3 decades or more;
seven fail, two lie between, none trains. Fitted on the truth table by `python -m bench.calibrate`.

## References

- He, Zhang, Ren & Sun 2015, *Delving Deep into Rectifiers*, section 2.2, equations 10 (forward) and 14 (backward).
- Glorot & Bengio 2010, *Understanding the difficulty of training deep feedforward neural networks*, section 4.2.
- Schoenholz, Gilmer, Ganguli & Sohl-Dickstein 2017, *Deep Information Propagation* (χ₁ = 1, the critical line).
- Martens et al. 2021, *Rapid training of deep neural networks without skip connections or normalization layers using
  Deep Kernel Shaping*.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from steadygrad.numerals import number
from steadygrad.record import CureRef, Evidence, Finding, Location, Operation, Parameter, Severity, StepTest, Trace
from steadygrad.rules import thresholds
from steadygrad.rules.findings import other_places, sentence
from steadygrad.rules.read_steptest import outcome
from steadygrad.rules.read_trunk import body, exploding, lost, slowest, vanishing

RULE = "SG301", "init-activation-mismatch"

# The ratio of the measured σ_w² to the one the activation needs, outside of which the scale is a mismatch. By construction
# initialisers made for the activation give 1, with sampling noise of √(2 ÷ elements); torch's default for ReLU gives 1/6.
SMALL = 0.8
LARGE = 1.25

# Of the decades lost (or gained), the share that mismatched layers must explain.
SHARE = 0.4


# So many times too large in the median layer, a net is lost though it learns one batch by heart. Of 1,170 calibration rows nine
# have such weights and a gradient that gains DECADES_GAINED or more: seven fail, two are in between, none trains.
FAR_TOO_LARGE = 10


@dataclass(frozen=True)
class _Layer:
    operation: Operation
    ratio: float
    """Measured σ_w² ÷ what the activation needs."""
    activation: str
    needed: float
    weight: Parameter


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding, at the first mismatched layer."""
    shrinking, growing = vanishing(trace, trial), exploding(trace, trial) or _by_heart(trace, trial)
    severity = shrinking or growing
    if severity is None:
        return
    layers = (
        [layer for layer in _layers(trace) if layer.ratio < SMALL]
        if shrinking
        else [layer for layer in _layers(trace) if layer.ratio > LARGE]
    )
    if not layers:
        return
    explained = sum(0.5 * abs(math.log10(layer.ratio)) if layer.ratio > 0 else math.inf for layer in layers)
    decades = abs(lost(trace, trial))
    if math.isfinite(explained) and explained < SHARE * decades:
        return
    first = _main(layers)
    ratio = statistics.median(layer.ratio for layer in layers)
    size = "zero" if ratio == 0 else f"{number(ratio, 2)} of" if ratio < 1 else f"{number(ratio, 2)} times"
    place = _place(first, zero=ratio == 0)
    per_layer = f"{number(abs(0.5 * math.log10(ratio)), 2)} decades" if ratio > 0 else "all of the gradient"
    yield Finding(
        *RULE,
        severity,
        "the weights are all zero"
        if ratio == 0
        else f"the weights' variance is {size} what {first.activation} needs, in {len(layers)} layers",
        location=place,
        module=first.operation.module,
        label=f"each such layer {'takes' if shrinking else 'adds'} {per_layer}; {decades:.1f} in all"
        if math.isfinite(decades)
        else "makes the gradient zero",
        evidence=(
            Evidence(
                "σ_w² = fan-in × mean square weight",
                first.ratio * first.needed,
                "variance gain",
                f"{number(first.needed, 2)}",
            ),
            Evidence("decades explained by the mismatch", explained, "decades", "near 0"),
            Evidence(
                f"decades {'lost' if shrinking else 'gained'} on the trunk",
                decades,
                "decades",
                f"under {thresholds.DECADES_STALLED if shrinking else thresholds.DECADES_GAINED:g}",
            ),
        ),
        consequence=sentence(slowest(trace) if shrinking else "", outcome(trial)),
        cures=(
            CureRef(_initialiser(first), "initialise"),
            CureRef("folded initialisation", "fold"),
            CureRef("batch norm before the activation", "normalise"),
            CureRef("a residual span", "residual"),
        ),
        count=len(layers),
        also=tuple(
            other for other in (first.operation.location, *other_places(first.operation)) if other not in (None, place)
        ),
        explains=("SG101", "SG102", "SG201", "SG105", "SG106", "SG204", "SG205"),
    )


def _by_heart(trace: Trace, trial: StepTest | None) -> Severity | None:
    """An error where one batch is learned through weights so much too large that nothing else could be."""
    one_batch = trial is not None and trial.unseen is None
    if not one_batch or not -lost(trace, trial) >= thresholds.DECADES_GAINED:
        return None
    ratios = [layer.ratio for layer in _layers(trace)]
    return Severity.ERROR if len(ratios) > 1 and statistics.median(ratios) >= FAR_TOO_LARGE else None


def _place(layer: _Layer, *, zero: bool) -> Location | None:
    """What a person would change: what wrote the zeros, the ``nn.Parameter`` of a layer of one's own; else the layer itself."""
    made, weight = layer.operation.location, layer.weight
    if zero and weight.filled is not None:
        return weight.filled
    return weight.made if weight.made is not None and weight.made != weight.location else made


def _main(layers: list[_Layer]) -> _Layer:
    """The first layer at the expression that most of them share."""
    places: dict[object, list[_Layer]] = {}
    for layer in layers:
        places.setdefault(layer.operation.location or layer.operation.module, []).append(layer)
    return max(places.values(), key=len)[0]


def _layers(trace: Trace) -> list[_Layer]:
    """Linear layers on the trunk or in its blocks, with the scale that the activation behind them needs."""
    parameters = {parameter.name: parameter for parameter in trace.parameters}
    on_trunk = {step.operation for step in body(trace)}
    behind: dict[int, Operation] = {}
    for operation in trace.operations:
        for parent in operation.parents:
            behind.setdefault(parent, operation)
    layers = []
    for operation in trace.operations:
        weight = parameters.get(operation.weight)
        if operation.kind != "linear" or weight is None or not operation.fan_in or operation.index not in on_trunk:
            continue
        follower = _follower(operation, behind)
        if follower is None:
            continue
        needed = _needed(follower)
        if needed is None:
            continue
        elements = math.prod(weight.shape) or 1
        layers.append(
            _Layer(operation, operation.fan_in * weight.norm**2 / elements / needed, follower.name, needed, weight)
        )
    return layers


def _follower(operation: Operation, behind: dict[int, Operation]) -> Operation | None:
    """The activation that takes the layer's output, past views and dropout; None where a normalisation resets the scale."""
    after = behind.get(operation.index)
    while after is not None and (after.kind in ("shape", "dropout") or _adds_a_bias(after)):
        after = behind.get(after.index)
    if after is None or after.kind == "normalisation":
        return None
    return after


def _adds_a_bias(operation: Operation) -> bool:
    """Whether it adds a number or a parameter, as a layer of one's own does: only one of its operands was computed."""
    return operation.name.strip("_") in ("add", "radd", "iadd") and len(operation.parents) == 1


def _needed(follower: Operation) -> float | None:
    """Critical σ_w² of the activation; 1 for a layer that feeds another directly."""
    from steadygrad.theory.needed import (
        needed_weight_variance,  # numpy and scipy: ``explain`` and ``rules`` need neither
    )

    if follower.kind == "linear":
        return 1.0
    needed = needed_weight_variance(follower.name) if follower.kind == "activation" else None
    return needed if needed is not None and math.isfinite(needed) else None


def _initialiser(layer: _Layer) -> str:
    if layer.activation in ("relu", "leaky_relu", "relu6"):
        return "He initialisation: nn.init.kaiming_normal_(weight, nonlinearity='relu')"
    if layer.activation in ("tanh", "softsign", "linear", "erf"):
        return "Xavier or orthogonal initialisation with gain 1"
    if layer.activation == "selu":
        return "LeCun initialisation, standard deviation 1/√fan-in"
    return f"weights of variance {number(layer.needed, 2)}/fan-in, the critical scale of {layer.activation}"
