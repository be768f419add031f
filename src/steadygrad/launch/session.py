"""One watched process: what it makes is gathered, guarded at its first use, and told of at the end.

Holds no guard, model or optimizer alive: what the program drops is gone. Nothing here may raise into the program. Imports
the guard, and with it torch, only once the program has made an optimizer.
"""

from __future__ import annotations

import os
import sys
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from steadygrad.errors import JournalError, in_one_line
from steadygrad.launch.children import at_end_of_child, name_of_child
from steadygrad.launch.telling import Teller, summary_lines
from steadygrad.launch.unwatched import no_step_seen, nothing_watched
from steadygrad.settings import RunSettings

FOLDER = "runs"
"""Where journals go, unless told otherwise."""

SEVERAL = 4
"""Guards of one process that are each told of; of further ones only findings and alarms, and how many they were."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What one guard came to."""

    steps: int
    clipped_share: float
    alarms: tuple[Any, ...]
    journal: str | None
    first: tuple[Any, ...] = ()
    """Findings of the first step that are more than information."""
    each: tuple[tuple[str, int], ...] = ()
    """Of several optimizers what each is called, and its steps."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a process of the program is to be watched; goes into the processes that it starts."""

    settings: RunSettings
    folder: str
    """Where the program was started: paths are told, and journals kept, from here."""
    began: float
    """Seconds since the epoch."""


@dataclass(slots=True)
class _Watched:
    """One guard, as long as it is alive, and what was last known of it."""

    guard: weakref.ref[Any]
    tally: Tally


@dataclass(slots=True)
class _Made:
    """An optimizer that is not guarded yet, and the frame that made it."""

    optimizer: weakref.ref[Any]
    frame: FrameType | None


