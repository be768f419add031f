"""What a few real optimizer steps on a copy did to the loss."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StepTest:
    """Steps of the real optimizer on a copy, on the same batch.

    ``losses`` has ``steps + 1`` entries: before the first step and after each. Entries after a loss that was not
    finite are absent. Falls are relative to |loss before the first step|.
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
    trunk_decades_after: float | None = None
    """Decades along the trunk without the loss after the last step; looked at only where a gradient was exactly zero before."""

    decay: float = 0.0
    """Size of weight decay's part of the first update ÷ size of the gradient's part, over all weight matrices."""

    early: StepTest | None = None
    """What the first ten of more steps had shown."""

    @property
    def first(self) -> StepTest:
        """What the first ten steps showed; itself where there are no more."""
        return self.early or self

    @property
    def fall(self) -> float:
        """Relative fall of the loss from the first to the last entry; 1 = to zero, negative = rose."""
        return _relative(self.losses[0], self.losses[-1])

    @property
    def actual_first(self) -> float:
        """Relative fall of the loss in the first step."""
        return _relative(self.losses[0], self.losses[1]) if len(self.losses) > 1 else 0.0

    @property
    def greatest_rise(self) -> float:
        """Greatest relative rise of the loss in one step, ≥ 0."""
        pairs = zip(self.losses, self.losses[1:], strict=False)
        return max((max(0.0, -_relative(a, b, self.losses[0])) for a, b in pairs), default=0.0)

    @property
    def score(self) -> float:
        """Fall − 0.3 × greatest rise: the statistic that separates set-ups that train from those that do not."""
        return self.fall - 0.3 * self.greatest_rise

    @property
    def diverged(self) -> bool:
        """Whether a loss stopped being finite."""
        return len(self.losses) < self.steps + 1 or any(not abs(x) < float("inf") for x in self.losses)


def _relative(before: float, after: float, scale: float | None = None) -> float:
    reference = abs(before if scale is None else scale)
    if reference == 0.0:
        return 0.0 if after == before else float("-inf") if after > before else float("inf")
    return (before - after) / reference
