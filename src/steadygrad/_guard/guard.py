"""The guard of a training loop.

Composes the rooms: ``watch`` measures, ``detect`` judges, ``explain`` finds causes, ``act`` answers. This file alone prints
and writes.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter as clock
from typing import Any, Self

import torch
from torch import Tensor, nn

from steadygrad import numerals
from steadygrad._guard.at_exit import Ending, detach_forgotten, weakly
from steadygrad._guard.habits import clip_counts, habits_of, symptoms_at_end
from steadygrad._guard.journal import Writing
from steadygrad._guard.one_optimizer import GuardedOptimizer
from steadygrad._guard.options import Options
from steadygrad._guard.showing import Showing, as_html
from steadygrad._guard.state import load_plain, plain_state, summary_of
from steadygrad._guard.views import view_of
from steadygrad._guard.voice import Voice
from steadygrad._guard.which import labels, without_looks
from steadygrad.act.answers import Answers
from steadygrad.act.clipping import Clipper
from steadygrad.detect import clips, incidents, losses
from steadygrad.detect.history import SPIKE_DECADES, level_now
from steadygrad.detect.symptoms import Symptom
from steadygrad.explain.causes import explain
from steadygrad.explain.looks import Looks, holder_of
from steadygrad.numerals import percent
from steadygrad.record import Action, Alarm, Look
from steadygrad.record.rows import Rows, Updates
from steadygrad.report import alarms as words_of
from steadygrad.watch import loss_scale
from steadygrad.watch.distributed import holds_a_part, is_shared, rank, world
from steadygrad.watch.names import Names

guards: weakref.WeakKeyDictionary[torch.optim.Optimizer, weakref.ref[Guard]] = weakref.WeakKeyDictionary()
"""Weak on both sides: it is the optimizer's hooks that keep its guard alive."""
UNSEEN = 3
"""Steps without a hook after which that is said: once may be a program that writes its weights before it trains."""


