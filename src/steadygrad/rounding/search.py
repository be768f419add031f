"""What must stay higher, fewest first: real steps say whether a rounded net follows the one that is not.

Operations are ranked by the error that each alone makes in the gradient. The most harmful are kept until the net follows;
then each of these is put back, the least harmful first, as long as it still follows. What is near to the tolerance is decided
by several trainings. Knows no report.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev

from steadygrad.numerals import count
from steadygrad.record.precision import HIGHER, Trained
from steadygrad.rounding.emulation import Plan, Site
from steadygrad.rounding.formats import RECIPES, Recipe, nearest, stochastic
from steadygrad.rounding.measure import as_it_is
from steadygrad.rounding.training import Store, behind, losses_of
from steadygrad.subject.subject import Subject

HEADROOM = 16.0
"""A loss scale leaves so many times the greatest gradient of the first pass below the greatest number of float16."""

EARLY, HOPELESS = 10, 10.0
"""From so many steps on, a net that misses so many times what is tolerated is not stepped any further."""

PRUNED = 8
"""Each of so many kept operations is tried without the others; of more only their number is searched for."""

NEAR = 2.0
"""Up to so many times what is tolerated, and down to as small a part of it, one training does not decide: in nvfp4 100 steps miss
3.0 to 5.3 % of the fall in a tanh net, 4.8 to 12.8 % in a mixer, from one set of batches to the next."""

FEWEST, MOST, APART = 3, 5, 2.0
"""Then so many do, each on batches of its own: three, and more until the mean is two standard errors from what is tolerated. The
shortest list that seems to be enough is often a lucky one, so the mean and a standard error must be tolerated."""

GREATEST_LOSS_SCALE = 2.0**24


def higher_of(recipe: Recipe) -> Recipe | None:
    """The recipe of what stays higher; None: as it is."""
    return RECIPES.get(HIGHER[recipe.name])


def plan_for(recipe: Recipe, kept: Collection[Site]) -> Plan:
    """Everything by the recipe but what is kept."""
    higher = higher_of(recipe)
    return lambda site: higher if site in kept else recipe


@dataclass
class Search:
    """The trainings so far, all of the same steps, and what is known from them."""

    subject: Subject
    recipe: Recipe
    steps: int
    tolerance: float
    say: Callable[[str], None]
    noise: float = 0.0
    trained: list[Trained] = field(default_factory=list)
    loss_scale: float = 1.0
    _references: list[tuple[float, ...]] = field(default_factory=list, init=False)

    def reference(self, repeat: int = 0) -> tuple[float, ...]:
        """The losses with every operation higher, on the batches of one repeat."""
        higher = higher_of(self.recipe)
        while len(self._references) <= repeat:
            self.say(f"all operations in {HIGHER[self.recipe.name]}: {self.steps} steps")
            first = self._first(len(self._references))
            self._references.append(losses_of(self.subject, lambda _: higher, self.steps, first=first))
        return self._references[repeat]

    def measure_noise(self) -> None:
        """Compare the net as it is with the higher precision: what they differ by, no format can be blamed for."""
        if higher_of(self.recipe) is None:
            return
        self.say(f"as it is: {self.steps} steps")

        def apart(repeat: int) -> float:
            losses = losses_of(self.subject, as_it_is, self.steps, first=self._first(repeat))
            return abs(behind(losses, self.reference(repeat)))

        noise = fmean(self._repeated(apart, lambda found: len(found) < FEWEST and fmean(found) > self.tolerance / NEAR))
        self.noise = noise if math.isfinite(noise) else 0.0

    def _first(self, repeat: int) -> int:
        """Number of the first batch. One more than the steps, so that batches that come round again come in another order."""
        return repeat * (self.steps + 1)

    def _repeated(self, missing: Callable[[int], float], undecided: Callable[[list[float]], bool]) -> list[float]:
        """As many repeats as it takes; one where there are no other batches."""
        found = [missing(0)]
        while self.subject.batches is not None and undecided(found):
            found.append(missing(len(found)))
        return found

    def _is_close(self, found: list[float]) -> bool:
        """Whether the mean may lie on either side of what is tolerated, and more trainings may tell."""
        mean = fmean(found)
        if not self._borne / NEAR < mean < self._borne * NEAR or len(found) == MOST:
            return False
        return len(found) < FEWEST or abs(mean - self._borne) < APART * _standard_error(found)

    def follows(self, kept: Collection[Site], what: str, store: Store | None = None) -> bool:
        """Train it so, and return whether less of the fall is missing than is tolerated."""
        self.say(f"{what}: {self.steps} steps")
        recipe = self.recipe if self.loss_scale == 1.0 else self.recipe.with_loss_scale(self.loss_scale)
        stored = None if store is None else (store, self.recipe.operand.element)
        all_losses: list[tuple[float, ...]] = []

        def missing(repeat: int) -> float:
            reference, first = self.reference(repeat), self._first(repeat)

            def hopeless(losses: Sequence[float]) -> bool:
                return len(losses) >= EARLY and behind(losses, reference) > HOPELESS * self._borne

            all_losses.append(losses_of(self.subject, plan_for(recipe, kept), self.steps, stored, hopeless, first))
            return behind(all_losses[-1], reference)

        found = self._repeated(missing, self._is_close)
        mean = fmean(found)
        self.trained.append(Trained(what, all_losses[0], mean))
        return math.isfinite(mean) and mean + _standard_error(found) <= self._borne

    @property
    def _borne(self) -> float:
        return max(self.tolerance, self.noise)

    def kept(self, ranked: Sequence[Site], largest_gradient: float) -> tuple[Site, ...]:
        """The fewest that must stay higher, of operations ranked by their harm. A loss scale is tried before any is kept."""
        name = self.recipe.name
        if self.follows((), f"all operations in {name}"):
            return ()
        if name == "fp16":
            self.loss_scale = scale_for(largest_gradient, self.recipe)
            if self.loss_scale != 1.0 and self.follows((), f"all in {name}, loss scale {self.loss_scale:g}"):
                return ()
        fails, enough, next_ = 0, len(ranked), 1
        while next_ < enough:
            if self.follows(ranked[:next_], self._words(next_)):
                enough = next_
            else:
                fails, next_ = next_, 2 * next_
        while enough - fails > 1:
            middle = (fails + enough) // 2
            if self.follows(ranked[:middle], self._words(middle)):
                enough = middle
            else:
                fails = middle
        kept = self._pruned(list(ranked[:enough]))
        if self.loss_scale != 1.0:
            scale, self.loss_scale = self.loss_scale, 1.0
            if not self.follows(kept, f"{self._words(len(kept))}, without a loss scale"):
                self.loss_scale = scale
        return kept

    def _pruned(self, kept: list[Site]) -> tuple[Site, ...]:
        if len(kept) > PRUNED:
            return tuple(kept)
        for site in reversed(kept[:-1]):
            fewer = [one for one in kept if one != site]
            if self.follows(fewer, f"{self._words(len(fewer))}, without {site.weight or site.name}"):
                kept = fewer
        return tuple(kept)

    def _words(self, kept: int) -> str:
        return f"{count(kept, 'operation')} in {HIGHER[self.recipe.name]}"

    def weights(self, kept: Collection[Site]) -> str:
        """How weights may be stored without a float32 copy."""
        name = self.recipe.name
        for store, words in ((nearest, "rounded to nearest"), (stochastic, "rounded stochastically")):
            if self.follows(kept, f"weights in {name}, {words}", store):
                return words
        return "in float32 only"


def _standard_error(found: Sequence[float]) -> float:
    return stdev(found) / math.sqrt(len(found)) if len(found) > 1 else 0.0


def scale_for(largest: float, recipe: Recipe) -> float:
    """The power of two that brings the greatest gradient near the greatest number, with some room."""
    if not 0 < largest < math.inf:
        return 1.0
    power = math.floor(math.log2(recipe.gradient.element.greatest / HEADROOM / largest))
    return min(2.0 ** max(power, 0), GREATEST_LOSS_SCALE)
