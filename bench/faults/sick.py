"""Faults that a training script can have: each is one line that goes wrong at one step of a run that was well before.

The classic ones, under every policy; spikes, losses, updates and what a loop forgets have files of their own.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.faults.fault import AT, NOTICED, STEPS, Fault, adam, batch_of, bent, weights_of
from bench.faults.training import Batch, Net, Script, classes

SLOW_FROM, SLOW_STEPS = 200, 2200


def _one_nan(batch: Batch) -> Batch:
    x, y = batch
    x[3, 5] = torch.nan
    return x, y


def empty_mask() -> Script:
    """The loss is a mean over those that are marked; in one batch nobody is."""
    model = Net(dropout=0.05)
    now = [0]

    def loss(output: Tensor, y: Tensor) -> Tensor:
        mask = torch.zeros(len(y)) if now[0] == AT else (y >= 0).float()
        return (F.cross_entropy(output, y, reduction="none") * mask).sum() / mask.sum()

    return Script(model, adam(model), STEPS, loss=loss, before=lambda step: now.__setitem__(0, step))


def inf_gradient() -> Script:
    """One element of one gradient, after backward: a broken reduction, a bit that fell over."""
    model = Net(dropout=0.05)

    def between(step: int) -> None:
        if step == AT:
            model.layers[2].weight.grad[0, 0] = torch.inf  # type: ignore[index]

    return Script(model, adam(model), STEPS, between=between)


def _kill(model: Net) -> None:
    model.layers[2].bias -= 100.0


def _flip(model: Net) -> None:
    """The highest bit of one exponent."""
    bits = model.layers[1].weight.view(torch.int32)
    bits[3, 4] ^= 1 << 30


def rate_jump() -> Script:
    model = Net()
    optimizer = adam(model)

    def before(step: int) -> None:
        if step == AT:
            optimizer.param_groups[0]["lr"] *= 300

    return Script(model, optimizer, STEPS, before=before)


def zero_rate() -> Script:
    """A schedule that has come to its end, long before the training has."""
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda done: 1.0 if done + 1 < AT else 0.0)
    return Script(model, optimizer, STEPS, schedule=schedule)


def cleared_gradients() -> Script:
    """``zero_grad`` has slipped between backward and step."""
    model = Net()
    optimizer = adam(model)
    return Script(model, optimizer, STEPS, between=lambda step: optimizer.zero_grad() if step >= AT else None)


def lost_scale() -> Script:
    """float16 under autocast; the loss is scaled down from that step on, and gradients become too small for the format."""
    model = Net()
    now = [0]

    def loss(output: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(output, y) * (1e-7 if now[0] >= AT else 1.0)

    return Script(
        model,
        adam(model),
        STEPS,
        loss=loss,
        before=lambda step: now.__setitem__(0, step),
        autocast=torch.float16,
    )


def half_weights() -> Script:
    """The same with weights in float16, as "it fits into memory now" has it."""
    model = Net().half()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    now = [0]

    def batch(step: int) -> Batch:
        x, y = classes(step)
        return x.half(), y

    def loss(output: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(output, y) * (1e-7 if now[0] >= AT else 1.0)

    return Script(model, optimizer, STEPS, batch, loss, before=lambda step: now.__setitem__(0, step))


def slow_vanishing() -> Script:
    """A layer that scales its gradient by a schedule, as adversarial training has it, with the schedule upside down."""
    model = Net(act=torch.tanh, gain=1.0)
    share = [1.0]
    model.bends[2] = lambda h: h * share[0] + (h * (1 - share[0])).detach()

    def before(step: int) -> None:
        if step >= SLOW_FROM:
            share[0] *= 0.995

    return Script(model, adam(model), SLOW_STEPS, before=before)


def slow_saturation() -> Script:
    """The biases of one sigmoid layer drift off, and its units saturate over 2,000 steps."""
    model = Net(act=torch.sigmoid, gain=16.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

    def before(step: int) -> None:
        if step >= SLOW_FROM:
            with torch.no_grad():
                model.layers[2].bias += 0.008

    return Script(model, optimizer, SLOW_STEPS, before=before)


def shrinking_layer() -> Script:
    """One layer's weights are averaged with zeros at each step: it fades, and with it the gradient of all in front of it."""
    model = Net(act=torch.tanh, gain=1.0)

    def before(step: int) -> None:
        if step >= SLOW_FROM:
            with torch.no_grad():
                model.layers[3].weight *= 0.995

    optimizer = torch.optim.SGD(model.parameters(), lr=1e-5)
    return Script(model, optimizer, SLOW_STEPS, before=before)


