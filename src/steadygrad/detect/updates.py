"""Symptoms of a step's update: too large for the weights, none at all, or not a number. Numbers only."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from steadygrad import numerals
from steadygrad.detect.history import TRAIL, WARM, PendingUpdate, State, medians
from steadygrad.detect.lengths import judge_lengths
from steadygrad.detect.symptoms import Symptom, plain, times
from steadygrad.numerals import percent
from steadygrad.record import Severity
from steadygrad.record.fault_kind import FaultKind
from steadygrad.record.rows import Array, Estimates, Rows, Updates

RATE_JUMP = 5.0
"""Learning rate against the greatest so far. Healthy, after the first 50 steps: at most 1.41 in 16 steps
(one cycle)."""
SETTLED = 5
"""Rows after which a leap of the rate is one; a warm-up that begins at 0 leaps at once."""
OVERSIZED = 0.3
OVERSIZED_LEAPT = 0.1
"""Update ÷ weight in one step of a weight matrix, and where the learning rate has just leapt. Healthy: at most 0.35, with
plain SGD at a rate of 0.6, where it had been as much before; 0.06 with Adam."""
GROWN = 10.0
"""The multiple of the usual update that this must be, where the usual one is known."""
HARMFUL = 1 / 3
"""Update ÷ weight of a step that may have done harm; it did where loss or gradient leap within ``WAIT`` rows."""
TINY = 0.1
"""A weight whose root mean square × √fan-in is below this began near zero on purpose (zero or tiny initialisation of a last
layer), and grows by many times its size: torch's own initialisation gives 0.58, Xavier's and He's 1 and 1.4."""
WAIT = 3
RISEN = 1.5
"""Times the loss of the step, after which an update of a third of the weights has done harm."""
RISEN_DECADES = 0.5
"""And of the total gradient norm, in decades."""
USUAL = 0.5
"""Decades from its median within which a total norm is usual."""
KEPT = 8
"""Of the estimates of quiet steps one in so many is kept to say what is usual."""
STILL = 0.9
"""Share of the elements of a 16-bit weight, of those with a gradient, that a step leaves as they were. Under Adam in bfloat16 at
2e-3, where the loss falls to 0.14: at most 0.76; at 1e-3 (to 0.31) 0.83; at 3e-4 (to 1.9) 0.94; at 1e-4 (to 3.0, of 4.2) 0.98."""
STEPS_STILL = 2
"""Measured steps in a row in which that is so of most weights, a hundred steps apart or more."""
RATE_KEPT = 0.3
"""Of the greatest learning rate so far."""
CONVERGED = -6.0
"""log10 of a total norm at which an optimizer may rightly stand still: LBFGS does below its tolerance of 1e-7 an element."""


class Traits(NamedTuple):
    """What an optimizer's settings say of its steps."""

    may_rest: bool
    """Whether it has a tolerance of its own, below which it takes no step."""
    beta2: float | None
    """Of the second moment, where it divides by that: its steps are then about as long as the learning rate."""


def traits_of(defaults: Mapping[str, Any]) -> Traits:
    """Read the settings of an optimizer. One of Adam's kind has an ``eps`` beside its betas; one that takes signs has none."""
    betas = defaults.get("betas")
    pair = betas if isinstance(betas, (tuple, list)) and len(betas) == 2 and "eps" in defaults else None
    return Traits("tolerance_change" in defaults, None if pair is None else float(pair[1]))


def leaps(state: State, rate: float) -> bool:
    """Return whether the learning rate leaps above all that it has been: the step's update is then worth an exact look."""
    return 0 < state.greatest_rate * RATE_JUMP < rate and bool(state.seen[-1] >= SETTLED)