class Guard:
    """Stands watch over optimizers. Made by ``guard``; a context manager that detaches at its end.

    ``steps``, ``alarms``, ``actions``, ``looks`` and ``clipped_share`` may be read at any time; they hold what was judged so
    far, which is at most half a second or 128 steps old.
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
        self.options, self.quiet, self.showing = options, quiet, Showing()
        self.book = incidents.Book()
        names = Names(roots)
        parameters = [p for o in optimizers for group in o.param_groups for p in group["params"]]
        self.shared = is_shared(roots, parameters)
        self.apart = not self.shared and holds_a_part(roots)
        self.voice = Voice(say, speaks=rank() == 0 or not self.shared)
        self.optimizers: list[GuardedOptimizer] = []
        self.answers = Answers(
            options.on_alarm,
            roots,
            self.optimizers,
            snapshot_every=options.snapshot_every,
            snapshot_bytes=options.snapshot_bytes,
        )
        self.acts, self.rests, self.keeps = self.answers.on, options.every > 1, self.answers.keeps
        holders = [holder_of(root, optimizers) for root in roots]
        self.which = labels(names.models, optimizers, holders)
        self._unseen = without_looks(self.which, holders) if options.probe_every else []
        self.looking = Looks(roots, options.probe_every, holders, names.prefixes)
        for index, optimizer in enumerate(optimizers):
            clipper = Clipper(options.clip) if options.clip is not None else None
            one = GuardedOptimizer(
                self, index, optimizer, names, clipper=clipper, every=options.every, budget=options.overhead
            )
            one.watch.look_at = self.looking.next_for(index, 0)
            one.captures = self.looking.captures(index)
            self.optimizers.append(one)
        try:
            here = rank() == 0 or not (self.shared or self.apart)
            self.writing = Writing.opened(
                roots, self.optimizers, names, options, weakly(self.voice.complain), here=here
            )
        except BaseException:
            self._unhook()
            raise
        for optimizer in optimizers:
            guards[optimizer] = weakref.ref(self)
        self.ending = Ending(self)
        if self.apart and rank() == 0:
            self._note_once(0, words_of.PARTS.format(world()))

    # What a user reads and calls

    @property
    def steps(self) -> int:
        """Steps that the first optimizer has taken."""
        return self.optimizers[0].step

    @property
    def alarms(self) -> list[Alarm]:
        """All alarms so far, in the order in which they were raised; then those of this process's own loss, among several."""
        own = [alarm for one in self.optimizers if one.own_loss is not None for alarm in one.own_loss.book.alarms]
        return [*self.book.alarms, *own] if own else self.book.alarms

    @property
    def actions(self) -> list[Action]:
        """All actions so far."""
        return self.answers.done

    @property
    def looks(self) -> list[Look]:
        """All looks so far."""
        return self.looking.made

    @property
    def clipped_share(self) -> float:
        """Share of the steps on which a clip acted, the program's own or the guard's, in [0, 1]."""
        steps, acted = clip_counts(self.optimizers)
        return acted / steps if steps else 0.0

    @property
    def journal(self) -> str | None:
        """Path of the journal, where there is one."""
        return self.writing.path

    def record_loss(self, loss: Tensor | float) -> None:
        """Give the loss of the coming step, where it is not the one that goes backward. Waits for nothing."""
        for one in self.optimizers:
            one.watch.record_loss(loss)

    def summary(self) -> dict[str, Any]:
        """Return steps, alarms by code, actions by kind, share clipped, looks."""
        return summary_of(self)

    def flush(self) -> None:
        """Judge what is unread, and wait until the journal holds it."""
        for one in self.optimizers:
            if not one.off:
                one.watch.look_back()
                one.judge()
        self._summarise()
        self.writing.flush()

    def show(self) -> None:
        """Show loss, gradient norms and alarms so far.

        In a notebook the picture stays live while the guard is attached: it is drawn on a thread of its own, at most twice a
        second and within the share of the time that ``overhead`` gives. This needs the extra "notebook" (anywidget); without
        it the picture is drawn once. Elsewhere this prints what ``steadygrad show`` prints of a journal.
        """
        if not self.showing.over and not self.shared:
            self.flush()
        self.showing.show(self)

    def _repr_html_(self) -> str:
        return as_html(self)

    def detach(self) -> None:
        """Take every hook away and close the journal. A second call does nothing."""
        # The training is over: there is nothing to act upon, and nothing to raise.
        self.answers.on = False
        for one in self.optimizers:
            if not one.off:
                one.watch.look_back()
                one.judge()
                for symptom in symptoms_at_end(one):
                    self._symptom(one, symptom)
        self._unhook()
        self._summarise()
        self.writing.close()
        self.showing.end()
        self.ending.over(self)

    def _unhook(self) -> None:
        for one in self.optimizers:
            one.remove()
            if (kept := guards.get(one.optimizer)) is not None and kept() in (None, self):
                del guards[one.optimizer]  # That of a successor stays.
        self.looking.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.detach()

    def __del__(self) -> None:
        if hasattr(self, "ending"):
            detach_forgotten(self)

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dicts: running medians, levels, clip state and step counts."""
        return plain_state(self.optimizers)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from ``state_dict``'s. Raises ``SettingsError`` where it is not one, or of other optimizers."""
        load_plain(self.optimizers, state)
        for one in self.optimizers:
            one.watch.look_at = self.looking.next_for(one.index, one.step)

    def __repr__(self) -> str:
        steps, _ = clip_counts(self.optimizers)
        clip = f", clipped {percent(self.clipped_share)}" if steps else ""
        return f"<guard: {self.steps:,} steps{clip}, {numerals.count(len(self.alarms), 'alarm')}>"

    # What the optimizers ask and report

    def about_to_read(self) -> None:
        """Have what the models are given kept, where a coming step is read."""
        self.looking.arm(any(one.watch.due and not one.off for one in self.optimizers))

    def stands_aside(self, one: GuardedOptimizer, error: Exception) -> bool:
        """Return whether an error is of the user's own function, which goes through; else rest, and report it as ours."""
        if self.answers.raised_by_callback is error:
            return True
        self.rests = True
        for capture in one.captures:
            capture.given = None
        self.voice.complain(f"the guard failed and stands aside ({type(error).__name__}: {error}); training goes on")
        return False

    def look(self, one: GuardedOptimizer, norm: float) -> None:
        """The look that is due at this step, where nothing speaks against it."""
        one.watch.look_at = self.looking.next_for(one.index, one.step)
        if one.step > 1 and not one.budget.allows("looks", clock()):
            self._note_once(one.step, words_of.LEFT_OUT.format(self.options.overhead))
        elif not one.hidden and (not self.shared or rank() == 0):
            scale = loss_scale.of_backward(one.watch.scaler)
            found = self.looking.by_the_clock(one.index, one.step, norm, scale)
            self.writing.look(found)
            for symptom in self.looking.over_looks(one.index, one.step, one.columns):
                self._symptom(one, symptom)
            if found.note and not found.verdict:
                self._note_once(found.step, self._of(one, f"step {found.step:,}: {found.note}"))
            for line in words_of.look_lines(found):
                if not self.quiet or "[SG" in line:
                    self.voice.say(self._of(one, line))
            while one.step == 1 and self._unseen:
                self._note_once(1, self._unseen.pop())

    def rows(self, one: GuardedOptimizer, rows: Rows) -> None:
        """Into the journal."""
        self.writing.rows(one.index, one.columns.names, rows)
        self.looking.note_inputs(one.index)

    def updated(self, one: GuardedOptimizer, seen: Updates) -> None:
        """Weights and updates of one step, into the journal where they are exact."""
        if seen.exact:
            self.writing.weights(one.index, one.columns.names, seen.step, seen.weights, seen.ratios)

    def found(self, one: GuardedOptimizer, symptoms: Sequence[Symptom]) -> None:
        """Judge rows and updates: alarms that are new or go on, and those that have ended."""
        more = [*symptoms, *clips.judge_habits(habits_of(one))]
        if losses.worth_a_question(one.state.losses):
            still = losses.stands_still(one.state, one.step, self.looking.spread())
            self.looking.ask_for_spread()
            more += [still] if still is not None else []
        for symptom in more:
            self._symptom(one, symptom)
        level, interval = level_now(one.state), self.options.every
        closed = incidents.close_quiet(self.book, optimizer=one.index, step=one.step, interval=interval, level=level)
        for alarm in closed:
            self.writing.alarm(alarm)

    def found_here(self, one: GuardedOptimizer, alarms: Sequence[Alarm]) -> None:
        """Judge this process's own loss and print what it shows, whichever process it is."""
        for alarm in alarms:
            line = self._of(one, words_of.in_words(alarm))
            self.writing.note(alarm.step, line)
            self.voice.print(line)

    def stepped(self, one: GuardedOptimizer) -> None:
        """Take a snapshot after a step, where snapshots are kept, it is time and nothing is wrong."""
        if not incidents.is_ill(self.book):
            why_not = self.answers.keep(one)
            if why_not is not None:
                self._note_once(one.step, why_not)

    def stepped_unseen(self, one: GuardedOptimizer) -> None:
        """Say once, after a step that called no hook, what is not seen of such steps."""
        if one.watch.unseen_steps == UNSEEN:
            self._note_once(one.step, self._of(one, words_of.UNSEEN.format(one.step)))

    # Alarms

    def _symptom(self, one: GuardedOptimizer, symptom: Symptom) -> None:
        delay = 0 if symptom.at_step else self.options.every - 1
        usual = float(one.state.median[-1]) + SPIKE_DECADES
        alarm, new, sharper = incidents.gather(
            self.book, symptom, one.columns, optimizer=one.index, step=one.step, delay=delay, usual=usual
        )
        if new or sharper:
            alarm = self._explained(one, symptom, alarm)
        self.answer(one, symptom, alarm, new=new, tell=new or sharper)

    def answer(self, one: GuardedOptimizer, symptom: Symptom, alarm: Alarm, *, new: bool, tell: bool) -> None:
        """Act as was asked, write and print."""
        done = self.answers.answer(one, symptom, alarm, new=new, journal=self.journal)
        if done is not None:
            self.writing.action(done)
            if any(each.alarm == alarm.number for each in self.actions[:-1]):
                self.voice.say(self._of(one, f"step {one.step:,}: {done.message}"))
            alarm = replace(alarm, action=done.message)
        self.book.alarms[alarm.number - 1] = alarm
        self.writing.alarm(alarm)
        if tell:
            self.voice.say(self._of(one, words_of.in_words(alarm)))
        if self.answers.stopped is not None and self.answers.on:
            raise self.answers.stopped

    def _explained(self, one: GuardedOptimizer, symptom: Symptom, alarm: Alarm) -> Alarm:
        found = explain(alarm, symptom, view_of(one, self.looking, shared=self.shared), self.looking)
        if found.look is not None:
            self.writing.look(found.look)
        if found.by_rank is not None:
            self.writing.extremes(one.step, found.by_rank)
        explained = replace(found.alarm, rank=rank()) if self.apart else found.alarm
        return replace(explained, advice=words_of.advice(explained.code, found.kind, line=bool(explained.location)))

    # Printing and the journal

    def _summarise(self) -> None:
        steps, acted = clip_counts(self.optimizers)
        values = {"steps": self.steps, "clipped": acted, "clip_steps": steps, "interval": self.options.every}
        self.writing.summary({name: float(value) for name, value in values.items()})

    def _of(self, one: GuardedOptimizer, line: str) -> str:
        return f"{self.which[one.index]}: {line}" if self.which[one.index] else line

    def _note_once(self, step: int, line: str) -> None:
        if self.voice.is_new(line):
            self.writing.note(step, line)
            if not self.quiet:
                self.voice.say(line)
