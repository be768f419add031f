"""``guard``: one line that makes a training loop watched, and the object that it gives.

Puts the room's pieces together: lanes (one an optimizer) measure, the policy judges, ``cause`` explains, ``acting`` does what
is to be done about it, ``writing`` keeps it, and this file tells it.
"""

from __future__ import annotations

import atexit
import math
import sys
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from os import PathLike, fspath
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from steadygrad._guard.journal import Writing
from steadygrad._guard.options import Options, check_subjects, several
from steadygrad.act.answers import Acting
from steadygrad.act.clipping import Clipper
from steadygrad.act.on_alarm import OnAlarm
from steadygrad.clip import Clip
from steadygrad.detect import incidents
from steadygrad.detect import judge as policy
from steadygrad.detect.history import State
from steadygrad.detect.symptoms import Symptom
from steadygrad.errors import SettingsError
from steadygrad.explain.causes import explained
from steadygrad.explain.looks import LOOK_SHARE, Looks
from steadygrad.explain.weights import Weighed
from steadygrad.record import Action, Alarm, Finding, Look, Severity
from steadygrad.record.rows import Rows
from steadygrad.report import words
from steadygrad.watch.distributed import is_shared, rank
from steadygrad.watch.names import Names
from steadygrad.watch.steps import Lane
from steadygrad.watch.updates import Sample

if TYPE_CHECKING:
    from steadygrad.journal import Journal

SNAPSHOT_EVERY = 100
SNAPSHOT_BYTES = 4 * 2**30

_guarded: weakref.WeakKeyDictionary[torch.optim.Optimizer, weakref.ref[Guard]] = weakref.WeakKeyDictionary()
"""Weak on both sides: it is the optimizer's hooks that keep its guard alive."""


def guard(
    model: nn.Module | Sequence[nn.Module],
    optimizer: torch.optim.Optimizer | Sequence[torch.optim.Optimizer],
    *,
    clip: Clip | None = None,
    on_alarm: str | Callable[[Alarm], Any] | OnAlarm = "warn",
    journal: str | PathLike[str] | Journal | None = None,
    probe_every: int = 1000,
    budget: float = 0.01,
    every: int | None = None,
    snapshot_every: int = SNAPSHOT_EVERY,
    snapshot_bytes: int = SNAPSHOT_BYTES,
    quiet: bool = False,
    say: Callable[[str], None] | None = None,
) -> Guard:
    """Watch every step of ``optimizer`` from now on; the training loop stays as it is.

    Args:
        model: The module whose call makes the forward pass (wrapped as it is used), or several of them.
        optimizer: One, or several that train together.
        clip: Bounds gradients before each step; the norms that it needs are those that are watched.
        on_alarm: "warn", "skip" the step, "lower" the rate, "clip" harder, "rollback" to the last good snapshot, "stop",
            a function of the alarm, or an ``OnAlarm`` with limits.
        journal: File that the run is recorded in (SQLite); None keeps alarms in memory alone.
        probe_every: Steps between two full probes of the step at hand; the first step is always looked at. 0: none, on alarms
            neither; nothing is then kept of a step but its inputs, and less can be told of causes.
        budget: Share of a step's time that watching may take; from it follows how many steps are passed over.
        every: Watch each ``every``-th step, whatever it costs.
        snapshot_every: Steps between two snapshots, where ``on_alarm`` rolls back.
        snapshot_bytes: Most that one snapshot may take.
        quiet: Tell alarms only.
        say: Where lines for the user go; standard error when None.

    Returns:
        The guard. An optimizer that is already guarded in the same way gives the guard that it has.

    Raises:
        SteadygradError: Something given cannot be; the message says what. Never raised by a step, but for
            ``TrainingStopped`` where ``on_alarm`` says "stop".
    """
    optimizers, roots = several(optimizer), several(model)
    options = Options(
        clip=clip,
        on_alarm=on_alarm if isinstance(on_alarm, OnAlarm) else OnAlarm(on_alarm),
        journal=fspath(journal) if isinstance(journal, PathLike) else journal,
        probe_every=probe_every,
        budget=budget,
        every=every,
        snapshot_every=snapshot_every,
        snapshot_bytes=snapshot_bytes,
    )
    check_subjects(roots, optimizers)
    known = {id(found): found for one in optimizers if (found := _guard_of(one)) is not None}
    if known:
        (first, *more) = known.values()
        if not more and first.options == options and all(_guard_of(one) is first for one in optimizers):
            return first
        raise SettingsError("this optimizer is already guarded with other settings; call detach() of that guard first")
    made = Guard(roots, optimizers, options, quiet=quiet, say=say)
    for one in optimizers:
        _guarded[one] = weakref.ref(made)
    return made


