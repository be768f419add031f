"""A copy of the subject that cures may change, and the one way in which it is run and kept whole.

The user's own model, optimizer and loss are never touched: it is made by the same deep copy as the probe's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from steadygrad.copies.copying import clone_batch, same_buffers
from steadygrad.copies.randomness import same_randomness, seed_torch
from steadygrad.cures.layers import Net
from steadygrad.cures.surgery import Wire, put_in
from steadygrad.errors import CannotCureError
from steadygrad.objective import with_loss
from steadygrad.record import Change, Trace
from steadygrad.subject.subject import Subject, name_of
from steadygrad.subject.with_copy import with_copy
from steadygrad.torch_internals.held import list_parameters_again


@dataclass
class EditableCopy:
    """A model, optimizer and loss of our own, and what a probe of the model saw."""

    subject: Subject
    """The copy as a subject; ``check_subject`` takes it as it is."""
    net: Net
    left_out: frozenset[int] = frozenset()
    """Parameters (by id) that the user's optimizer does not hold; they stay out."""
    wires: list[Wire] = field(default_factory=list)
    """What cures want to put in; ``operate`` does it for all at once, because each names places of the model as it was."""

    new_loss: Callable[..., Any] | None = None
    """A loss that a cure put in the place of the user's."""

    @property
    def model(self) -> nn.Module:
        return self.subject.model

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        return self.subject.optimizer

    def run(self, model: nn.Module | None = None) -> Any:
        """Output of the model (or another) on the batch, from the same seed each time; no gradient, no change of buffers kept."""
        target = self.model if model is None else model
        with same_buffers(target), same_randomness(), torch.no_grad():
            seed_torch(self.subject.seed)
            return self.subject.objective(target, clone_batch(self.subject.batch))[1]

    def become(self, model: nn.Module) -> None:
        """Take another model (the same one with modules put in); the optimizer holds its parameters from now on."""
        self.subject = replace(self.subject, model=model)
        self.hold_parameters()

    def operate(self) -> Change | None:
        """Put in what the wires say; None where there are none."""
        if not self.wires:
            return None
        old = set(self.model.state_dict())
        model, way = put_in(self.model, self.wires, self.net.trace.operations, self.run)
        self.wires = []
        self.become(model)
        return Change(way, way, added=tuple(sorted(set(model.state_dict()) - old)))

    def numbers_changed(self, what: str) -> Change:
        """Numbers alone are other ones; what the optimizer remembers of those before is forgotten."""
        self.optimizer.state.clear()
        return Change(f"numbers only: {what}, same modules, same state_dict keys", "numbers only")

    def hold_parameters(self) -> None:
        """Let the optimizer hold what the model has: new parameters join the first group, gone ones leave; state is forgotten."""
        optimizer = self.optimizer
        loss = self.subject.loss_module
        present = {id(p): p for p in (*self.model.parameters(), *(loss.parameters() if loss is not None else ()))}
        held: set[int] = set()
        for group in optimizer.param_groups:
            group["params"] = [p for p in group["params"] if id(p) in present]
            held.update(id(p) for p in group["params"])
        new = [p for key, p in present.items() if key not in held | self.left_out and p.requires_grad]
        if optimizer.param_groups:
            optimizer.param_groups[0]["params"].extend(new)
        optimizer.state.clear()
        list_parameters_again(optimizer)

    def with_loss(self, loss_fn: Callable[..., Tensor]) -> None:
        """Judge the output by another loss."""
        self.new_loss = loss_fn
        self.subject = replace(
            self.subject,
            objective=with_loss(loss_fn),
            loss_module=loss_fn if isinstance(loss_fn, nn.Module) else None,
            loss_name=name_of(loss_fn),
        )

    def set_rate(self, rate: float) -> None:
        """One learning rate; where groups have several, their ratios stay and the greatest becomes ``rate``."""
        set_rate(self.optimizer, rate)


def rate_of(optimizer: torch.optim.Optimizer) -> float:
    """The greatest learning rate of its groups."""
    return max((float(group["lr"]) for group in optimizer.param_groups if "lr" in group), default=0.0)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Scale every group's learning rate so that the greatest is ``rate``; one that was 0 becomes ``rate`` too."""
    greatest = rate_of(optimizer)
    for group in optimizer.param_groups:
        if "lr" not in group:
            continue
        share = float(group["lr"]) / greatest if greatest > 0 and float(group["lr"]) > 0 else 1.0
        if isinstance(group["lr"], Tensor):
            group["lr"] = torch.full_like(group["lr"], rate * share)
        else:
            group["lr"] = rate * share
        group.pop("initial_lr", None)


def editable_copy_of(subject: Subject, trace: Trace) -> EditableCopy:
    """A deep copy of the subject to change. Raises ``CannotCureError`` where the model or optimizer cannot be copied."""
    with with_copy(subject) as run:
        copied = run.copied
        if copied.optimizer is None or any(spot.where == "model" for spot in copied.blind_spots):
            what = "optimizer" if copied.optimizer is None else "model"
            raise CannotCureError(
                f"the {what} cannot be copied, and a cure works on a copy; see the report's blind spots"
            )
        own = replace(
            subject,
            model=copied.model,
            optimizer=copied.optimizer,
            loss_module=copied.loss,
            objective=run.objective,
        )
        held = {id(p) for group in copied.optimizer.param_groups for p in group["params"]}
        return EditableCopy(own, Net(trace), frozenset(id(p) for p in copied.model.parameters() if id(p) not in held))
