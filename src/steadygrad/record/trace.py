"""The record of one probe: operations as they ran, the trunk, the parameters, and what could not be followed.

Units: norms are L2; *decades* are log10 of a ratio of gradient norms (negative = lost); *spread* and *share*
are in [0, 1]. A quantity that was not measured is None; a gradient of exactly zero has log10 of -inf.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

from steadygrad.record.routing import Routing
from steadygrad.record.span import Location


@dataclass(frozen=True, slots=True)
class OutputStatistics:
    """Forward statistics of one operation's output, on at most a few thousand sampled elements."""

    mean: float
    std: float
    spread: float | None
    """Share of the energy that differs between the samples of the batch; None for a batch of one."""
    largest: float
    """Greatest magnitude among the sampled elements."""


@dataclass(frozen=True, slots=True)
class TargetStatistics:
    """The quantity that a loss compares an output with, and the size of the output."""

    mean: float
    std: float
    negative: float
    """Share of it that is below 0."""
    output: float
    """Root mean square of the output."""


@dataclass(frozen=True, slots=True)
class Saturation:
    """An activation's derivative over this batch, from the autograd of the activation itself."""

    derivative_rms: float
    derivative_max: float
    """Greatest derivative the activation can have (theory), e.g. 0.25 for sigmoid."""
    saturated_share: float
    """Share of elements whose derivative is below 5 % of the maximum."""
    dead_share: float
    """Share of units (last or channel dimension) whose derivative is exactly 0 on the whole batch."""
    input_mean: float
    input_std: float


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of a torch function, as it ran in the forward pass."""

    index: int
    """Position in the order of execution."""
    name: str
    """torch's own name: "sigmoid", "linear", "add"."""
    kind: str
    """The kind of operation for a gradient: one of ``KINDS``."""
    module: str
    """Path of the innermost module that ran it ("" = the model itself)."""
    module_type: str
    location: Location | None
    """The user's expression: the call, or the construction where torch's own container makes the call."""
    call: Location | None
    construction: Location | None
    output_shape: tuple[int, ...]
    dtype: str
    output: OutputStatistics | None = None
    saturation: Saturation | None = None
    log10_gradient: float | None = None
    """log10 norm of the loss's gradient with respect to the output, where it was measured."""
    weight: str = ""
    """Name of the parameter it multiplies by ("" = none)."""
    fan_in: int | None = None
    attention_entropy: float | None = None
    """Mean entropy of the attention weights ÷ log(number of keys), in [0, 1]; softmax and fused attention only."""
    attention_logit_std: float | None = None
    parents: tuple[int, ...] = ()
    """Indices of the operations whose outputs it took."""
    crossed: tuple[tuple[int, ...], ...] = ()
    """Shapes of its operands where they are a column and a row of as many numbers, so that each meets each."""
    target: TargetStatistics | None = None
    """Of a difference or a regression's loss: what the output is held against."""
    dropped: float | None = None
    """Of a dropout that is at work: the share of its input that it drops."""
    likelihood: float | None = None
    """Of log-probabilities of which one entry a row gets a gradient, the same in all rows: its sign; 1 = steps make those
    entries smaller. None where that is not so."""
    positions_apart: float | None = None
    """How far the directions of a sample's positions (tokens, frames, nodes) lie apart: 1 − ‖mean of their unit vectors‖², in
    [0, 1]. Of a matrix whose rows are the samples: theirs. None where the output has no positions, or it was not measured."""


KINDS = (
    "activation",
    "linear",
    "normalisation",
    "attention",
    "pooling",
    "loss",
    "recurrent",
    "embedding",
    "dropout",
    "arithmetic",
    "shape",
    "custom",
    "cut",
    "other",
)


@dataclass(frozen=True, slots=True)
class Step:
    """From one trunk point to the next, in the direction of the gradient: loss → input."""

    operation: int | None
    """Index of the operation in front (the one whose output gradient is ``log10_gradient``)."""
    cause: str
    log10_gradient: float
    """log10 norm of the gradient in front of the step."""
    decades: float
    """log10 of the gain: gradient norm behind ÷ norm in front; negative = lost."""
    operations: int = 1
    """Number of autograd nodes the step spans (more than one for a block)."""
    location: Location | None = None
    module: str = ""
    name: str = ""
    path: str = ""
    """"trunk" for a single operation, "block" for a region with several paths."""


