"""One watched process: what it makes is gathered, guarded at its first use, and reported at the end.

Holds no guard, model or optimizer alive: what the program drops is gone. Nothing here may raise into the program. Imports
the guard, and with it torch, only once the program has made an optimizer.
"""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from steadygrad.errors import JournalError, SettingsError, TrainingStopped, in_one_line
from steadygrad.launch.children import at_end_of_child, name_of_child
from steadygrad.launch.console import Teller, end_lines
from steadygrad.launch.journals import FOLDER, journal_path
from steadygrad.launch.optimizers import ours_at_work
from steadygrad.launch.plan import Plan
from steadygrad.launch.tallies import Watched, finished, tally_of, watched
from steadygrad.launch.unwatched import no_step_seen, nothing_watched

SEVERAL = 4
"""Guards of one process that are each reported; of further ones only findings and alarms, and how many they were."""


@dataclass(slots=True)
class _Made:
    """An optimizer that is not guarded yet, and the frame that made it."""

    optimizer: weakref.ref[Any]
    frame: FrameType | None


class Session:
    """Gathers optimizers, guards them together at the first use of a model, and reports the end."""

    def __init__(self, plan: Plan, *, child: bool = False) -> None:
        self.plan = plan
        self.settings = plan.settings
        self.folder = Path(plan.folder)
        self.child = child
        self.tell = Teller(name_of_child)
        self.expect_use: Callable[[], None] = lambda: None
        """Set by whoever sees the first use of a model."""
        self.losses: Any = None
        """Whoever calls ``loss``, held here."""
        self.children = 0
        self.backwards = 0
        """Backward passes of this process, from one scalar each."""
        self._ever_made = 0
        self._held: Any = None
        """Whether what was made holds what gets the gradient."""
        self._by_hand: Any = None
        """The watch of a program that has no optimizer; False where there is nothing to watch."""
        self._process = os.getpid()
        self._made: list[_Made] = []
        self._watched: list[Watched] = []
        self._told_of: set[str] = set()
        self._cure: Any = None
        self._check: Any = None
        self.alone: Any = None
        """What checks the first step in place of the training, once there is an optimizer; None where nothing does."""
        self._make_alone: Callable[[], Any] | None = None
        self._closed = False
        self._busy = False

    def check_alone(self, make: Callable[[], Any]) -> None:
        """Have the first step checked by what ``make`` makes, and the program ended there."""
        self._make_alone, self._by_hand = make, False

    def made(self, optimizer: Any, frame: FrameType | None) -> None:
        """Note a new optimizer. It is guarded before a model is next used, or before its own first step."""
        try:
            self._ever_made += 1
            if self._make_alone is not None and self.alone is None:
                self._check = self.alone = self._make_alone()
            self._leave_by_hand()
            self._made.append(_Made(weakref.ref(optimizer), frame))
            self._note_held(optimizer)
            self.expect_use()
        except Exception as error:
            self._not_watched(error)

    def loss(self, loss: Any) -> None:
        """Note the scalar that the program is about to go backward from."""
        waits = self._made or (self._by_hand is None and not self._ever_made)
        if waits and ours_at_work(sys._getframe(1)):
            return  # A check that the program has asked for.
        self.backwards += 1
        if self._made:
            self.guard_those_made()
        elif self._by_hand is None and not self._ever_made:
            self._watch_by_hand(loss)
        for one in (self._cure, self._check):
            if one is not None:
                one.backward(loss)

    def stepping(self, optimizer: Any) -> None:
        """Note that an optimizer is about to take a step."""
        if self._check is not None:
            self._check.before_step(optimizer)
        try:
            missing = self._held.stepping(optimizer) if self._held is not None else None
            if missing is not None:
                self._tell_missing(optimizer, missing)
        except TrainingStopped:
            raise
        except Exception as error:
            self._not_watched(error)

    def _note_held(self, optimizer: Any) -> None:
        if self._held is None:
            from steadygrad.launch.held import Held

            self._held = Held()
        self._held.made(optimizer)

    def _tell_missing(self, optimizer: Any, missing: Any) -> None:
        """Raise an alarm that the optimizer does not hold what gets the gradient; make its guard where there is none yet."""
        guards = [guard for one in self._watched if (guard := one.guard()) is not None]
        if not missing.tell(guards):
            missing.tell([self._guard_together(missing.models, [optimizer])])

    def guard_those_made(self) -> None:
        """Guard all that were made since the last time, those together that train the same model."""
        if self._busy:
            return
        made, self._made = self._made, []
        alive = [(optimizer, one.frame) for one in made if (optimizer := one.optimizer()) is not None]
        if not alive:
            return
        self._busy = True
        try:
            self._remember()
            self._guard(alive)
        except Exception as error:
            self._not_watched(error)
        finally:
            self._busy = False

    def _guard(self, made: list[tuple[Any, FrameType | None]]) -> None:
        from steadygrad.copies.copying import unwrapped
        from steadygrad.launch.models import models_of
        from steadygrad.source.inferred_constructions import infer_constructions

        optimizers: list[Any] = []
        models: dict[int, Any] = {}
        for optimizer, frame in made:
            found = models_of(optimizer)
            if not found:
                self._once(
                    f"{type(optimizer).__name__} is not watched: none of its parameters belongs to a torch.nn.Module; "
                    "next: keep them as nn.Parameter of one"
                )
                continue
            optimizers.append(optimizer)
            if self.alone is not None:
                self.alone.expect(optimizer, found, lambda: self._watched[-1].guard() if self._watched else None)
            models.update((id(model), model) for model in found)
            for model in found:
                infer_constructions(unwrapped(model), frame)
        if not optimizers:
            return
        if not self._watched and len(models) == len(optimizers) == 1:
            # Before the guard: what it says of the first step is then known when the guard comes to it.
            self._check_at_start(next(iter(models.values())), optimizers[0])
        self._guard_together(list(models.values()), optimizers)
        if self.settings.cure is not None and len(self._watched) == 1:
            self._cure_at_start(list(models.values()), optimizers)

    def _guard_together(self, models: list[Any], optimizers: list[Any]) -> Any:
        from steadygrad._guard.attach import guard, guard_of
        from steadygrad.act.on_alarm import OnAlarm
        from steadygrad.clip import Clip

        if any(guard_of(optimizer) is not None for optimizer in optimizers):
            raise SettingsError("the program has a guard of its own around it, which goes on")
        settings = self.settings
        as_told = partial(
            guard,
            models,
            optimizers,
            clip=Clip.parse(settings.clip) if settings.clip is not None else None,
            on_alarm=OnAlarm.parse(settings.on_alarm),
            probe_every=settings.probe_every,
            overhead=settings.overhead,
            every=settings.every,
            notify=settings.notify,
            trackers=self.plan.trackers(wanted=self._is_first_rank() and not self._watched),
            quiet=settings.quiet or not self._is_first_rank() or len(self._watched) >= SEVERAL,
            say=self._say,
        )
        try:
            guarded = as_told(journal=self._journal_path() if self._is_first_rank() else None)
        except (JournalError, ImportError, OSError) as error:
            # What guards a run does not depend on what records it.
            self._once(f"no journal: {error}; the run is guarded without one")
            guarded = as_told(journal=None)
        self._watched.append(watched(guarded))
        if len(self._watched) == 1 and os.getpid() != self._process:
            at_end_of_child(self.close)
        return guarded

    def _watch_by_hand(self, loss: Any) -> None:
        """Watch a program that goes backward and has made no optimizer."""
        self._by_hand = False
        try:
            from steadygrad.launch.by_hand import watched_by_hand

            say = (lambda line: None) if self.settings.quiet else self._say
            self._by_hand = watched_by_hand(loss, self._guard_alone, say, self._leave_by_hand) or False
        except Exception as error:
            self._not_watched(error)

    def _guard_alone(self, stand_in: Any) -> Any:
        """A guard that can only watch."""
        settings = self.settings
        self.settings = replace(settings, clip=None, on_alarm="warn", probe_every=0, cure=None)
        try:
            self._guard([(stand_in, None)])
        finally:
            self.settings = settings
        return self._watched[-1].guard()

    def _leave_by_hand(self) -> None:
        """There is an optimizer after all, nothing is trained, or it is the end."""
        passes, self._by_hand = self._by_hand, False
        if not passes:
            return
        passes.leave()
        one = self._watched[-1]
        guard = one.guard()
        if guard is not None:
            one.tally = finished(guard, one.tally)
        if not passes.trains:
            # A journal that was named may have been there, with other runs in it.
            passes.forget(one.tally.journal if self.settings.journal is None else None)
            self._watched.remove(one)

    def _check_at_start(self, model: Any, optimizer: Any) -> None:
        """Have the first step checked, where it is one process's, and looks are made at all."""
        settings = self.settings
        if not settings.check or not settings.probe_every or settings.cure is not None or self._together():
            return
        from steadygrad.launch.checking import CheckAtStart

        def guarded() -> Any:
            return self._watched[0].guard() if self._watched else None

        say = (lambda line: None) if settings.quiet else self._say
        self._check = CheckAtStart(model, optimizer, guarded, settings.clip, say)

    def _together(self) -> bool:
        torch = sys.modules["torch"]
        return bool(torch.distributed.is_available() and torch.distributed.is_initialized())

    def _cure_at_start(self, models: list[Any], optimizers: list[Any]) -> None:
        if len(models) > 1 or len(optimizers) > 1:
            self.tell(f"not cured at the start: {len(optimizers)} optimizers train {len(models)} models")
            return
        from steadygrad.launch.curing import CureAtStart

        self._cure = CureAtStart(models[0], optimizers[0], self._say)

    def _say(self, line: str) -> None:
        """Print a line of the guard's; name files relative to where the program was started."""
        self.tell(line.replace(f"{self.folder}{os.sep}", ""))

    def _journal_path(self) -> str | None:
        """Choose a file that does not exist yet, where none was named. Report once a folder that cannot be made."""
        if self.settings.no_journal:
            return None
        path = journal_path(self.settings.journal, self.folder, self.plan.began, first=not self._watched)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._once(
                f"no journal: cannot make the folder {path.parent} ({error.strerror}); name another with --journal"
            )
            return None
        return str(path)

    def _journal_folder(self) -> str:
        return str(Path(self.settings.journal).parent) if self.settings.journal is not None else FOLDER

    def _is_first_rank(self) -> bool:
        torch = sys.modules["torch"]
        shared = torch.distributed.is_available() and torch.distributed.is_initialized()
        return int(torch.distributed.get_rank() if shared else os.environ.get("RANK", "0") or 0) == 0

    def forked(self) -> None:
        """Leave to the parent what it watches: this is a forked child."""
        self._made, self._watched, self.children, self._closed, self._by_hand = [], [], 0, False, None
        self.backwards = self._ever_made = 0

    def dismiss(self) -> None:
        """Print nothing at the end: there was no program."""
        self._closed = True

    def close(self) -> None:
        """Detach what is still alive, and print how the run ended. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        if self._check is not None:
            self._check.close()
        self._leave_by_hand()
        for one in self._watched:
            guard = one.guard()
            if guard is not None:
                one.tally = finished(guard, one.tally)
        forked = os.getpid() != self._process
        if self._watched:
            self._tell_end()
        elif not (forked or self.child or self.settings.quiet) and os.environ.get("RANK", "0") == "0":
            made, unused = self._ever_made, len(self._made)
            self.tell(nothing_watched(made=made, unused=unused, backwards=self.backwards, children=self.children))

    def _tell_end(self) -> None:
        if not self._is_first_rank():
            return
        told = [one.tally for one in self._watched if not self.settings.quiet or one.tally.alarms]
        if any(not one.steps and not any(n for _, n in one.each) for one in told):
            self.tell(no_step_seen(self.backwards))
        folder = None if self.settings.no_journal else self._journal_folder()
        for lines in end_lines(
            told, SEVERAL, clips=self.settings.clip is not None, folder=self.folder, journals=folder
        ):
            self.tell(*lines)

    def _remember(self) -> None:
        """Note what is known of each guard: the program may drop what it watched before the end."""
        for one in self._watched:
            guard = one.guard()
            if guard is not None:
                one.tally = tally_of(guard)

    def _not_watched(self, error: Exception) -> None:
        self._once(f"the optimizer is not watched ({in_one_line(error)}); training goes on")

    def _once(self, line: str) -> None:
        if line not in self._told_of:
            self._told_of.add(line)
            self.tell(line)