def judge_updates(
    state: State,
    exact: Sequence[Updates],
    estimates: Estimates | None,
    *,
    leapt_at: int,
    at: Callable[[int], tuple[float, float]],
    traits: Traits,
) -> list[Symptom]:
    """Judge the updates of these steps. ``at`` gives loss and log10 total norm of a step; ``leapt_at``: when the rate leapt."""
    seen, found = list(exact), list[Symptom]()
    if estimates is not None:
        found += [] if traits.beta2 is None else judge_lengths(state, estimates, beta2=traits.beta2)
        if _is_quiet(state, estimates):
            _remember_all(state, estimates)
        else:
            measured = {one.step for one in exact}
            places = [place for place, step in enumerate(estimates.steps.tolist()) if step not in measured]
            seen += [estimates.one(place) for place in places]
    for one in sorted(seen, key=lambda update: update.step):
        loss, total = at(one.step)
        leapt = one.step == leapt_at
        found += judge_update(state, one, leapt=leapt, loss=loss, total=total, may_rest=traits.may_rest)
    return found


def _is_quiet(state: State, estimates: Estimates) -> bool:
    """Return whether no update needs a judgement by itself, as large or broken ones do; nearly all blocks are so."""
    known = estimates.ratios[:, np.isfinite(estimates.weights) & (estimates.weights > 0)]
    return bool(np.isfinite(known).all()) and (known.size == 0 or float(known.max()) <= OVERSIZED_LEAPT)


def _remember_all(state: State, estimates: Estimates) -> None:
    rates = np.where(estimates.rates > 0, estimates.rates, 1.0)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log10(estimates.ratios / rates)
    state.moves.extend(zip(estimates.steps.tolist(), logs, strict=True))
    del state.moves[:-TRAIL]
    state.ratios.extend(estimates.ratios[::KEPT])
    del state.ratios[:-20]


def judge_update(
    state: State, updates: Updates, *, leapt: bool, loss: float, total: float, may_rest: bool = False
) -> list[Symptom]:
    """Judge one step's update. ``loss`` and ``total`` (log10) are those of the same step."""
    columns = state.columns
    step, ratios = updates.step, updates.ratios
    weights = np.array(columns.weights, bool)
    known = np.isfinite(ratios) & weights
    measured = state.moves[-1][0] if state.moves else 0
    remember(state, updates)
    broken = np.isnan(ratios) & np.isfinite(updates.weights) & (updates.weights > 0) & weights
    infinite = np.isinf(ratios) & weights
    if infinite.any() or broken.any():
        return list(_not_a_number(state, step, np.flatnonzero(broken | infinite), measured))
    if not known.any():
        return []
    found: list[Symptom] = []
    before = medians(np.stack(state.ratios)) if len(state.ratios) >= 3 else None
    with np.errstate(divide="ignore", invalid="ignore"):
        grown = ratios / before if before is not None else np.full_like(ratios, np.nan)
    slack = max(0, step - 1 - measured)
    bound = OVERSIZED_LEAPT if leapt else OVERSIZED
    large = known & (ratios > bound) & ((grown > GROWN) if before is not None else leapt) & ~_tiny(state, updates)
    if large.any():
        worst = int(np.argmax(np.where(large, ratios, -1)))
        message = f"one step changes this weight by {plain(float(ratios[worst]), 2)} times its norm"
        if before is not None and np.isfinite(grown[worst]):
            message += f", {times(float(grown[worst]))} the usual update"
        kind, why = FaultKind.UNKNOWN, ""
        if leapt:
            kind, why = FaultKind.RATE, f"the learning rate jumped from {state.leap[1]:.3g} to {state.leap[2]:.3g}"
        elif abs(total - float(state.median[-1])) < USUAL:
            kind = FaultKind.MOMENTS
            why = "the gradient of this step is usual: the update comes from the optimizer's moments (exp_avg, exp_avg_sq)"
        which = tuple(np.flatnonzero(large).tolist())
        slack = 0 if leapt else slack
        found.append(
            Symptom("SG204", Severity.ERROR, step, worst, message, which, step, cause=why, slack=slack, kind=kind)
        )
    elif state.pending_update is None:
        state.pending_update = _suspect(state, updates, known, loss, total)
    if updates.exact and not may_rest:
        found += _unmoved(state, updates, known)
        found += _swallowed(state, updates, known)
    if not large.any():
        state.ratios.append(np.where(np.isfinite(ratios), ratios, np.nan))
        del state.ratios[:-20]
    return found


