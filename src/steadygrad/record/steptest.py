"""The effect of a few real optimizer steps on a copy on the loss."""

from __future__ import annotations

from dataclasses import dataclass

from steadygrad.record.routing import Routing
from steadygrad.record.span import Location


@dataclass(frozen=True, slots=True)
class Unseen:
    """Mean losses of batches that no step was taken on."""

    before: float
    after: float
    constant: float | None
    """After the steps, when every sample is answered by the mean answer; None where the loss takes no such answer."""
    exchanged: float | None
    """After the steps, when every sample is held against the target of another one; None where targets are not known."""
    greatest: float
    """The greatest of ``before``, ``after`` and what it was wherever the loss of a step leapt."""

    @property
    def learned(self) -> float | None:
        """1 − loss ÷ loss without the input: the share that was learned from the input. At most 0 = nothing was.

        Without the input means the mean answer, or where there is none, exchanged targets; None where there are neither.
        """
        without = self.constant if self.constant is not None else self.exchanged
        return None if without is None else _relative(without, self.after)


@dataclass(frozen=True, slots=True)
class Died:
    """A layer of which more units are off after the steps than before."""

    name: str
    """Of the activation: "relu"."""
    module: str
    location: Location | None
    before: float
    """Share of units whose derivative is exactly 0 on the whole batch."""
    after: float


@dataclass(frozen=True, slots=True)
class SecondLook:
    """The stepped copy's state; a probe of it, where some gradient was exactly zero before or all are after."""

    decades: float | None
    """Along the trunk without the loss; None where there is no trunk any more, or no probe was needed."""
    gone: bool
    """Whether every gradient is exactly zero, though not all were before the steps."""
    silent_steps: int
    """The number of last steps with gradients of exactly zero."""
    end_name: str
    """Operation at which the gradient ends; "" where it does not."""
    end_module: str
    end_location: Location | None
    died: tuple[Died, ...]
    """By the order of the forward pass; those a probe saw."""
    routings: tuple[Routing, ...] = ()
    """The choices of a model that has some, on the batch of the probe."""


@dataclass(frozen=True, slots=True)
class Clipped:
    """The effect of the loop's clip on the gradient of the first step."""

    clip: str
    """In words: "norm:0.0001"."""
    before: float
    """Norm of the whole gradient that it was given."""
    after: float
    """The same behind it."""
    location: Location | None
    """Where the loop calls it, where that was seen."""

    @property
    def factor(self) -> float:
        """Return the part that the clip leaves, in [0, 1]."""
        return self.after / self.before if self.before else 1.0


@dataclass(frozen=True, slots=True)
class Curvature:
    """The largest curvature of the loss in front of the first step of gradient descent that makes it leap."""

    step: int
    """The step that does, from 0."""
    largest: float
    """Greatest eigenvalue of the Hessian there, on the batch of the step."""
    rate: float
    limit: float
    """Rate × curvature above which gradient descent with this momentum is unstable on a quadratic: 2 × (1 + momentum)."""
    stable: float | None
    """A rate at which none of the first steps makes the loss leap, 2 ÷ a curvature; None where none was found."""

    @property
    def product(self) -> float:
        """Rate × curvature."""
        return self.rate * self.largest


@dataclass(frozen=True, slots=True)
class Averaged:
    """Steps from the start with the gradients of several batches averaged, beside steps on the same batches one at a time.

    What is learned is the fall of the loss of held-out batches that needed the input; −inf where the loss stopped being finite.
    """

    batches: int
    """Of one step."""
    steps: int
    learned: float
    alone: float | None = None
    """Of the same batches, one step on each; None where averaging learned too little to compare."""
    slower: float | None = None
    """The same as ``alone`` at a rate so many times lower; None where it was not tried."""
    learned_slower: float | None = None


