"""The set-up mended: a squash that the loss applies again, an unscaled input or target, a decay that outweighs the gradient.

## What it does

Does what the finding asks for:

- It removes a softmax or sigmoid at the end of the model that the loss applies itself.
- It removes a bound (tanh, clamp) on the scores for a cross-entropy.
- It puts cross-entropy in place of squared error behind a sigmoid.
- It standardises the input in front of the first layer with the batch's mean and deviation.
- It gives a regression's output the mean and deviation of its targets.
- It lowers a weight decay that is stronger than the gradient.

## Mathematics

The softmax of a softmax is nearly flat, so its gradient is a fraction of the error. A large input drives squashing units
into their flat ends, and gives the loss one steep and many flat directions. Decay pulls with rate × decay × weight,
whatever the data.

## What it changes

The model's last or first step, or the optimizer's options. All state_dict keys stay. A standardised input and an output in
the target's units add two buffers each. Apply the squash to the model's output from now on, wherever you read probabilities.

## When it is wrong

A bounded output may be intended. The batch's mean and deviation stand for the whole data set: give a representative batch,
or standardise the data.

## References

- Bridle 1990 (softmax and its loss); LeCun et al. 1998, Efficient BackProp, section 4.3 (standardised inputs).
- Loshchilov and Hutter 2019, arXiv:1711.05101 (decay apart from the gradient).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn
from torch.nn import functional as F

from steadygrad.cures.editable_copy import EditableCopy
from steadygrad.cures.layers import Net
from steadygrad.cures.modules import InUnits, Standardise
from steadygrad.cures.surgery import Wire
from steadygrad.errors import CannotCureError
from steadygrad.record import Candidate, Change, CheckRecord, Edit, Operation
from steadygrad.record.comparisons import REGRESSION_LOSSES
from steadygrad.torch_internals.tensors import tree_leaves

GROUP = "set-up"
SAFETY = "unsafe"
PHASE = 0
FINDINGS = ("SG303", "SG304", "SG102", "SG105", "SG106", "SG107", "SG201", "SG203", "SG204", "SG205", "SG310")
CANDIDATES = {
    "logits": ("set-up", "unsafe"),
    "standardised-input": ("set-up", "unsafe"),
    "standardised-target": ("set-up", "unsafe"),
    "weight-decay": ("set-up", "safe"),
}

GENTLE_DECAY = 1e-4
"""Weight decay that no data set's gradient is weaker than: the usual one under SGD (He et al. 2016)."""

FAR_TARGET = 20.0
"""Deviation or mean of the targets from which the output gets their units: SG304's LARGE, which is that of an input."""

USUAL_DECAY = 0.01
"""torch's own default under AdamW; more than that may be what pulls the weights down."""

SQUASHES = ("softmax", "sigmoid", "log_softmax")

BOUNDS = ("hardtanh", "tanh", "clamp", "clip", "relu6", "hardsigmoid")
"""Scores for a cross-entropy that are bounded: its gradient asks for more than they can give."""


def propose(copy: EditableCopy, report: CheckRecord) -> Iterable[Candidate]:
    """Only what a finding asks for."""
    codes = {finding.code for finding in report.findings}
    if codes & {"SG303", "SG102", "SG107"}:
        squash, loss = _squash(copy)
        if squash is not None and ("SG303" in codes or squash.name.strip("_") in BOUNDS):
            site = copy.net.site(squash)
            edit = Edit("set_up", "logits", (site,))
            title = f"{squash.name} left to the loss"
            if loss == "mse_loss":
                edit, title = (
                    Edit("set_up", "cross-entropy", (site,)),
                    f"cross-entropy on logits for MSE on {squash.name}",
                )
            yield Candidate("logits", title, GROUP, "unsafe", (edit,))
    if "SG304" in codes:
        sites = tuple(copy.net.site(operation) for operation in _takers(copy))
        if sites:
            edit = Edit("set_up", "standardise", sites)
            yield Candidate("standardised-input", "standardised input", GROUP, "unsafe", (edit,))
    if codes & {"SG106", "SG201", "SG203", "SG204", "SG205", "SG310"}:
        head = _head_of_regression(copy)
        if head is not None:
            edit = Edit("set_up", "target", (copy.net.site(head),))
            yield Candidate("standardised-target", "output in the target's units", GROUP, "unsafe", (edit,))
    decay = max((float(group.get("weight_decay") or 0.0) for group in copy.optimizer.param_groups), default=0.0)
    if codes & {"SG105", "SG106"} and decay > USUAL_DECAY:
        edit = Edit("set_up", "decay", value=GENTLE_DECAY)
        yield Candidate("weight-decay", f"weight decay {GENTLE_DECAY:g}", GROUP, "safe", (edit,))