@dataclass(frozen=True, slots=True)
class Trunk:
    """The operations that every path from the loss to the input must pass."""

    end: str
    """Where it ends, in words: "input 0", "output of wte"."""
    steps: tuple[Step, ...]
    log10_start: float
    """log10 norm of the gradient at the first trunk point (in front of the first step)."""
    at_input: bool = True
    """Whether it ends at an input of the model; False where it ends inside, as behind an embedding."""

    @property
    def decades(self) -> float:
        """log10 gain from the loss to the input end of the trunk; negative = lost."""
        return sum(step.decades for step in self.steps)

    @property
    def net(self) -> tuple[Step, ...]:
        """The steps, where what a normalisation takes back of the scale of the layer in front of it is counted once.

        Weights of a hundred times the size gain two decades, and the normalisation behind them takes two. Of such a pair the
        larger step has the decades of both, and the other has none.
        """
        steps = list(self.steps)
        for at, (norm, layer) in enumerate(pairwise(self.steps)):
            if norm.cause == "normalisation" and layer.cause == "weight scale" and norm.decades * layer.decades < 0:
                both = norm.decades + layer.decades
                larger = abs(norm.decades) > abs(layer.decades)
                steps[at] = replace(norm, decades=both if larger else 0.0)
                steps[at + 1] = replace(layer, decades=0.0 if larger else both)
        return tuple(steps)

    @property
    def blame(self) -> dict[str, float]:
        """Decades by cause, each with what it is net of a normalisation (``net``); they add up to ``decades``."""
        shares: dict[str, float] = {}
        for step in self.net:
            shares[step.cause] = shares.get(step.cause, 0.0) + step.decades
        return shares


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter, and what the loss's gradient does to it."""

    name: str
    shape: tuple[int, ...]
    requires_grad: bool
    connected: bool
    """Whether a path of the autograd graph leads from the loss to it."""
    used: bool
    """Whether any operation took it."""
    log10_gradient: float
    """log10 L2 norm of its gradient, corrected for rescaling; -inf = exactly zero or none."""
    norm: float
    update_ratio: float | None = None
    """‖first update by the optimizer‖ ÷ ‖weight‖; None without a step test, or for a zero weight."""
    location: Location | None = None
    optimized: bool | None = None
    """Whether the optimizer holds it (None = no optimizer was looked at)."""
    registered: bool = True
    """False for a tensor that the loss's gradient reaches and that no module has as a parameter."""
    dtype: str = "float32"
    opened: bool | None = None
    """For a gradient of exactly zero: whether it was nonzero after the step test (None = not looked)."""
    cut: int | None = None
    """For one without a gradient: the position in ``Trace.cuts`` of what ended its path to the loss (None = nothing seen)."""
    made: Location | None = None
    """The expression that made it, where that was seen: of a layer of torch's the layer's, else that of ``nn.Parameter``."""
    filled: Location | None = None
    """The call of ``torch.nn.init`` that last filled it with one number, where that was seen; it may have been drawn since."""
    made_in_pass: bool = False
    """Whether the pass itself made it, and so makes it again each time."""


@dataclass(frozen=True, slots=True)
class Recurrence:
    """The same weights applied step after step: gradient from the last step back."""

    name: str
    """Module path or parameter name."""
    kind: str
    steps: int
    decades_per_step: float
    """Slope of log10 ‖gradient at step t‖, going back in time; negative = lost."""
    decades: float
    """Total from the last step to the first."""
    location: Location | None = None


@dataclass(frozen=True, slots=True)
class NonFinite:
    """The first operation that made an inf or a NaN out of finite numbers, or nothing but zeros out of others."""

    value: str
    """"nan", "inf", or "zero": every element was too small for the number format."""
    direction: str
    """"forward" or "backward"."""
    operation: int | None
    name: str
    module: str
    location: Location | None


@dataclass(frozen=True, slots=True)
class BlindSpot:
    """Something the probe could not follow: healthy never means "not seen"."""

    what: str
    where: str
    location: Location | None = None


@dataclass(frozen=True, slots=True)
class Mixing:
    """The first call that makes the answer to one sample depend on the others of its batch."""

    name: str
    """torch's own name: "lstm", "multi_head_attention_forward", "log_softmax"."""
    location: Location | None
    shape: tuple[int, ...]
    """Of what it took; the samples lie first."""


@dataclass(frozen=True, slots=True)
class Trace:
    """The immutable record of one probe."""

    operations: tuple[Operation, ...]
    trunk: Trunk | None
    """None where no gradient path leads from the loss to any input (the blind spots say why)."""
    parameters: tuple[Parameter, ...]
    loss: float
    batch_size: int | None
    training: bool
    dtype: str
    input_mean: float | None
    input_std: float | None
    output_spread: float | None
    """Spread of the model's output over the samples of the batch."""
    smallest_normal: float
    """Smallest normal number of the lowest-precision dtype that gradients pass."""
    underflow_share: float
    """Share of gradient elements that the dtype rounds to 0 or to denormals though float32 would hold them."""
    recurrences: tuple[Recurrence, ...] = ()
    nonfinite: NonFinite | None = None
    blind_spots: tuple[BlindSpot, ...] = ()
    underflow_operation: int | None = None
    cuts: tuple[Operation, ...] = ()
    """Operations that took a gradient's path and gave none on: ``detach``, rounding, everything under ``no_grad``, where
    the name and place are those of the block; and whatever a parameter's ``cut`` points to."""
    optimizer: Location | None = None
    """The expression that constructed the optimizer, where that is known."""
    input_spread: float | None = None
    """Spread of the model's first input over the samples of the batch; None where it holds no numbers to compare."""
    mixing: Mixing | None = None
    """The operation that mixes samples which must stay apart (None = nothing, or not looked)."""
    routings: tuple[Routing, ...] = ()
    """Choices among alike parts of the model: experts by a router, entries of a codebook."""
