"""Subject → probe → rules → report: the one place where these meet.

``check`` is the public function; ``check_subject`` is what it and the command line share. Neither prints or exits.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import nn

from steadygrad import rules
from steadygrad.clip import Clip
from steadygrad.clip.hook import hook_for
from steadygrad.copies.copying import Copied, unwrapped
from steadygrad.copies.memory import fits_in_memory
from steadygrad.errors import SteadygradError, SubjectError, UserCodeError, in_one_line
from steadygrad.probe.run_probe import hunt, needs_hunt, probe_copy
from steadygrad.probe.wide import in_float64
from steadygrad.record import BlindSpot, CheckRecord, Cost, Setup, Severity, StepTest, Tier, Trace, Verdict
from steadygrad.rules import thresholds
from steadygrad.rules.plateau import FEW, LONGER, in_doubt, lasts, unsettled, well_begun
from steadygrad.rules.read_steptest import left_open
from steadygrad.settings import Settings, apply_ignores
from steadygrad.source.inferred_constructions import infer_constructions
from steadygrad.source.spans import construction_of
from steadygrad.source.user_errors import raised_as_theirs, running_theirs
from steadygrad.steptest.causes import as_stepped, with_causes
from steadygrad.steptest.mixing import may_mix, mixing_in
from steadygrad.steptest.run_steptest import Stepped, in_words, step_test
from steadygrad.steptest.second_look import look_again
from steadygrad.subject.optimizers import OptimizerLike, innermost
from steadygrad.subject.subject import Subject, make_subject
from steadygrad.subject.with_copy import SubjectCopy, with_copy
from steadygrad.written import in_short, names

Progress = Callable[[str], None]
Again = Callable[[Trace, Stepped], tuple[Trace, StepTest]]
"""The second look, at the copy as its steps have left it."""

IN_EVAL_MODE = "the model is in eval mode and was checked so: call model.train() first to check it as it trains"
ONE_BATCH = "one batch can be learned by heart: with a DataLoader the steps are judged on batches they did not see"


@dataclass(frozen=True)
class Report(CheckRecord):
    """The outcome of a check. ``print(report)`` shows it as the terminal does; a notebook shows it by itself."""

    def __repr__(self) -> str:
        return f"<Report: {in_short(self.in_short)}; print it to see all>"

    def __str__(self) -> str:
        from steadygrad.report import render  # Formats are many, and most checks are never printed by themselves.

        return render(self, "text")

    def _repr_html_(self) -> str:
        from steadygrad.report.html import fragment

        return fragment(self)


def check(
    model: nn.Module,
    batch: Any = None,
    loss_fn: Callable[..., torch.Tensor] | None = None,
    *,
    optimizer: OptimizerLike = None,
    clip: Clip | str | None = None,
    seed: int = 0,
    trial: int | None = None,
    select: Iterable[str] | str | None = None,
    ignore: Iterable[str] | str | None = None,
) -> Report:
    """Find where and why gradients vanish or explode in ``model``, from one batch.

    Args:
        model: Any module that runs. The check works on a copy, and yours stays bit for bit the same.
        batch: ``(x, y)`` with ``loss_fn``: the loss is ``loss_fn(model(x), y)``, where a tuple ``x`` becomes positional
            and a dict keyword arguments. Without ``loss_fn`` the whole batch is the model's input and the output's
            ``.loss`` (or ``["loss"]``) is the loss. A ``DataLoader``, another iterable or a function of the step is
            better: each step takes a fresh batch, and batches that no step saw show what the steps learned. A loader
            stays as it was; an iterator loses the batches taken. A LightningDataModule gives those of its
            ``train_dataloader``. None: the batches of a LightningModule's own; else the check makes a batch from the
            model's first layers, and the report says so.
        loss_fn: Function of output and target that returns a scalar tensor.
        optimizer: The optimizer that will train the model; or its name in words, "sgd:0.1,momentum=0.9"; or a function that
            makes one from the parameters. None: AdamW at 1e-3. The check copies it too.
        clip: The clip of the training loop before each step: ``Clip.norm(1.0)``, or in words, "norm:1.0".
        seed: Seed of every random draw.
        trial: Steps of the step test; 0 for the probe alone, more than 100 for a trial. None: as many as settle it:
            on one batch ten or a hundred, on fresh ones from three to three hundred.
        select: Codes, code prefixes or names of the rules to run, "SG101,SG3" or a list; all when None.
        ignore: Codes, code prefixes or names of the rules not to run.

    Returns:
        What was found, with ``verdict``, ``findings``, ``trunk``, ``trial``, ``to_json()`` and ``raise_for("error")``.

    Raises:
        SteadygradError: No check could be made; the message says what to do.
        Exception: Whatever the model itself raises, with one line of ours added.

    Example:
        >>> import torch, steadygrad as sg
        >>> from torch import nn
        >>> hidden = [layer for _ in range(15) for layer in (nn.Linear(64, 64), nn.Sigmoid())]
        >>> model = nn.Sequential(*hidden, nn.Linear(64, 10))
        >>> batch = torch.randn(32, 64), torch.randint(0, 10, (32,))
        >>> report = sg.check(model, batch, nn.functional.cross_entropy, optimizer="sgd:0.1")
        >>> report.verdict.value, report.findings[0].code
        ('will not train', 'SG102')
    """
    settings = Settings(select=names(select, "select"), ignore=names(ignore, "ignore"))
    rules.resolve(settings.select), rules.resolve(settings.ignore)
    with raised_as_theirs():
        subject = make_subject(model, batch, loss_fn, optimizer=optimizer, seed=seed, before_step=hook_for(clip))
        own = innermost(optimizer) if isinstance(optimizer, torch.optim.Optimizer) else None
        infer_constructions(unwrapped(model), sys._getframe(1), own)
        return check_subject(subject, trial=trial, settings=settings)


def check_subject(
    subject: Subject,
    *,
    trial: int | None = None,
    settings: Settings | None = None,
    progress: Progress | None = None,
    causes: bool = True,
) -> Report:
    """Check a subject that has been put together already. Raises ``UserCodeError`` for an exception of the model's own.

    ``causes``: measure what may be behind a bad verdict, which changes none; a search among cures saves its steps.
    """
    settings = settings or Settings()
    if trial is not None and trial < 0:
        raise SubjectError(f"trial is {trial}, expected 0 (the probe alone) or a number of steps")
    began = time.perf_counter()
    with running_theirs(
        "the model, its loss or its optimizer raised this while it was checked; fix it, or pass the batch it expects"
    ):
        measured = _measure(subject, trial, progress)
        trace, stepped = measured.trace, measured.stepped
        record, unmeasured = with_causes(subject, trace, stepped, progress) if causes else as_stepped(stepped)
    notes = [*measured.notes, *unmeasured]
    found = rules.run(trace, record, settings)
    kept, ignored, unused = apply_ignores(found, settings, sources=_sources(trace))
    verdict = rules.verdict(kept)
    if record is not None and subject.batches is None and verdict is not Verdict.WILL_NOT_TRAIN:
        notes.append(ONE_BATCH)
    return Report(
        verdict=verdict,
        findings=tuple(kept),
        trace=trace,
        trial=record,
        setup=_setup(subject),
        cost=Cost(
            plain=stepped.seconds if stepped is not None else None,
            probe=measured.probe_seconds,
            step_test=stepped.seconds * record.steps if stepped is not None and record is not None else None,
            total=time.perf_counter() - began,
        ),
        tiers=_tiers(record),
        notes=(*notes, *unused),
        ignored=tuple(ignored),
    )


@dataclass(frozen=True)
class _Measured:
    """The results of a look at a copy of a subject."""

    trace: Trace
    stepped: Stepped | None
    """None where no steps were taken."""
    probe_seconds: float
    notes: tuple[str, ...]


def _measure(subject: Subject, trial: int | None, progress: Progress | None) -> _Measured:
    """Observe one pass on a copy, take steps on it, and merge what both have shown. The copy is then gone."""
    with with_copy(subject) as run:
        began = time.perf_counter()
        trace = _observe(run, progress)
        spent = time.perf_counter() - began
        notes = () if run.model.training else (IN_EVAL_MODE,)
        if trial == 0:
            return _Measured(trace, None, spent, notes)
        if why_not := _why_no_steps(run):
            return _Measured(trace, None, spent, (*notes, f"no step test: {why_not}"))
        again = _once(partial(look_again, run))
        trace, stepped = _merge(run, again, trace, _step(run, again, trace, trial, progress))
        return _Measured(trace, stepped, spent, notes)


def _observe(run: SubjectCopy, progress: Progress | None) -> Trace:
    """The probe, with what the optimizer holds, and where the first number that is not finite was made."""
    say = progress or (lambda _: None)
    say("probe")
    trace = _with_optimizer(probe_copy(run), run.copied)
    trace = replace(trace, optimizer=construction_of(run.subject.optimizer))
    if needs_hunt(trace):
        say("looking for the first inf, NaN or underflow")
        trace = replace(trace, nonfinite=hunt(run.model, run.objective, run.batch, seed=run.seed))
    return in_float64(run, trace)


def _why_no_steps(run: SubjectCopy) -> str:
    """Return why no step can be taken on the copy; "" where one can."""
    if run.copied.optimizer is None:
        return "the optimizer cannot be copied"
    if not fits_in_memory(run.model, run.optimizer):
        return "gradients and optimizer state of a copy do not fit into the free memory"
    return ""


def _step(run: SubjectCopy, again: Again, trace: Trace, trial: int | None, progress: Progress | None) -> Stepped:
    """The step test: as many steps as were asked for, else until they say enough."""
    batches = run.subject.batches
    return step_test(
        run,
        steps=thresholds.STEPS if trial is None else min(trial, thresholds.STEPS),
        progress=progress,
        batch_of=None if batches is None else batches.to_train_on,
        unseen=() if batches is None else batches.unseen,
        go_on=partial(_longer, again, trace) if trial is None else partial(_up_to, trial),
        kept=thresholds.MOST_STEPS,
        few=FEW if trial is None and batches is not None else (),
        enough=partial(_enough, trace),
    )


def _merge(run: SubjectCopy, again: Again, trace: Trace, stepped: Stepped) -> tuple[Trace, Stepped]:
    """Measure how far the first step moved each parameter; unless the loss is gone, look again after the steps."""
    trace = _with_updates(trace, stepped)
    if stepped.record.diverged:
        return trace, stepped
    trace, record = again(trace, stepped)
    return _with_mixing(run, trace), replace(stepped, record=record)


def _once(again: Again) -> Again:
    """The same, with what it saw after so many steps kept."""
    seen: dict[int, tuple[Trace, StepTest]] = {}

    def kept(trace: Trace, stepped: Stepped) -> tuple[Trace, StepTest]:
        steps = stepped.record.steps
        if steps not in seen:
            seen[steps] = again(trace, stepped)
        return seen[steps]

    return kept


def _with_mixing(run: SubjectCopy, trace: Trace) -> Trace:
    """Find what mixes the samples; a blind spot where the model does not run in eval mode as it does in training, or we fail."""
    if not may_mix(run.model, (operation.name for operation in trace.operations)):
        return trace
    shuffled = run.subject.batches is not None and run.subject.batches.shuffled
    try:
        with running_theirs("the model raised this in eval mode"):
            mixing = mixing_in(run.model, run.objective, run.batch, seed=run.seed, shuffled=shuffled)
            return replace(trace, mixing=mixing)
    except UserCodeError as error:
        why = f"in eval mode the model or its loss raised {in_one_line(error)}"
    except (SteadygradError, torch.OutOfMemoryError, MemoryError) as error:
        why = str(error) or in_one_line(error)
    unseen = BlindSpot(f"not looked at: whether the samples of a batch are mixed ({why})", type(run.model).__name__)
    return replace(trace, blind_spots=(*trace.blind_spots, unseen))


def _up_to(trial: int, seen: Stepped) -> int:
    """Return as many steps as were asked for, after a look at the result of a hundred."""
    return min(trial, thresholds.MOST_STEPS) if seen.record.steps < thresholds.MOST_STEPS else trial


def _with_updates(trace: Trace, stepped: Stepped) -> Trace:
    """Say of each parameter how far the first step moved it."""
    parameters = (replace(one, update_ratio=stepped.update_ratio.get(one.name)) for one in trace.parameters)
    return replace(trace, parameters=tuple(parameters))


def _enough(trace: Trace, seen: Stepped) -> bool:
    """Return whether a few steps on fresh batches settle it: much was learned, and no rule finds anything."""
    if seen.silent or not well_begun(seen.record):
        return False
    return not any(
        one.severity is not Severity.INFO for one in rules.run(_with_updates(trace, seen), seen.record, Settings())
    )


def _longer(again: Again, trace: Trace, seen: Stepped) -> int:
    """Return how many steps to run in all: on one batch ten or a hundred, on fresh ones in tens until it is settled."""
    taken, trace = seen.record.steps, _with_updates(trace, seen)
    early = taken == thresholds.STEPS and seen.record.unseen is not None and not seen.record.diverged
    if seen.silent:
        return taken
    found = rules.run(trace, seen.record, Settings())
    # An error that more steps would not take back, also by a second look: a gate may have opened.
    if early and lasts(found) and lasts(rules.run(*again(trace, seen), Settings())):
        return taken
    doubt = in_doubt(found, seen.record)
    if unsettled(seen.record) or (doubt and taken >= thresholds.MOST_STEPS):
        return min(taken + (LONGER - thresholds.MOST_STEPS) // 2, LONGER)
    if not left_open(seen.record) and not doubt:
        return taken
    return thresholds.MOST_STEPS if seen.record.unseen is None else min(taken + thresholds.STEPS, thresholds.MOST_STEPS)


def _with_optimizer(trace: Trace, copied: Copied) -> Trace:
    """Say of each parameter whether the optimizer holds it."""
    if copied.optimizer is None:
        return trace
    held = {id(parameter) for group in copied.optimizer.param_groups for parameter in group["params"]}
    optimized = {name: id(parameter) in held for name, parameter in copied.named_parameters()}
    parameters = (replace(p, optimized=optimized.get(p.name, False)) for p in trace.parameters)
    return replace(trace, parameters=tuple(parameters))


def _setup(subject: Subject) -> Setup:
    model = unwrapped(subject.model)
    parameters = list(model.parameters())
    return Setup(
        model=type(model).__name__,
        parameters=sum(p.numel() for p in parameters if not isinstance(p, nn.UninitializedParameter)),
        batch=subject.batch_words,
        loss=subject.loss_name,
        optimizer=in_words(subject.optimizer),
        device=str(parameters[0].device) if parameters else "cpu",
        seed=subject.seed,
        assumptions=subject.assumptions,
        target=subject.target,
        typed=subject.typed,
    )


def _sources(trace: Trace) -> tuple[str, ...]:
    """The files that the model's operations stand in: where an ignore comment could be."""
    places = [place for one in (*trace.operations, *trace.cuts) for place in (one.call, one.construction)]
    return tuple(sorted({place.path for place in places if place is not None}))


def _tiers(trial: StepTest | None) -> tuple[Tier, ...]:
    steps = () if trial is None else (Tier.STEP_TEST if trial.steps <= LONGER else Tier.TRIAL,)
    return Tier.PROBE, *steps