@dataclass(frozen=True, slots=True)
class Noise:
    """The part of the gradient that differs from batch to batch, before the first step.

    ‖gradient of a batch‖² is on average ‖G‖² + tr Σ ÷ size: the gradient of all data, and what a batch adds by chance.
    """

    batches: int
    """Fresh ones that it was measured on."""
    samples: int | None
    """Of each; None where it is not known."""
    share: float
    """(tr Σ ÷ size) ÷ (‖G‖² + tr Σ ÷ size), estimated without bias above and below: by chance it may be over 1."""
    error: float
    """Standard error of the share."""
    averaged: Averaged | None = None
    """Whether less noise mends it; None where that was not tried."""

    @property
    def scale(self) -> float:
        """Batches whose mean gradient is noise by half, tr Σ ÷ ‖G‖² ÷ size; infinite where no signal was seen."""
        return self.share / (1 - self.share) if self.share < 1 else float("inf")


@dataclass(frozen=True, slots=True)
class StepTest:
    """Steps of the real optimizer on a copy, on one batch or on fresh ones.

    ``losses`` has ``steps + 1`` entries: before the first step and after each. Entries after a loss that was not
    finite are absent. Falls are relative to |loss before the first step|. On fresh batches the loss before a step is that
    of the step's own batch, the last one that of the unseen ones, and falls are those of ``unseen``.
    """

    steps: int
    optimizer: str
    """In words: "AdamW, learning rate 0.001"."""
    losses: tuple[float, ...]
    predicted_first: float
    """Relative fall that the gradient predicts for the first update: -(gradient · update) ÷ |loss|."""
    output_spread_after: float | None
    """Spread of the model's output after the last step."""
    constant_fall: float | None = None
    """The same fall when every sample's output is replaced by the batch mean, before and after: learned without the input."""
    second: SecondLook | None = None
    """The result of a probe after the last step."""

    decay: float = 0.0
    """Size of weight decay's part of the first update ÷ size of the gradient's part, over all weight matrices."""

    clipped: Clipped | None = None
    """The effect of a clip on the first gradient; None where there is none."""

    early: StepTest | None = None
    """The result of the first ten of more steps."""

    hundred: StepTest | None = None
    """The result of the first hundred, where more were taken."""

    unseen: Unseen | None = None
    """Where the steps were taken on fresh batches: what they brought on others."""
    optimizer_class: str = ""
    """Name of the optimizer's class: "SGD"."""
    curvature: Curvature | None = None
    """Of plain gradient descent whose loss leapt in the first steps."""
    noise: Noise | None = None
    """Of the gradient on fresh batches, where they teach nothing or the loss leaps."""

    @property
    def first(self) -> StepTest:
        """Return what the first ten steps showed; itself where there are no more."""
        return self.early or self

    @property
    def fall(self) -> float:
        """Relative fall of the loss from the first to the last entry; 1 = to zero, negative = rose."""
        if self.unseen is not None:
            return _relative(self.unseen.before, self.unseen.after)
        return _relative(self.losses[0], self.losses[-1])

    @property
    def actual_first(self) -> float:
        """Relative fall of the loss in the first step."""
        return _relative(self.losses[0], self.losses[1]) if len(self.losses) > 1 else 0.0

    @property
    def greatest_rise(self) -> float:
        """Greatest relative rise of the loss in one step, ≥ 0; on fresh batches of the unseen ones' above their first."""
        if self.unseen is not None:
            return max(0.0, -_relative(self.unseen.before, self.unseen.greatest))
        pairs = zip(self.losses, self.losses[1:], strict=False)
        return max((max(0.0, -_relative(a, b, self.losses[0])) for a, b in pairs), default=0.0)

    @property
    def diverged(self) -> bool:
        """Return whether a loss stopped being finite."""
        return len(self.losses) < self.steps + 1 or any(not abs(x) < float("inf") for x in self.losses)


def _relative(before: float, after: float, scale: float | None = None) -> float:
    reference = abs(before if scale is None else scale)
    if reference == 0.0:
        return 0.0 if after == before else float("-inf") if after > before else float("inf")
    return (before - after) / reference
