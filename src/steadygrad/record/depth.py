"""The record of a check over depth: what grows from layer to layer, and where training ends. Standard library only."""

from __future__ import annotations

import math
from dataclasses import dataclass

from steadygrad.record.finding import Severity
from steadygrad.record.span import Location
from steadygrad.record.transfer import TransferRecord


@dataclass(frozen=True, slots=True)
class Law:
    """How one quantity goes with the depth L: as L^power, or by a factor of its own in every layer."""

    kind: str
    """ "power", "exponential" or "none" (nothing was measured)."""
    value: float
    """The power, or the decades (log10) that each layer adds."""
    error: float
    """Standard error of the fit."""
    at: tuple[float, ...]
    """log10 of the quantity at each depth: the mean over the seeds."""

    @property
    def decades(self) -> float:
        """Return how much log10 of the quantity changes from the least depth to the greatest."""
        known = [one for one in self.at if math.isfinite(one)]
        return known[-1] - known[0] if len(known) > 1 else math.nan


@dataclass(frozen=True, slots=True)
class LayerScale:
    """The weights that stand once in each layer, all together."""

    pattern: str
    """Their names, with * for the number of the layer."""
    location: Location | None
    ends_branch: bool
    """Whether what they make is added to the stream beside them."""
    update: Law
    """Of the change of the output by the weight's own first update, the mean of all layers."""


@dataclass(frozen=True, slots=True)
class Training:
    """One short training at one depth."""

    depth: int
    fall: float
    """1 − last loss ÷ first loss, of what needs the input."""
    outcome: str
    """ "trains", "fails" or "unclear"."""


@dataclass(frozen=True, slots=True)
class DepthLimit:
    """The depth at which a family stops training."""

    predicted: tuple[float, float] | None
    """Where the fits say that samples come together or gradients run off, from and to; None: at no depth that they reach."""
    why: str
    """What the prediction rests on."""
    trainings: tuple[Training, ...]
    """By depth."""

    @property
    def trains_at(self) -> int | None:
        """Return the greatest depth up to which all trainings went well."""
        return max((one.depth for one in self._before_first_failure if one.outcome == "trains"), default=None)

    @property
    def fails_at(self) -> int | None:
        """Return the least depth at which one failed."""
        return min((one.depth for one in self.trainings if one.outcome == "fails"), default=None)

    @property
    def _before_first_failure(self) -> tuple[Training, ...]:
        end = self.fails_at
        return tuple(one for one in self.trainings if end is None or one.depth < end)


@dataclass(frozen=True, slots=True)
class DepthFinding:
    """One thing that does not stay as layers are added: what, by how much, where, and what to do."""

    severity: Severity
    kind: str
    """ "activations", "gradient", "spread", "rate" or "limit"."""
    weights: tuple[str, ...]
    """Patterns of names."""
    location: Location | None
    message: str
    advice: str


@dataclass(frozen=True)
class DepthRecord:
    """A check of one family over its depth."""

    target: str
    argument: str
    depths: tuple[int, ...]
    steps: int
    seeds: int
    optimizer: str
    adaptive: bool
    activations: Law
    """Of the root mean square behind the last layer ÷ that before the first."""
    gradient: Law
    """Of the loss's gradient behind the first layer ÷ that in front of the last, along the trunk."""
    spread: Law
    """Of the share of the output's energy that differs between samples."""
    change: Law
    """Of the change of what is behind the last layer by the first update of all layers together."""
    layers: tuple[LayerScale, ...]
    residual: bool
    """Whether the layers are added to a stream."""
    limit: DepthLimit | None
    findings: tuple[DepthFinding, ...]
    seconds: float
    transfer: TransferRecord | None = None
    """Whether the best learning rate of the smallest model serves a large one; None where that was not asked."""

    def __repr__(self) -> str:
        """Return what was found, on one line."""
        depths = ", ".join(map(str, self.depths))
        return (
            f"<{type(self).__name__}: {self.argument} = {depths}; {len(self.findings)} findings; print it to see all>"
        )

    @property
    def stable(self) -> bool:
        """Whether nothing was found."""
        return not self.findings
