"""The line that a user reads when the guard alarms, and what to do next. Words only: nothing is measured or decided here."""

from __future__ import annotations

from steadygrad import numerals
from steadygrad.record import Alarm, Look
from steadygrad.record.fault_kind import FaultKind


def in_words(alarm: Alarm) -> str:
    """Alarms in words: what happened, the number, where, why, what the guard did, and the next thing to do."""
    where = f" in {alarm.parameter}" if alarm.parameter else ""
    place = "" if alarm.location is None else f" ({alarm.location})"
    about = f" (or up to {numerals.count(alarm.delay, 'step')} earlier)" if alarm.delay else ""
    by = f" on rank {alarm.rank}" if alarm.rank is not None else ""
    parts = [alarm.message]
    if alarm.cause:
        parts.append(f"cause: {alarm.cause}")
    if len(alarm.signs) > 1 and alarm.first_sign:
        parts.append(f"first sign: {alarm.first_sign}")
    if alarm.rows:
        parts.append(f"without {rows(alarm.rows)} of this batch the norm is usual")
    if alarm.action != "warned":
        parts.append(f"the guard {alarm.action}")
    if alarm.advice:
        parts.append(f"next: {alarm.advice}")
    head = f"step {alarm.step:,}{about}: {alarm.severity}[{alarm.code}] {alarm.name}{where}{by}{place}"
    return f"{head}: {'; '.join(parts)}"


def rows(numbers: tuple[int, ...]) -> str:
    """``row 17``, ``rows 17 and 40``."""
    shown = [str(number) for number in numbers]
    if len(shown) == 1:
        return f"row {shown[0]}"
    return f"rows {', '.join(shown[:-1])} and {shown[-1]}"


_BY_KIND = {
    "batch": "find the bad samples, x[~x.flatten(1).isfinite().all(1)], and drop or clean them before the model sees them",
    "large batch": "print the batch of this step and scale or drop its outliers; as a safeguard, clip: --clip quantile:0.9",
    "large loss": "print the loss and its target at this step; check its weight, and that it is a mean: reduction='mean'",
    FaultKind.MOMENTS: "lower beta2, so that old moments fade sooner: betas=(0.9, 0.95); or start them again: "
    "optimizer.state.clear()",
    FaultKind.STALE_MOMENT: "lower beta2, so that exp_avg_sq follows the gradient: betas=(0.9, 0.95); or bound what a rise does: "
    "--clip quantile:0.9",
    "unused": "if it is meant to be used, add a load-balancing loss that gives it samples: loss + 0.01 * balance",
    FaultKind.FADED: "use a loss that does not saturate where it is lost: for a generator softplus(-judge(fake)) in place of "
    "-softplus(judge(fake)); or lower the rate of the net that it works against",
    FaultKind.LOGITS: "normalise queries and keys before their product (QK-norm: steadygrad cure FILE --only qk-norm), or lower "
    "the learning rate",
    FaultKind.GAIN: "give the gains of norms a lower rate: torch.optim.AdamW([{'params': gains, 'lr': rate / 10}, "
    "{'params': others}])",
    FaultKind.SWALLOWED: "keep the weights in float32 and compute under torch.autocast(device, torch.bfloat16)",
    FaultKind.CONSTANT_ANSWER: "steadygrad check FILE says why all samples get one answer; steadygrad cure FILE fixes it",
    "broken weights": "run again with --on-alarm stop: it ends where the weights break, and saves the last good state",
    "weights": "search the code for whatever else writes to weights: grep -nE '\\.data|no_grad|copy_' FILE",
    "loss": "print the loss and its target at this step; keep logs and divisions away from 0: torch.log(p.clamp_min(1e-8)); "
    "skip empty masks",
    "outside": "check the lines between loss.backward() and optimizer.step(), and hooks on this weight (register_hook)",
    FaultKind.RATE: "lower the learning rate (steadygrad lr FILE finds one), or warm it up: "
    "LinearLR(optimizer, 0.01, total_iters=500)",
    "zero": "print(loss.grad_fn): the loss must come from the output of the model; with 16-bit numbers use torch.amp.GradScaler",
    FaultKind.OPTIMIZER: "keep the weights in float32 and use autocast, or pass eps=1e-4 to the optimizer",
    FaultKind.UNMOVED: "raise the learning rate (steadygrad lr FILE finds one), or keep the weights in float32, "
    "where small steps are not rounded away",
    FaultKind.UNREAD: "run again with --every 1, which names the layer and the cause",
    FaultKind.NO_GRADIENT: "print(loss.grad_fn): the loss must come from the model; and no zero_grad() may stand between "
    "backward() and step()",
    FaultKind.CLEARED: "call optimizer.zero_grad() before loss.backward(), not between loss.backward() and optimizer.step()",
    FaultKind.SCALED: "call scaler.step(optimizer) and scaler.update() in place of optimizer.step()",
    FaultKind.NOT_CLEARED: "call optimizer.zero_grad() before loss.backward()",
    FaultKind.NO_BACKWARD: "call loss.backward() before each optimizer.step()",
    FaultKind.SCALED_CLIP: "call scaler.unscale_(optimizer) before the clip",
    FaultKind.LATE_CLIP: "move the clip between loss.backward() and optimizer.step()",
    FaultKind.OTHER_COPY: "make the optimizer after the model is complete, from model.parameters(), or give it what "
    "came later: optimizer.add_param_group({'params': model.head.parameters()})",
    FaultKind.RATE_IS_ZERO: "give the scheduler as many steps as the run takes (T_max, total_steps), or call "
    "scheduler.step() once an epoch",
    FaultKind.CONSTANT_CLIP: "raise the bound, or let it follow the norms: --clip quantile:0.9",
    FaultKind.IDLE_CLIP: "lower the bound below the median norm (steadygrad show draws it), or remove the clip",
    FaultKind.TURNING_CLIP: "clip by norm instead: clip_grad_norm_(parameters, max_norm)",
    FaultKind.TWO_CLIPS: "keep one of the two: remove --clip, or the call of clip_grad_norm_() or clip_grad_value_() "
    "that is not needed",
    FaultKind.PART_CLIP: "pass all parameters to the clip: model.parameters()",
}
_BY_CODE = {
    "SG101": "steadygrad check FILE names the layer that loses the gradient; steadygrad cure FILE fixes it",
    "SG106": "remove detach(), no_grad() or .data between this weight and the loss; for dead units use LeakyReLU or a lower rate",
    "SG108": "scale the loss (torch.amp.GradScaler) or use bfloat16 or float32",
    "SG109": "check that inputs and targets belong together; steadygrad check FILE --batch FILE:LOADER looks for the reason",
    "SG201": "go back to a checkpoint from before this step; then lower the learning rate, or clip: --clip norm:1",
    "SG203": "fix the line that is named; until then --on-alarm skip leaves such steps out",
    "SG204": "lower the learning rate (steadygrad lr FILE finds one), or warm it up over 500 steps",
    "SG206": "print the batch of this step and drop its outliers; as a safeguard, clip: --clip quantile:0.9",
    "SG207": "print the batch of this step; try a lower learning rate (steadygrad lr FILE finds one)",
}


