"""The record of a coordinate check: how outputs and updates of each weight grow with one size of a model. Standard library only.

An *exponent* a says that a quantity grows as size^a: 0 = it stays, 1 = it doubles where the size doubles.
"""

from __future__ import annotations

from dataclasses import dataclass

from steadygrad.record.finding import Severity
from steadygrad.record.span import Location
from steadygrad.record.transfer import TransferRecord


@dataclass(frozen=True, slots=True)
class Exponent:
    """A power law fitted to one quantity over all sizes and seeds."""

    value: float
    """NaN where there was nothing to fit."""
    error: float
    """Standard error of the fit."""
    at: tuple[float, ...]
    """The quantity at each size: the geometric mean over the seeds."""


@dataclass(frozen=True, slots=True)
class WeightScale:
    """One weight in one kind of call: what the call gives before the first step, and how much the weight's updates change that.

    Numbers that only multiply what the call takes or gives count as part of it.
    """

    name: str
    call: str
    """ "linear", "embedding", "conv2d": a weight that embeds and reads out is there twice."""
    role: str
    """ "input" (only its outputs grow in number), "hidden" (both grow), "output" (only its inputs grow), "vector" (a bias or a
    gain that grows) or "fixed"."""
    location: Location | None
    output: Exponent
    """Of the root mean square of the output before the first step."""
    gain: Exponent
    """Of the same ÷ that of the input."""
    gradient: Exponent
    """Of the root mean square of the loss's gradient at the output."""
    update: Exponent
    """Of the root mean square of the change of the output, along that gradient, by this weight's own updates."""
    relative: Exponent
    """Of the norm of those updates ÷ that of the weight."""


@dataclass(frozen=True, slots=True)
class AttentionScale:
    """The logits of one attention before the first step."""

    queries: str
    """The weight that makes its queries."""
    packed: bool
    """Whether the same weight makes its keys: then no number of its own stands for a factor of the logits."""
    location: Location | None
    heads: tuple[int, ...]
    """The size of a head at each size."""
    logits: Exponent
    """Of the root mean square of the logits ÷ those of queries and keys: 0 with 1/√d, −0.5 with 1/d."""


@dataclass(frozen=True, slots=True)
class ScaleFinding:
    """One thing that does not stay as the model grows: what, by how much, where, why, and what to do."""

    severity: Severity
    kind: str
    """ "rate", "initialisation", "attention" or "multiplier"."""
    weights: tuple[str, ...]
    exponent: float
    """Of the worst of them."""
    location: Location | None
    message: str
    advice: str


@dataclass(frozen=True)
class ScaleRecord:
    """A coordinate check of one family of models."""

    target: str
    argument: str
    """The name of the argument that grows."""
    sizes: tuple[int, ...]
    steps: int
    seeds: int
    optimizer: str
    adaptive: bool
    """Whether the size of a step does not depend on that of the gradient, as with Adam."""
    weights: tuple[WeightScale, ...]
    attentions: tuple[AttentionScale, ...]
    findings: tuple[ScaleFinding, ...]
    seconds: float
    computed: tuple[str, ...] = ()
    """Weights that are not judged: a layer's own weight is computed from them, as by weight or spectral norm."""
    transfer: TransferRecord | None = None
    """Whether the best learning rate of the smallest model serves a large one; None where that was not asked."""

    def __repr__(self) -> str:
        """Return what was found, on one line."""
        sizes = ", ".join(map(str, self.sizes))
        return f"<{type(self).__name__}: {self.argument} = {sizes}; {len(self.findings)} findings; print it to see all>"

    @property
    def stable(self) -> bool:
        """Whether nothing was found."""
        return not self.findings
