"""What must stay higher, fewest first: real steps say whether a rounded net follows the one that is not.

Operations are ranked by the error that each alone makes in the gradient. The most harmful are kept until the net follows;
then each of these is put back, the least harmful first, as long as it still follows. Knows no report.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from steadygrad.numerals import count
from steadygrad.record.precision import HIGHER, Trained
from steadygrad.rounding.emulation import Plan, Site
from steadygrad.rounding.formats import RECIPES, Recipe, nearest, stochastic
from steadygrad.rounding.training import Store, behind, losses_of
from steadygrad.subject.subject import Subject

HEADROOM = 16.0
"""A loss scale leaves so many times the greatest gradient of the first pass below the greatest number of float16."""

EARLY, HOPELESS = 10, 10.0
"""From so many steps on, a net that misses so many times what is tolerated is not stepped any further."""

PRUNED = 8
"""Each of so many kept operations is tried without the others; of more only their number is searched for."""

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
    reference: tuple[float, ...]
    noise: float
    say: Callable[[str], None]
    trained: list[Trained] = field(default_factory=list)
    loss_scale: float = 1.0

    def follows(self, kept: Collection[Site], what: str, store: Store | None = None) -> bool:
        """Train it so, and return whether less of the fall is missing than is tolerated."""
        self.say(f"{what}: {self.steps} steps")
        recipe = self.recipe if self.loss_scale == 1.0 else self.recipe.with_loss_scale(self.loss_scale)
        stored = None if store is None else (store, self.recipe.operand.element)
        losses = losses_of(self.subject, plan_for(recipe, kept), self.steps, stored, self._hopeless)
        self.trained.append(Trained(what, losses, behind(losses, self.reference)))
        return self.trained[-1].behind <= self._borne

    @property
    def _borne(self) -> float:
        return max(self.tolerance, self.noise)

    def _hopeless(self, losses: Sequence[float]) -> bool:
        return len(losses) >= EARLY and behind(losses, self.reference) > HOPELESS * self._borne

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


def scale_for(largest: float, recipe: Recipe) -> float:
    """The power of two that brings the greatest gradient near the greatest number, with some room."""
    if not 0 < largest < math.inf:
        return 1.0
    power = math.floor(math.log2(recipe.gradient.element.greatest / HEADROOM / largest))
    return min(2.0 ** max(power, 0), GREATEST_LOSS_SCALE)
