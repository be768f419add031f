"""The parts of a guarded run that go into its journal, their columns, and what its listeners get."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from steadygrad._guard.course import Course
from steadygrad._guard.one_optimizer import GuardedOptimizer
from steadygrad._guard.options import Options
from steadygrad.journal.columns import points
from steadygrad.listen.batch import written
from steadygrad.listen.courier import Courier
from steadygrad.record import Action, Alarm, Look, Watched
from steadygrad.record.rows import Rows, totals
from steadygrad.watch.names import Names

if TYPE_CHECKING:
    from steadygrad.journal import Journal

Array = np.ndarray[Any, Any]


class Writing:
    """One journal and the columns in it. ``columns``: for each optimizer its parameters and their names, in order.

    ``couriers`` carry the same to whoever listens, and ``course`` keeps it on few points.
    """

    def __init__(
        self,
        given: str | Journal | None,
        columns: Sequence[Sequence[tuple[Tensor, str]]],
        about: dict[str, str | float],
        complain: Callable[[str], None],
        couriers: Sequence[Courier] = (),
    ) -> None:
        self.couriers = couriers
        self._names = [[name for _, name in one] for one in columns]
        self.about = about
        self.watched = tuple(
            Watched(name, tuple(p.shape), str(p.dtype).removeprefix("torch."), index)
            for index, one in enumerate(columns)
            for p, name in one
        )
        self.course = Course([len(one) for one in columns])
        self._places: dict[int, Array] = {}
        self._own = isinstance(given, str)
        self._journal: Journal | None = None
        self._closed: str | None = None
        if not isinstance(given, str):
            self._journal = given
        else:
            from steadygrad.journal import Journal  # With SQLite: for a run that is recorded.

            self._journal = Journal(given, about=about, watched=list(self.watched), complain=complain)

    @property
    def path(self) -> str | None:
        """The path of the journal, also when it is closed; None where there is none."""
        return self._closed if self._journal is None else str(self._journal.path)

    @classmethod
    def opened(
        cls,
        roots: Sequence[nn.Module],
        optimizers: Sequence[GuardedOptimizer],
        names: Names,
        options: Options,
        complain: Callable[[str], None],
        *,
        here: bool,
    ) -> Writing:
        """The journal of a guard, with what it is about. ``here``: whether this process writes it, and is listened to."""
        about: dict[str, str | float] = {
            "torch": torch.__version__,
            "model": ", ".join(names.models),
            "optimizer": ", ".join(type(one.optimizer).__name__ for one in optimizers),
            "clip": "" if options.clip is None else str(options.clip),
            "on_alarm": getattr(options.on_alarm.kind, "__name__", str(options.on_alarm.kind)),
        }
        columns = [[(p, names.of(p)) for p in _columns(one, roots, optimizers, names)] for one in optimizers]
        if not here:
            return cls(None, columns, about, complain)
        couriers = [Courier(one, complain, options.overhead) for one in options.listeners]
        return cls(options.journal, columns, about, complain, couriers)

    def rows(self, index: int, names: Sequence[str], rows: Rows) -> None:
        """Rows of one optimizer, ``names`` their columns, with the losses of those of which they are known."""
        # In the journal NaN stands for no gradient; one that is NaN is written as infinite: it is not finite.
        known = np.where(np.isnan(rows.norms), np.float32(np.inf), rows.norms)
        norms = self._wide(index, names, np.where(rows.norms < 0, np.float32(np.nan), known))
        columns = rows.steps, rows.times, norms, totals(rows.norms), rows.factors, rows.rates
        own = self._names[index]
        kept = points(*columns, width=len(own))
        self.course.add(index, kept, rows.losses)
        if self._journal is not None:
            self._journal.rows(index, *columns)
            known_losses = ~np.isnan(rows.losses) if len(rows.losses) else np.zeros(0, bool)
            if known_losses.any():
                self._journal.losses(rows.steps[known_losses], rows.losses[known_losses], optimizer=index)
        if self.couriers:
            batch = written(index, len(self._names) > 1, own, kept, rows.losses)
            for one in self.couriers:
                one.rows(batch)

    def weights(self, index: int, names: Sequence[str], step: int, weights: Array, ratios: Array) -> None:
        """Norms of weights and update ÷ weight, at one step."""
        if self._journal is not None:
            wide = (self._wide(index, names, one.astype(np.float32)[None])[0] for one in (weights, ratios))
            self._journal.weights(index, step, *wide)

    def alarm(self, alarm: Alarm) -> None:
        """Write an alarm that is new or has changed since it was written."""
        if self._journal is not None:
            self._journal.alarm(alarm)
        for one in self.couriers:
            one.alarm(alarm)

    def action(self, action: Action) -> None:
        """Write an action."""
        if self._journal is not None:
            self._journal.action(action)

    def look(self, look: Look) -> None:
        """Write the result of a look."""
        if self._journal is not None:
            self._journal.look(look)

    def note(self, step: int, text: str) -> None:
        """Write a note on the guard itself."""
        if self._journal is not None:
            self._journal.note(step, text)

    def extremes(self, step: int, by_rank: Array) -> None:
        """Write the ranks with the smallest and the largest number of ``by_rank (ranks,)``."""
        if self._journal is not None:
            low, high = float(by_rank.min()), float(by_rank.max())
            self._journal.extremes(step, low, high, int(by_rank.argmin()), int(by_rank.argmax()))

    def summary(self, values: dict[str, float]) -> None:
        """Write the counts so far."""
        if self._journal is not None:
            self._journal.summary(values)

    def flush(self) -> None:
        """Wait until all of it is in the file."""
        if self._journal is not None:
            self._journal.flush()
        for one in self.couriers:
            one.flush()

    def close(self) -> None:
        """Write the rest; a journal that was handed in stays open for whoever made it."""
        for one in self.couriers:
            one.close()
        if self._journal is not None and self._own:
            self._journal.close()
        self._closed, self._journal = self.path, None

    def forget(self, index: int) -> None:
        """Note that the optimizer's parameters are others now."""
        self._places.pop(index, None)

    def _wide(self, index: int, names: Sequence[str], values: Array) -> Array:
        """(k, parameters) as the journal's columns have it; NaN in those that the optimizer does not hold."""
        columns = self._places.get(index)
        if columns is None or len(columns) != values.shape[1]:
            places = {name: at for at, name in enumerate(self._names[index])}
            columns = self._places[index] = np.array([places.get(name, -1) for name in names])
        found = np.full((len(values), len(self._names[index])), np.nan, np.float32)
        found[:, columns[columns >= 0]] = values[:, columns >= 0]
        return found


def _columns(
    one: GuardedOptimizer, roots: Sequence[nn.Module], optimizers: Sequence[GuardedOptimizer], names: Names
) -> Sequence[Tensor]:
    """The optimizer's parameters; for the first one also those that no optimizer holds yet: they may be added."""
    if one.index != 0:
        return one.parameters
    others = {id(p) for other in optimizers if other is not one for p in other.parameters}
    own = {id(p): p for p in (*one.parameters, *(p for root in roots for p in root.parameters()))}
    return names.in_depth([p for key, p in own.items() if key not in others])