def slow_explosion() -> Script:
    """The output of one layer is multiplied by a factor that grows with the step, as a wrong schedule does."""
    model = Net()
    factor = [1.0]
    model.bends[2] = lambda h: h * factor[0]

    def before(step: int) -> None:
        if step >= SLOW_FROM:
            factor[0] *= 1.004

    optimizer = torch.optim.SGD(model.parameters(), lr=1e-5)
    return Script(model, optimizer, SLOW_STEPS, lambda step: classes(step, wrong=0.2), before=before)


def growing_weights() -> Script:
    """One layer's weights grow a little at each step, by an average that does not add up to one."""
    model = Net()

    def before(step: int) -> None:
        if step >= SLOW_FROM:
            with torch.no_grad():
                model.layers[3].weight *= 1.004

    optimizer = torch.optim.SGD(model.parameters(), lr=1e-5)
    return Script(model, optimizer, SLOW_STEPS, lambda step: classes(step, wrong=0.2), before=before)


_NON_FINITE = ("SG203",)
_HIGH = ("SG201", "SG206")
_WHOLE = ("", "layers.0.weight")

FAULTS: dict[str, Fault] = {
    "nan-in-batch": Fault(batch_of(_one_nan), _NON_FINITE, _WHOLE, "batch contains NaN", once=True),
    "empty-mask": Fault(empty_mask, _NON_FINITE, _WHOLE, "loss", once=True),
    "inf-gradient": Fault(inf_gradient, _NON_FINITE, ("layers.2.weight",), "changed it after", once=True),
    "sqrt-at-zero": Fault(bent(3, lambda h: (h * (h > 0)).sqrt()), _NON_FINITE, ("layers.3.weight",), "sqrt"),
    "division-by-zero": Fault(bent(2, lambda h: h / (h - h)), _NON_FINITE, ("layers.2.weight", ""), "div|/"),
    "bit-flip": Fault(weights_of(_flip), ("SG203", "SG201"), ("layers.1.weight",), "its weights"),
    "corrupted-weights": Fault(
        weights_of(lambda m: m.layers[3].weight.mul_(60)), _HIGH, ("layers.3.weight",), "norm of its weights went"
    ),
    "spike": Fault(
        batch_of(lambda batch: (batch[0] * 200, batch[1])),
        ("SG206", "SG201"),
        ("layers.0.weight",),
        "given|input",
        once=True,
    ),
    "sudden-explosion": Fault(bent(2, lambda h: h * 3000), ("SG201",), ("layers.2.weight",), "output"),
    "slow-explosion": Fault(
        slow_explosion, ("SG201", "SG207"), ("layers.2.weight",), "output|bends", step=SLOW_FROM, late=2000
    ),
    "growing-weights": Fault(
        growing_weights, ("SG201", "SG207"), ("layers.3.weight",), "its weights", step=SLOW_FROM, late=2000
    ),
    "slow-vanishing": Fault(
        slow_vanishing, ("SG101",), ("layers.2.weight",), "gradient that reaches it", step=SLOW_FROM, late=2000
    ),
    "slow-saturation": Fault(
        slow_saturation,
        ("SG101",),
        ("layers.2.weight", "layers.2.bias"),
        "saturat|its weights|gradient that reaches it",
        step=SLOW_FROM,
        late=2000,
    ),
    "shrinking-layer": Fault(
        shrinking_layer, ("SG101",), ("layers.3.weight", "layers.2.weight"), "its weights", step=SLOW_FROM, late=2000
    ),
    "dying-layer": Fault(
        weights_of(_kill), ("SG106",), ("layers.2.weight", "layers.2.bias"), "active|dead|its weights", late=NOTICED
    ),
    "detached-layer": Fault(bent(2, torch.detach), ("SG106",), ("layers.2.weight",), "detach", late=NOTICED),
    "cleared-gradients": Fault(cleared_gradients, ("SG307",), ("",), "zero_grad runs", late=NOTICED),
    "stuck-optimizer": Fault(zero_rate, ("SG106",), ("",), "learning rate has been 0", late=NOTICED),
    "rate-jump": Fault(rate_jump, ("SG204",), tuple(f"layers.{i}.weight" for i in range(6)), "learning rate jumped"),
    "underflow-autocast": Fault(lost_scale, ("SG108",), ("layers.5.weight", ""), "format|float16", late=NOTICED),
    "underflow-weights": Fault(half_weights, ("SG108",), ("layers.5.weight", ""), "format|float16", late=NOTICED),
}