def remember(state: State, updates: Updates) -> None:
    """Keep the update for what came first: log10 of update ÷ weight ÷ rate, so that a schedule is no sign."""
    if state.moves and updates.step <= state.moves[-1][0]:
        return
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = updates.rate if updates.rate > 0 else 1.0
        state.moves.append((updates.step, np.log10(updates.ratios / rate)))
    del state.moves[:-TRAIL]


def confirmed(state: State, rows: Rows, decades: Array, *, ending: bool = False) -> Iterator[Symptom]:
    """A large update that did harm: the next rows' loss or gradient leaps, or there is no next row (``ending``)."""
    pending = state.pending_update
    if pending is None:
        return
    # The rows of a block may go far beyond: what happens later has causes of its own.
    after = np.flatnonzero(rows.steps > pending.step)[:WAIT]
    losses = rows.losses[after] if len(rows.losses) else np.zeros(0)
    gradients = decades[after, -1]
    finite = np.isfinite(losses)
    base = pending.loss
    with np.errstate(invalid="ignore"):
        rose = bool((finite & (losses > base + (RISEN - 1) * abs(base))).any()) if math.isfinite(base) else False
        grew = bool((gradients > pending.total + RISEN_DECADES).any()) if math.isfinite(pending.total) else False
    broke = bool((~np.isfinite(rows.norms[after])).any()) or bool(np.isinf(losses).any())
    alone = ending and not len(after)
    if rose or grew or broke or alone:
        state.pending_update = None
        others = len(pending.columns) - 1
        more = f", and {others} more weight{'s' if others > 1 else ''} by over a third" if others else ""
        effect = ""
        if rose:
            worst = float(np.nanmax(losses))
            effect = f"; the loss then rises from {plain(base, 4)} to {plain(worst, 4)}"
        elif grew:
            effect = f"; the gradient norm then grows by {times(10 ** float(np.nanmax(gradients) - pending.total))}"
        elif broke:
            effect = "; the next step is not finite"
        elif alone:
            effect = "; the run ends right after it"
        message = f"one step changes this weight by {plain(pending.ratio, 2)} times its norm{more}{effect}"
        kind, cause = FaultKind.RATE, f"the learning rate of {pending.rate:.3g} is too high for this optimizer"
        if math.isnan(pending.rate):
            kind = FaultKind.UNKNOWN
            cause = "what the program subtracts from its weights at each step is too large"
        last = int(rows.steps[-1]) if len(rows) else pending.step
        yield Symptom(
            "SG204",
            Severity.ERROR,
            pending.step,
            pending.column,
            message,
            pending.columns,
            last,
            cause=cause,
            kind=kind,
        )
    elif len(rows) and rows.steps[-1] >= pending.step + WAIT:
        state.pending_update = None


def _suspect(
    state: State, updates: Updates, known: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], loss: float, total: float
) -> PendingUpdate | None:
    large = known & (updates.ratios >= HARMFUL) & ~_tiny(state, updates)
    if not large.any():
        return None
    worst = int(np.argmax(np.where(large, updates.ratios, -1)))
    which = tuple(np.flatnonzero(large).tolist())
    return PendingUpdate(updates.step, worst, float(updates.ratios[worst]), which, loss, total, updates.rate)


