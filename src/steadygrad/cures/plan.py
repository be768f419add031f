"""The planner: it tries candidates on copies, least intrusive first, and judges them by the same check as the sick model.

It takes the first candidate that makes the verdict healthy. Where this one memorises, it takes one of its group that does
not. A clip joins it where every faster rate diverges. Where no single candidate heals, the planner joins others to the
best. It never returns a cure that it has not seen to work. ``cure`` is the public function; ``cure_subject`` is what it and
the command line share.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from steadygrad import cures
from steadygrad._check import check_subject
from steadygrad.clip import Clip
from steadygrad.clip.hook import hook_for
from steadygrad.copies.copying import unwrapped
from steadygrad.cures.candidates import candidates_for, check_options, join
from steadygrad.cures.cured import Cured
from steadygrad.cures.editable_copy import editable_copy_of
from steadygrad.cures.evaluate import BEGINS, STIRS, Options, Outcome, Progress, try_out, wait_for, without_rate
from steadygrad.cures.long_run import GENERALISES
from steadygrad.cures.reasons import CLIP, rank, why, why_none
from steadygrad.record import Candidate, CheckRecord, Verdict
from steadygrad.source.inferred_constructions import infer_constructions
from steadygrad.source.user_errors import raised_as_theirs
from steadygrad.subject.optimizers import OptimizerLike
from steadygrad.subject.subject import Subject, make_subject
from steadygrad.written import names, seconds

NOISE = 0.02
"""Share of the loss by which trainings of one set-up differ between seeds."""

JOINED = 3
"""Candidates in one plan at most."""

AWAITED = 2
"""Of what is healthy by the check and has not begun to learn, the first so many get a run of 300 steps where nothing heals."""


def cure(
    model: nn.Module,
    batch: Any = None,
    loss_fn: Callable[..., torch.Tensor] | None = None,
    *,
    optimizer: OptimizerLike = None,
    clip: Clip | str | None = None,
    seed: int = 0,
    trial: int | None = None,
    keep: Iterable[str] | str = (),
    allow: Iterable[str] | str = (),
    only: Iterable[str] | str = (),
    best: bool = False,
    compare: bool = False,
    budget: float | str | None = None,
) -> Cured:
    """Try cures on copies of ``model`` and find the least intrusive one that makes it healthy.

    Args:
        model: As for ``check``.
        batch: As for ``check``.
        loss_fn: As for ``check``.
        optimizer: As for ``check``.
        clip: As for ``check``.
        seed: As for ``check``.
        trial: As for ``check``.
        keep: What must stay: "activation", "architecture", "optimizer", "numbers", "set-up".
        allow: Groups of cures that may be used; all by default.
        only: Names of cures (``steadygrad cures``) or candidates to try, and no others.
        best: Try all, and take the fastest learner of those that heal.
        compare: After the first that heals, try one of each group that changes more.
        budget: Time after which no further cure is tried: seconds, or "60s", "5m".

    Returns:
        ``.model`` (a new one), ``.optimizer`` (same class, on the new parameters, rate step-tested), ``.changes``,
        ``.before``, ``.after``, ``.tried``. If no cure helps, ``.taken`` is None and the model is a plain copy.

    Raises:
        SteadygradError: The model cannot be checked or copied, or options contradict each other.
        Exception: Whatever the model itself raises.

    Example:
        >>> import torch, steadygrad as sg
        >>> from torch import nn
        >>> hidden = [layer for _ in range(15) for layer in (nn.Linear(16, 16), nn.Sigmoid())]
        >>> model = nn.Sequential(*hidden, nn.Linear(16, 4))
        >>> x = torch.randn(64, 16)
        >>> cured = sg.cure(model, (x, x[:, :4].argmax(1)), nn.functional.cross_entropy, budget="2m")
        >>> cured.before.verdict.value, cured.after.verdict.value
        ('will not train', 'healthy')
        >>> trained_as_before = cured.model, cured.optimizer
    """
    options = plan_of(keep, allow, only, best, compare, budget, trial)
    with raised_as_theirs():
        subject = make_subject(model, batch, loss_fn, optimizer=optimizer, seed=seed, before_step=hook_for(clip))
        infer_constructions(unwrapped(model), sys._getframe(1))
        return cure_subject(subject, options)


def plan_of(
    keep: Iterable[str] | str,
    allow: Iterable[str] | str,
    only: Iterable[str] | str,
    best: bool,
    compare: bool,
    budget: float | str | None,
    trial: int | None,
    *,
    safe: bool = False,
) -> Options:
    """What ``cure`` was given, checked. Raises ``SettingsError``."""
    return Options(
        keep=names(keep, "keep"),
        allow=names(allow, "allow"),
        only=names(only, "only"),
        best=best,
        compare=compare,
        budget=seconds(budget, "budget"),
        trial=trial,
        safe=safe,
    )


def cure_subject(subject: Subject, options: Options | None = None, progress: Progress | None = None) -> Cured:
    """Plan for a subject that has been put together already; the subject is not changed."""
    options = options or Options()
    check_options(options)
    say = progress or (lambda _: None)
    began = time.perf_counter()
    say("checking")
    before = check_subject(subject, trial=options.trial, progress=progress)
    start = editable_copy_of(subject, before.trace)
    outcomes: list[Outcome] = []
    words = ""

    def late() -> bool:
        return options.budget is not None and time.perf_counter() - began > options.budget

    taken: Outcome | None = None
    if before.verdict is Verdict.HEALTHY and not (options.best or options.only):
        words = "nothing to cure: the model is healthy as set up"
    else:
        candidates = candidates_for(start, before, options)
        taken = _first(subject, before, candidates, options, outcomes, late, say)
        if taken is not None and taken.slowed and _memorises(taken, options) and not late():
            taken = _clipped(subject, before, taken, candidates, options, outcomes, say)
        if taken is None:
            taken = _awaited(subject, options, outcomes, late, say)
        if taken is None and not late() and not options.only:
            taken = _joined(subject, before, candidates, options, outcomes, late, say)
        if taken is None:
            taken = _nearly_best([one for one in outcomes if one.healthy and one.learned >= BEGINS])
        words = (
            why(taken, outcomes, options)
            if taken is not None
            else why_none(outcomes, candidates, late(), before.findings)
        )
    if taken is None:
        model, optimizer, after = start.model, start.optimizer, before
        loss_fn = None
    else:
        assert taken.copy is not None
        assert taken.report is not None
        model, optimizer, after = taken.copy.model, taken.copy.optimizer, taken.report
        loss_fn = taken.copy.new_loss
    return Cured(
        tried=tuple(replace(one.tried, taken=one is taken) for one in outcomes),
        before=before,
        after=after,
        words=words,
        seed=subject.seed,
        seconds=time.perf_counter() - began,
        model=model,
        optimizer=optimizer,
        loss_fn=loss_fn,
    )


def _first(
    subject: Subject,
    before: CheckRecord,
    candidates: Iterable[Candidate],
    options: Options,
    outcomes: list[Outcome],
    late: Callable[[], bool],
    say: Progress,
) -> Outcome | None:
    taken: Outcome | None = None
    compared: set[str] = set()
    for candidate in candidates:
        if late():
            break
        beside = taken is not None and _memorises(taken, options) and candidate.group == taken.tried.candidate.group
        briefly = taken is not None and not options.best and not beside
        if taken is not None and briefly:
            if not options.compare or candidate.group == taken.tried.candidate.group or candidate.group in compared:
                continue
            compared.add(candidate.group)
        outcome = try_out(subject, before, candidate, options, say, briefly=briefly)
        outcomes.append(outcome)
        if outcome.heals and (
            taken is None or (options.best and _faster(outcome, taken)) or (beside and _holds_more(outcome, taken))
        ):
            taken = outcome
    return taken


def _awaited(
    subject: Subject, options: Options, outcomes: list[Outcome], late: Callable[[], bool], say: Progress
) -> Outcome | None:
    """The first of those that stand still at first and learn in a longer run; a long memory shows nothing for a hundred steps."""
    still = [
        at
        for at, one in enumerate(outcomes)
        if one.healthy and one.learned < STIRS and without_rate(one.tried.candidate.edits)
    ]
    for at in still[:AWAITED]:
        if late():
            return None
        outcomes[at] = wait_for(subject, outcomes[at], options, say)
        if outcomes[at].heals:
            return outcomes[at]
    return None


def _clipped(
    subject: Subject,
    before: CheckRecord,
    taken: Outcome,
    candidates: Sequence[Candidate],
    options: Options,
    outcomes: list[Outcome],
    say: Progress,
) -> Outcome:
    """What was taken, with a clip beside it where that learns faster and holds no less.

    A loss that thirty steps bring down and a hundred blow up has cliffs: one step off them ends the run, and without a
    clip only steps that are too slow everywhere else are short enough there.
    """
    clip = next((candidate for candidate in candidates if candidate.group == CLIP), None)
    if clip is None or _clips(taken.tried.candidate):
        return taken
    outcome = try_out(subject, before, join(taken.tried.candidate, clip), options, say)
    outcomes.append(outcome)
    return outcome if outcome.heals and _faster(outcome, taken) and _holds_more(outcome, taken) else taken


def _clips(candidate: Candidate) -> bool:
    """Whether a clip is a part of it."""
    return any(cures.find(edit.action).group == CLIP for edit in candidate.edits)


def _memorises(taken: Outcome, options: Options) -> bool:
    """Whether the others of its group are looked at too: those change no more than it does."""
    return taken.memorises and not (options.best or options.only)


def _holds_more(one: Outcome, other: Outcome) -> bool:
    """Whether it learns more of what it is not trained on; where neither learns anything, the labels are noise."""
    return one.held is not None and one.held >= max(GENERALISES, other.held or 0.0)


def _nearly_best(outcomes: Sequence[Outcome]) -> Outcome | None:
    """The least intrusive of those that learn as much as the best, to within the noise between seeds; None of none."""
    best = max((one.learned for one in outcomes), default=-math.inf)
    return next((one for one in outcomes if one.learned >= best - NOISE), None)


def _faster(one: Outcome, other: Outcome) -> bool:
    """Whether it learns faster by more than the noise between seeds."""
    return one.learned > other.learned + NOISE


def _joined(
    subject: Subject,
    before: CheckRecord,
    candidates: Sequence[Candidate],
    options: Options,
    outcomes: list[Outcome],
    late: Callable[[], bool],
    say: Progress,
) -> Outcome | None:
    """Candidates of other groups added to the best so far, up to ``JOINED`` of them; each try looks for a rate anyway."""
    base: Outcome | None = None
    candidates = [candidate for candidate in candidates if without_rate(candidate.edits)]
    for _ in range(JOINED - 1):
        applied = [one for one in outcomes if one.tried.verdict is not None and without_rate(one.tried.candidate.edits)]
        if not applied:
            return None
        best = max(applied, key=rank)
        if base is not None and best is base:
            return None
        base = best
        actions = {edit.action for edit in base.tried.candidate.edits}
        for candidate in candidates:
            if late():
                return None
            if candidate.group == base.tried.candidate.group or actions & {edit.action for edit in candidate.edits}:
                continue
            outcome = try_out(subject, before, join(base.tried.candidate, candidate), options, say)
            outcomes.append(outcome)
            if outcome.heals:
                return outcome
    return None