class Session:
    """Gathers optimizers, guards them together at the first use of a model, tells the end."""

    def __init__(self, plan: Plan, *, child: bool = False) -> None:
        self.plan = plan
        self.settings = plan.settings
        self.folder = Path(plan.folder)
        self.child = child
        self.tell = Teller(name_of_child)
        self.expect_use: Callable[[], None] = lambda: None
        """Set by whoever can tell of the first use of a model."""
        self.losses: Any = None
        """Whoever calls ``loss``, held here."""
        self.children = 0
        self.backwards = 0
        """Backward passes of this process, from one scalar each."""
        self._ever_made = 0
        self._process = os.getpid()
        self._made: list[_Made] = []
        self._watched: list[_Watched] = []
        self._told_of: set[str] = set()
        self._cure: Any = None
        self._check: Any = None
        self._closed = False
        self._busy = False

    def made(self, optimizer: Any, frame: FrameType | None) -> None:
        """The program has made an optimizer. It is guarded before a model is next used, or before its own first step."""
        try:
            self._ever_made += 1
            self._made.append(_Made(weakref.ref(optimizer), frame))
            self.expect_use()
        except Exception as error:
            self._not_watched(error)

    def loss(self, loss: Any) -> None:
        """The program is about to go backward from this scalar."""
        self.backwards += 1
        if self._made:
            self.guard_those_made()
        for one in (self._cure, self._check):
            if one is not None:
                one.backward(loss)

    def stepping(self, optimizer: Any) -> None:
        """An optimizer is about to take a step."""
        if self._check is not None:
            self._check.before_step(optimizer)

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
        from steadygrad._guard.attach import guard
        from steadygrad.act.on_alarm import OnAlarm
        from steadygrad.clip import Clip
        from steadygrad.launch.models import models_of
        from steadygrad.probe.copying import unwrapped
        from steadygrad.probe.inference import infer_constructions

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
            models.update((id(model), model) for model in found)
            for model in found:
                infer_constructions(unwrapped(model), frame)
        if not optimizers:
            return
        settings = self.settings
        if not self._watched and len(models) == len(optimizers) == 1:
            # Before the guard: what it says of the first step is then known when the guard comes to it.
            self._check_at_start(next(iter(models.values())), optimizers[0])
        as_told = partial(
            guard,
            list(models.values()),
            optimizers,
            clip=Clip.parse(settings.clip) if settings.clip is not None else None,
            on_alarm=OnAlarm.parse(settings.on_alarm),
            probe_every=settings.probe_every,
            budget=settings.budget,
            every=settings.every,
            quiet=settings.quiet or not self._is_first_rank() or len(self._watched) >= SEVERAL,
            say=self._say,
        )
        try:
            guarded = as_told(journal=self._journal_path() if self._is_first_rank() else None)
        except (JournalError, ImportError, OSError) as error:
            # What guards a run does not depend on what records it.
            self._once(f"no journal: {error}; the run is guarded without one")
            guarded = as_told(journal=None)
        self._watched.append(_Watched(weakref.ref(guarded), _tally(guarded)))
        if settings.cure is not None and len(self._watched) == 1:
            self._cure_at_start(list(models.values()), optimizers)
        if len(self._watched) == 1 and os.getpid() != self._process:
            at_end_of_child(self.close)

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
        """A line of the guard's; files are named from where the program was started."""
        self.tell(line.replace(f"{self.folder}{os.sep}", ""))

    def _journal_path(self) -> str | None:
        """A file that is not there yet, where none was named. A folder that cannot be made is told of once."""
        if self.settings.no_journal:
            return None
        if self.settings.journal is not None:
            path = self.folder / self.settings.journal
        else:
            path = self.folder / FOLDER / time.strftime("%Y-%m-%d-%H%M.sgj", time.localtime(self.plan.began))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._once(
                f"no journal: cannot make the folder {path.parent} ({error.strerror}); name another with --journal"
            )
            return None
        name = name_of_child()
        if name:
            path = path.with_name(f"{path.stem}-{name}{path.suffix}")
        # A journal that was named, and is there, is continued by the first guard.
        if self.settings.journal is None or self._watched:
            path = _free(path)
        return str(path)

    def _journal_folder(self) -> str:
        return str(Path(self.settings.journal).parent) if self.settings.journal is not None else FOLDER

    def _is_first_rank(self) -> bool:
        torch = sys.modules["torch"]
        shared = torch.distributed.is_available() and torch.distributed.is_initialized()
        return int(torch.distributed.get_rank() if shared else os.environ.get("RANK", "0") or 0) == 0

    def forked(self) -> None:
        """In a forked child: what the parent watches is the parent's."""
        self._made, self._watched, self.children, self._closed = [], [], 0, False
        self.backwards = self._ever_made = 0

    def dismiss(self) -> None:
        """There was no program: nothing is told at the end."""
        self._closed = True

    def close(self) -> None:
        """Detach what is still alive, and tell what the run came to. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        if self._check is not None:
            self._check.close()
        for one in self._watched:
            guard = one.guard()
            if guard is not None:
                one.tally = _finished(guard, one.tally)
        forked = os.getpid() != self._process
        if self._watched:
            self._tell_end()
        elif not (forked or self.child or self.settings.quiet) and os.environ.get("RANK", "0") == "0":
            self.tell(nothing_watched(made=self._ever_made, backwards=self.backwards, children=self.children))

    def _tell_end(self) -> None:
        if not self._is_first_rank():
            return
        told = [one.tally for one in self._watched if not self.settings.quiet or one.tally.alarms]
        if self.backwards and any(not one.steps and not any(n for _, n in one.each) for one in told):
            self.tell(no_step_seen(self.backwards))
        clips = self.settings.clip is not None
        if len(told) <= SEVERAL:
            for tally in told:
                self.tell(*summary_lines(tally, clips=clips, folder=self.folder))
            return
        # A search over settings trains one model after the other: those with an alarm, and how many there were.
        for tally in [one for one in told if one.alarms][:SEVERAL]:
            self.tell(*summary_lines(tally, clips=clips, folder=self.folder))
        steps, sick = sum(one.steps for one in told), sum(1 for one in told if one.alarms)
        kept = f"; {sum(1 for one in told if one.journal)} journals in {self._journal_folder()}"
        self.tell(
            f"{len(told)} sets of optimizers, {steps:,} steps, {sick} with an alarm{'' if self.settings.no_journal else kept}"
        )

    def _remember(self) -> None:
        """Note what is known of each guard: the program may drop what it watched before the end."""
        for one in self._watched:
            guard = one.guard()
            if guard is not None:
                one.tally = _tally(guard)

    def _not_watched(self, error: Exception) -> None:
        self._once(f"the optimizer is not watched ({in_one_line(error)}); training goes on")

    def _once(self, line: str) -> None:
        if line not in self._told_of:
            self._told_of.add(line)
            self.tell(line)


def _tally(guard: Any) -> Tally:
    first = tuple(one for look in guard.looks if look.step == 1 for one in look.findings if one.severity != "info")
    steps = tuple((name, one.step) for name, one in zip(guard.which, guard.optimizers, strict=True))
    return Tally(guard.steps, guard.clipped_share, tuple(guard.alarms), guard.journal, first, steps)


def _finished(guard: Any, known: Tally) -> Tally:
    """Of a guard at its end: what is unread is read, and the journal closed."""
    try:
        guard.detach()
        return _tally(guard)
    except Exception:
        return known


def _free(path: Path) -> Path:
    """The path, or the same with a number, that no file has."""
    number, found = 1, path
    while found.exists():
        number += 1
        found = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return found