def _squash(copy: EditableCopy) -> tuple[Operation | None, str]:
    """The last squash in front of the loss, through views alone, and the loss."""
    net = copy.net
    for loss in net.trace.operations:
        if loss.kind != "loss":
            continue
        operation = _judged(net, loss)
        squashes = (*SQUASHES, *(BOUNDS if loss.name == "cross_entropy" else ()))
        if operation is not None and operation.name.strip("_") in squashes:
            return operation, loss.name
    return None, ""


def _judged(net: Net, loss: Operation) -> Operation | None:
    """The operation whose result the loss takes, through views alone."""
    operation = net.operations.get(loss.parents[0]) if loss.parents else None
    while operation is not None and operation.kind == "shape" and operation.parents:
        operation = net.operations.get(operation.parents[0])
    return operation


def _head_of_regression(copy: EditableCopy) -> Operation | None:
    """The layer whose result a regression's loss compares with targets that are far from N(0, 1)."""
    target = _target(copy)
    if target is None or max(float(target.std()), abs(float(target.mean()))) <= FAR_TARGET:
        return None
    net = copy.net
    loss = next((o for o in net.trace.operations if o.name in REGRESSION_LOSSES), None)
    operation = _judged(net, loss) if loss is not None else None
    return operation if operation is not None and operation.kind == "linear" else None


def _target(copy: EditableCopy) -> torch.Tensor | None:
    batch = copy.subject.batch
    target = batch[1] if isinstance(batch, (tuple, list)) and len(batch) == 2 else None
    if not isinstance(target, torch.Tensor) or not target.is_floating_point() or target.numel() < 2:
        return None
    return target.detach()


def _takers(copy: EditableCopy) -> list[Operation]:
    """The weighing operations that take the input, or a view of it."""
    net = copy.net
    open_ = [
        operation.index for operation in net.trace.operations if not operation.parents and operation.kind == "shape"
    ]
    seen, found = set(open_), []
    while open_:
        for child in net.children.get(open_.pop(), []):
            if child.index in seen:
                continue
            seen.add(child.index)
            if child.kind == "shape":
                open_.append(child.index)
            elif child.kind in ("linear", "recurrent"):
                found.append(child)
    return sorted(found, key=lambda operation: operation.index)


def apply_(copy: EditableCopy, edit: Edit) -> Change:
    """Mend the set-up, in place."""
    if edit.to == "decay":
        for group in copy.optimizer.param_groups:
            if "weight_decay" in group:
                group["weight_decay"] = min(float(group["weight_decay"]), edit.value or 0.0)
        return Change(f"optimizer: weight decay {edit.value:g}", "optimizer")
    if edit.to == "standardise":
        mean, std = _statistics(copy)
        layer = Standardise(mean, std)
        copy.wires.extend(Wire("before", site, layer) for site in edit.sites)
        return Change(
            f"input: (x - {float(mean.mean()):.3g}) / {float(std.mean()):.3g} in front of the first layer", "input"
        )
    if edit.to == "target":
        target = _target(copy)
        assert target is not None
        mean, std = target.mean(), target.std()
        copy.wires.append(Wire("after", edit.sites[0], InUnits(mean, std)))
        return Change(f"output: {float(std):.3g} x + {float(mean):.3g} behind the last layer", "output")
    copy.wires.append(Wire("replace", edit.sites[0], nn.Identity()))
    if edit.to == "cross-entropy":
        copy.with_loss(F.binary_cross_entropy_with_logits)
        return Change("output: logits; loss: binary_cross_entropy_with_logits", "output")
    return Change(f"output: logits in place of {edit.sites[0].name}", "output")


def _statistics(copy: EditableCopy) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and deviation of each feature of rows (batch, ..., features), of the whole where features don't vary alone."""
    leaves = [leaf for leaf in tree_leaves(copy.subject.batch) if isinstance(leaf, torch.Tensor)]
    x = next((leaf for leaf in leaves if leaf.is_floating_point()), None)
    if x is None:
        raise CannotCureError("the batch holds no floating-point input to standardise")
    x = x.detach()
    if x.dim() == 2:
        mean, std = x.mean(0), x.std(0)
        # A feature that does not vary (beyond rounding) is only centred.
        return mean, torch.where(std > 1e-6 * mean.abs(), std, 1.0)
    return x.mean().reshape(1), x.std().reshape(1)