def _tiny(state: State, updates: Updates) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Weights that are near zero for their shape."""
    sizes = np.array(state.columns.sizes, np.float64)
    fan_ins = np.array(state.columns.fan_ins or (0,) * len(sizes), np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = updates.weights / np.sqrt(sizes) * np.sqrt(fan_ins)
    return np.asarray((scale < TINY) & (fan_ins > 0))


def _not_a_number(
    state: State, step: int, which: np.ndarray[tuple[int, ...], np.dtype[np.int64]], measured: int
) -> Iterator[Symptom]:
    """The optimizer made non-finite numbers of finite gradients; else the rows report it. ``measured``: the step before
    whose updates are known."""
    if any(at == step and not np.isfinite(row[-1]) for at, row, _ in state.trail):
        return
    first = int(which[0])
    more = f" and {len(which) - 1} more" if len(which) > 1 else ""
    if any(at == step for at, _, _ in state.trail):
        kind, message = (
            FaultKind.OPTIMIZER,
            f"the optimizer's step makes this weight{more} infinite or NaN, from finite gradients",
        )
    else:
        kind = FaultKind.UNREAD
        message = f"this weight{more} became infinite or NaN in step {step:,}, whose gradients were not read"
    # Weights are sampled at each step, whether or not its gradients are read.
    known = measured == step - 1
    yield Symptom("SG203", Severity.ERROR, step, first, message, tuple(which.tolist()), step, at_step=known, kind=kind)


def _unmoved(
    state: State, updates: Updates, known: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
) -> Iterator[Symptom]:
    """Steps that change no weight. The rows show those without a gradient or at a rate of 0."""
    step = updates.step
    weights = np.array(state.columns.weights, bool)
    told = state.still > 0 or bool((state.idle[weights] > 0).all()) or not state.median[-1] > CONVERGED
    still = bool((updates.ratios[known] == 0).all())
    if not (still and not told and state.seen[-1] >= WARM and state.sampled):
        state.unmoved, state.sampled = (), step
        return
    state.unmoved = (*state.unmoved, step)
    if len(state.unmoved) >= 2:
        message = f"the optimizer's step changes no weight at all, at a learning rate of {updates.rate:.3g}"
        begun = state.unmoved[0]
        slack = begun - 1 - state.sampled
        yield Symptom(
            "SG106", Severity.ERROR, begun, None, message, (), step, slack=slack, lasting=True, kind=FaultKind.UNMOVED
        )


def _swallowed(
    state: State, updates: Updates, known: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
) -> Iterator[Symptom]:
    """Steps that most 16-bit weights round away. What moves nothing at all is another symptom's."""
    halves = [at for at in updates.still if known[at]]
    lost = [at for at in halves if updates.still[at] >= STILL]
    moves = bool((updates.ratios[known] > 0).any())
    # The end of a schedule rounds away steps that are meant to be small, and a warm-up begins with such.
    usual = updates.rate >= RATE_KEPT * state.greatest_rate
    rises = bool(state.swallowed) and updates.rate > state.swallowed_rate
    if rises or not (moves and usual and state.seen[-1] >= WARM and len(lost) > len(halves) / 2):
        state.swallowed, state.not_swallowed = (), updates.step
        return
    state.swallowed, state.swallowed_rate = (*state.swallowed, updates.step), updates.rate
    if len(state.swallowed) != STEPS_STILL:
        return
    sizes = np.array(state.columns.sizes, np.float64)[lost]
    share = float(np.average([updates.still[at] for at in lost], weights=sizes))
    message = (
        f"a step leaves {percent(share)} of the elements of {numerals.count(len(lost), '16-bit weight')} as they were, at a "
        f"learning rate of {updates.rate:.3g}"
    )
    cause = "the updates are smaller than half the distance to the next number of the format, and are rounded away"
    begun = state.swallowed[0]
    yield Symptom(
        "SG108",
        Severity.WARNING,
        begun,
        lost[0],
        message,
        tuple(lost),
        updates.step,
        cause=cause,
        slack=begun - 1 - state.not_swallowed,
        lasting=True,
        explained=True,
        kind=FaultKind.SWALLOWED,
    )