def _guard_of(optimizer: torch.optim.Optimizer) -> Guard | None:
    kept = _guarded.get(optimizer)
    return None if kept is None else kept()


class Guard:
    """Stands watch over optimizers. Made by ``guard``; a context manager that detaches at its end.

    ``steps``, ``alarms``, ``actions``, ``looks``, ``clipped_share`` and ``interval`` may be read at any time; they hold what
    was judged so far, which is at most half a second or 64 read steps old.
    """

    def __init__(
        self,
        roots: Sequence[nn.Module],
        optimizers: Sequence[torch.optim.Optimizer],
        options: Options,
        *,
        quiet: bool,
        say: Callable[[str], None] | None,
    ) -> None:
        self.options = options
        self.quiet = quiet
        self._say = say
        self.book = incidents.Book()
        self._roots = list(roots)
        self.names = Names(roots)
        parameters = [p for o in optimizers for group in o.param_groups for p in group["params"]]
        self.shared = is_shared(roots, parameters)
        self._speaks = not self.shared or rank() == 0
        self._weights: dict[int, Weighed] = {}
        self._loss: Tensor | None = None
        self._notes: set[str] = set()
        self.looking = Looks(roots, options.probe_every, lambda found: self.writing.look(found))
        self.lanes: list[Lane] = []
        self.acting = Acting(
            options.on_alarm,
            roots,
            self.lanes,
            snapshot_every=options.snapshot_every,
            snapshot_bytes=options.snapshot_bytes,
        )
        for index, optimizer in enumerate(optimizers):
            clipper = Clipper(options.clip) if options.clip is not None else None
            self.lanes.append(Lane(self, index, optimizer, clipper))
        self.looking.follow(self.lanes)
        try:
            self.writing = self._open(options.journal)
        except BaseException:
            self._unhook()
            raise
        self._at_exit = _detach_at_exit(self)

    # What a user reads and calls

    @property
    def steps(self) -> int:
        """Steps that the first optimizer has taken."""
        return self.lanes[0].step

    @property
    def alarms(self) -> list[Alarm]:
        """All alarms so far, in the order in which they were told."""
        return self.book.alarms

    @property
    def actions(self) -> list[Action]:
        """All actions so far."""
        return self.acting.done

    @property
    def interval(self) -> int:
        """Each how many steps the first optimizer's gradients are read."""
        return self.lanes[0].interval

    @property
    def looks(self) -> list[Look]:
        """All looks so far."""
        return self.looking.made

    @property
    def clipped_share(self) -> float:
        """Share of the steps on which the clip acted, in [0, 1]."""
        clippers = [lane.clipper for lane in self.lanes if lane.clipper is not None]
        steps = sum(one.steps for one in clippers)
        return sum(one.acted for one in clippers) / steps if steps else 0.0

    @property
    def journal(self) -> str | None:
        """Path of the journal, where there is one."""
        return self.writing.path

    def record_loss(self, loss: Tensor | float) -> None:
        """Tell the loss of the coming step; it is kept on its device until it is written. Costs no waiting."""
        self._loss = loss.detach() if isinstance(loss, Tensor) else torch.tensor(float(loss))

    def summary(self) -> dict[str, Any]:
        """Steps, alarms by code, actions by kind, share clipped, interval, looks."""
        counts: dict[str, int] = {}
        for alarm in self.alarms:
            counts[alarm.code] = counts.get(alarm.code, 0) + 1
        kinds: dict[str, int] = {}
        for action in self.actions:
            kinds[action.kind] = kinds.get(action.kind, 0) + 1
        return {
            "steps": self.steps,
            "alarms": counts,
            "actions": kinds,
            "clipped_share": self.clipped_share,
            "interval": self.interval,
            "looks": len(self.looks),
            "journal": self.journal,
        }

    def flush(self) -> None:
        """Judge what is unread, and wait until the journal holds it."""
        for lane in self.lanes:
            if not lane.off:
                lane.judge()
        self._summarise()
        self.writing.flush()

    def detach(self) -> None:
        """Take every hook away and close the journal. A second call does nothing."""
        # The training is over: there is nothing to act upon, and nothing to raise.
        self.acting.on = False
        for lane in self.lanes:
            if not lane.off:
                lane.judge()
                self._misfit(lane)
        self._unhook()
        self._summarise()
        self.writing.close()
        atexit.unregister(self._at_exit)

    def _unhook(self) -> None:
        for lane in self.lanes:
            lane.remove()
            _guarded.pop(lane.optimizer, None)
        self.looking.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.detach()

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dicts: running medians, levels, clip state and step counts."""
        return {
            "version": 1,
            "lanes": [
                {
                    "step": lane.step,
                    "policy": lane.state.as_plain(),
                    "clip": None if lane.clipper is None else lane.clipper.as_plain(),
                    "rate_factor": lane.rate_factor,
                }
                for lane in self.lanes
            ],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from ``state_dict``'s. Raises ``SettingsError`` where it is not one, or of other optimizers."""
        if not isinstance(state, dict) or state.get("version") != 1 or not isinstance(state.get("lanes"), list):
            raise SettingsError("this is no state of a guard; pass what guard.state_dict() gave")
        if len(state["lanes"]) != len(self.lanes):
            raise SettingsError(f"the state is of {len(state['lanes'])} optimizers, this guard has {len(self.lanes)}")
        for lane, kept in zip(self.lanes, state["lanes"], strict=True):
            lane.go_on_at(int(kept["step"]))
            lane.state = State.from_plain(lane.columns, kept["policy"])
            lane.rate_factor = float(kept["rate_factor"])
            if lane.clipper is not None and kept["clip"] is not None:
                lane.clipper.load_plain(kept["clip"])

    def __repr__(self) -> str:
        clip = f", clipped {self.clipped_share:.1%}" if self.options.clip is not None else ""
        return f"<guard: {self.steps:,} steps{clip}, {words.count(len(self.alarms), 'alarm')}>"

    # What lanes ask and tell

    def say(self, line: str) -> None:
        if self._speaks:
            self._tell(line)

    def _tell(self, line: str) -> None:
        if self._say is not None:
            self._say(line)
        else:
            sys.stderr.write(f"steadygrad: {line}\n")
            sys.stderr.flush()

    def complain(self, line: str) -> None:
        """Tell something about the guard itself, once."""
        if line not in self._notes:
            self._notes.add(line)
            self._tell(line)

    @property
    def fixed_interval(self) -> int | None:
        """Each how many steps are read, where that does not follow from the budget."""
        if self.options.every is not None:
            return self.options.every
        return 1 if self.options.clip is not None or self.options.on_alarm.kind != "warn" else None

    def publish(self, lane: Lane, share: float) -> None:
        """Say each how many steps are read, and what that costs."""
        which = f"optimizer {lane.index}: " if len(self.lanes) > 1 else ""
        every = "every step" if lane.interval == 1 else f"every {_ordinal(lane.interval)} step"
        line = f"{which}reads {every}, which takes {share / lane.interval:.1%} of a step"
        self.writing.note(lane.step, line)

    def look_by_the_clock(self, lane: Lane, row: Tensor) -> None:
        """The look that is due at this step, where nothing speaks against it. ``row``: the norms of the step."""
        if not self.looking.within_share:
            share = f"{LOOK_SHARE:.0%}".replace("%", " %")
            line = f"looks would take more than {share} of the run's time: some are left out"
            self._note_once(lane.step, line, tell=False)
        elif not lane.hidden and (not self.shared or rank() == 0):
            norm = float(np.linalg.norm(row.cpu().numpy().astype(np.float64)))
            self._say_look(self.looking.by_the_clock(lane, norm))

    def write_rows(self, lane: Lane, rows: Rows) -> None:
        """Into the journal, with the loss that was told for the last of them."""
        self.writing.rows(lane.index, lane.columns.names, rows, self._loss if lane.index == 0 else None)
        self._summarise()

    def judged(self, lane: Lane, rows: Rows, symptoms: Sequence[Symptom]) -> None:
        """Symptoms of some rows: told, acted upon, written."""
        for symptom in symptoms:
            self._symptom(lane, symptom)
        for alarm in incidents.close_quiet(
            self.book, optimizer=lane.index, step=int(rows.steps[-1]), interval=lane.interval
        ):
            self.writing.alarm(alarm)
            if not self.quiet:
                self.say(
                    f"step {rows.steps[-1]:,}: the {alarm.name} of step {alarm.step:,} has ended at {alarm.last_step:,}"
                )

    def sampled(self, lane: Lane, sample: Sample) -> None:
        """Exact updates of one step."""
        weights, ratios = sample.read()
        self._weights.setdefault(lane.index, Weighed(len(weights))).add(sample.step, weights, ratios)
        self.writing.weights(lane.index, lane.columns.names, sample.step, weights, ratios)
        until = lane.next_sample
        if not (ratios > 0).any():
            # Whether there were gradients is told by the rows.
            lane.judge()
        symptoms = policy.judge_updates(lane.state, sample.step, ratios, sample.rate, leapt=sample.leapt)
        if symptoms:
            # What the rows show came before what their step did.
            lane.judge()
        for symptom in symptoms:
            self._symptom(lane, replace(symptom, last_step=until))

    def forget_weights(self, lane: Lane) -> None:
        """Its columns are others now: what was known of its weights is of the old ones."""
        self._weights.pop(lane.index, None)
        self.writing.forget(lane.index)

    def stepped(self, lane: Lane) -> None:
        """After a step, where snapshots are kept: one is taken when it is time and nothing is wrong."""
        why_not = None if self.book.open else self.acting.keep(lane)
        if why_not is not None:
            self._note_once(lane.step, why_not)

    # Alarms

    def _symptom(self, lane: Lane, symptom: Symptom) -> None:
        alarm, new = incidents.gather(
            self.book, symptom, lane.columns, optimizer=lane.index, step=lane.step, delay=lane.interval - 1
        )
        if new:
            weighed = self._weights.get(lane.index) or Weighed(len(lane.parameters))
            alarm = explained(
                alarm,
                symptom,
                lane,
                weighed=weighed,
                looks=self.looking,
                writing=self.writing,
                shared=self.shared,
            )
        done = self.acting.answer(lane, symptom, alarm, new=new, journal=self.journal)
        if done is not None:
            self.writing.action(done)
            if any(one.alarm == alarm.number for one in self.actions[:-1]):
                self.say(f"step {lane.step:,}: {done.message}")
            alarm = replace(alarm, action=done.message)
        self.book.alarms[alarm.number - 1] = alarm
        self.writing.alarm(alarm)
        if new:
            self.say(incidents.in_words(alarm))
        if self.acting.stopped is not None:
            raise self.acting.stopped

    def _say_look(self, found: Look) -> None:
        when = "first step" if found.step == 1 else f"step {found.step:,}"
        shown = [one for one in found.findings if one.severity is not Severity.INFO]
        if found.note and not found.verdict:
            self._note_once(found.step, f"{when}: {found.note}")
        for finding in shown:
            self.say(f"{when}: {_finding_line(finding)}")
        if not shown and found.verdict and found.step == 1 and not self.quiet:
            decades = "" if found.decades is None else f", {found.decades:+.1f} decades along the trunk"
            if found.decades == -math.inf:
                decades = ", no gradient behind a layer that begins at zero"
            self.say(f"{when}: {found.verdict}{decades}")

    # The journal

    def _open(self, given: str | Journal | None) -> Writing:
        about: dict[str, str | float] = {
            "torch": torch.__version__,
            "model": ", ".join(type(root).__name__ for root in self._roots),
            "optimizer": ", ".join(type(lane.optimizer).__name__ for lane in self.lanes),
            "clip": "" if self.options.clip is None else str(self.options.clip),
            "on_alarm": getattr(self.options.on_alarm.kind, "__name__", str(self.options.on_alarm.kind)),
        }
        columns = [[(p, self.names.of(p)) for p in self._columns_in_journal(lane)] for lane in self.lanes]
        return Writing(given if self._speaks else None, columns, about, self.complain)

    def _columns_in_journal(self, lane: Lane) -> list[Tensor]:
        """The optimizer's parameters; for the first one also those that no optimizer holds yet: they may be added."""
        if lane.index != 0:
            return lane.parameters
        others = {id(p) for one in self.lanes if one is not lane for p in one.parameters}
        own = {id(p): p for p in (*lane.parameters, *(p for root in self._roots for p in root.parameters()))}
        return self.names.in_depth([p for key, p in own.items() if key not in others])

    def _summarise(self) -> None:
        clippers = [lane.clipper for lane in self.lanes if lane.clipper is not None]
        values = {
            "steps": float(self.steps),
            "clipped": float(sum(one.acted for one in clippers)),
            "clip_steps": float(sum(one.steps for one in clippers)),
            "interval": float(self.interval),
        }
        self.writing.summary(values)

    def _note_once(self, step: int, line: str, *, tell: bool = True) -> None:
        if line not in self._notes:
            self._notes.add(line)
            self.writing.note(step, line)
            if tell and not self.quiet:
                self.say(line)

    def _misfit(self, lane: Lane) -> None:
        """SG306, once there is enough to tell by."""
        if lane.clipper is None:
            return
        symptom = policy.judge_clip(
            str(lane.clipper.clip), lane.clipper.steps, lane.clipper.acted, lane.clipper.turns, lane.step
        )
        if symptom is not None:
            self._symptom(lane, symptom)


def _detach_at_exit(made: Guard) -> Callable[[], None]:
    """At exit, what is unread is read and the journal closed; the guard may be gone by then."""
    reference = weakref.ref(made)

    def finish() -> None:
        alive = reference()
        if alive is not None:
            alive.detach()

    atexit.register(finish)
    return finish


def _finding_line(finding: Finding) -> str:
    where = f" {finding.location}" if finding.location is not None else (f" {finding.module}" if finding.module else "")
    return f"{finding.severity}[{finding.code}]{where} {finding.message}"


def _ordinal(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th") if number % 100 not in (11, 12, 13) else "th"
    return f"{number}{ending}"