def advice(code: str, kind: str, *, line: bool = True) -> str:
    """The next step a person would take. ``kind``: of the symptom or its cause; ``line``: whether one is named."""
    if code == "SG108" and kind == "zero":
        return _BY_CODE[code]
    if code == "SG203" and not line and kind not in _BY_KIND:
        return "run again under torch.autograd.detect_anomaly(), which shows the line; --on-alarm skip leaves such steps out"
    return _BY_KIND.get(kind) or _BY_CODE.get(code, f"steadygrad explain {code}")


LEFT_OUT = (
    "some steps were not probed: probes have used their share of the run's time ({:g}); next: raise --overhead for more"
)


UNSEEN = (
    "the {} steps so far called no hook of the optimizer: optimizer.step() is compiled by torch.compile, or replaced by another "
    "function; each step is judged after it is taken, by the gradients of its backward pass: none can be skipped or probed, and "
    "a compiled clip is not seen; next: call optimizer.step() outside of torch.compile, and compile the model alone"
)
"""The number of steps."""


PARTS = (
    "FullyShardedDataParallel: each of {} processes watches its own part of the gradient and reports it; the journal has rank "
    "0's; next: wrap the model with fully_shard to watch the norms of the whole"
)
"""The number of processes."""


def look_lines(look: Look) -> list[str]:
    """Say what a look shows: its findings other than notes, or that there are none."""
    when = "first step" if look.step == 1 else f"step {look.step:,}"
    shown = [one for one in look.findings if one.severity != "info"]
    lines = []
    for one in shown:
        where = f" {one.location}" if one.location is not None else (f" module {one.module}:" if one.module else "")
        lines.append(numerals.with_factors(f"{when}: {one.severity}[{one.code}]{where} {one.message}"))
    if not shown and look.verdict and look.step == 1:
        lines.append(f"{when}: {_healthy(look)}{_decades(look.decades)}{_next(look)}")
    return lines


def _healthy(look: Look) -> str:
    """Healthy is said only where steps were taken: a gradient that arrives says nothing of what the rate does with it."""
    if look.fall is None:
        return "no gradient problem"
    if not look.settled:
        return f"no gradient problem; {look.steps} steps on a copy do not show yet whether it learns"
    went = "fell" if look.fall >= 0 else "rose"
    return f"healthy: in {look.steps} steps on a copy the loss {went} by {numerals.percent(abs(look.fall))}"


def _decades(value: float | None) -> str:
    if value is None:
        return ""
    if value == float("-inf"):
        return "; the gradient stops at a layer whose weights start at zero"
    if abs(value) < 0.05:
        return "; from the loss to the input the gradient norm does not change (×1)"
    factor, decades = numerals.number(10.0**value), numerals.one_decimal(value)
    return f"; from the loss to the input the gradient norm changes by ×{factor} ({decades} decades)"


def _next(look: Look) -> str:
    return "" if look.settled else "; next: watch the loss, or let steadygrad check FILE take more steps"
