"""``--cure at-start``: a cure of the sick first batch before the first step, where numbers alone do it.

The first step's own model, batch and loss are what the cure is looked for with, on copies. The loss is mostly computed
outside of the model: the operations between the model's output and ``backward`` are noted, and played again on other
outputs. Taken is only what the check calls healthy and what changes weights and the learning rate alone; the numbers are
then copied into the program's own tensors, and the first step, whose gradients were those of the old ones, is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from steadygrad.copies.copying import unwrapped
from steadygrad.cures.cured import Cured
from steadygrad.cures.plan import cure
from steadygrad.errors import CannotCureError, SteadygradError, in_one_line
from steadygrad.launch.first_batch import FirstBatch
from steadygrad.record import Verdict

SECONDS = 120.0
"""After so long no further cure is tried: somebody waits for the first step."""

LONGEST = 1000
"""Operations between the output and ``backward``; a loss that takes more is not one."""


class CureAtStart:
    """Waits for the first step of one optimizer, and cures what it trains. ``say`` takes a line for the user."""

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, say: Callable[[str], None]) -> None:
        self._model, self._optimizer, self._say = model, optimizer, say
        self._first = FirstBatch(model)
        self._done = False
        # Hooks of a step cannot be taken away while they are called: this one stays, and does nothing later.
        optimizer.register_step_pre_hook(self._before_step)

    def backward(self, loss: Tensor) -> None:
        """Note the scalar that the program goes backward from."""
        self._first.backward(loss)

    def _before_step(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if self._done:
            return
        self._done = True
        self._first.leave()
        try:
            self._cure()
        except SteadygradError as error:
            self._say(f"not cured at the start: {error}; training goes on as it is set up")
        except Exception as error:
            self._say(f"not cured at the start ({in_one_line(error)}); training goes on as it is set up")
        finally:
            self._first.forget()

    def _cure(self) -> None:
        together = torch.distributed.is_available() and torch.distributed.is_initialized()
        if together and torch.distributed.get_world_size() > 1:
            raise CannotCureError("several processes train together; cure it in one, and save the weights")
        batch, loss_fn = self._first.batch_and_loss()
        self._say("looking for a cure before the first step")
        found = cure(
            unwrapped(self._model),
            batch,
            loss_fn,
            optimizer=self._optimizer,
            allow=("learning rate", "numbers"),
            budget=SECONDS,
        )
        if found.before.verdict is Verdict.HEALTHY:
            self._say("nothing to cure: the model is healthy as set up")
            return
        if found.taken is None or found.after.verdict is not Verdict.HEALTHY:
            raise CannotCureError(f"numbers alone do not do it ({found.words})")
        self._take_over(found)

    def _take_over(self, found: Cured) -> None:
        """Copy the cured numbers into the program's own tensors."""
        own, cured = unwrapped(self._model).state_dict(), found.model.state_dict()
        if {k: v.shape for k, v in own.items()} != {k: v.shape for k, v in cured.items()}:
            raise CannotCureError(
                f"{found.taken.candidate.title if found.taken else 'the cure'} changes more than numbers"
            )
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(cured[name])
        rates = []
        for group, healed in zip(self._optimizer.param_groups, found.optimizer.param_groups, strict=True):
            if "lr" in group and float(group["lr"]) != float(healed["lr"]):
                rates.append(f"{float(group['lr']):.3g} to {float(healed['lr']):.3g}")
                group["lr"] = healed["lr"]
                if "initial_lr" in group:
                    group["initial_lr"] = healed["lr"]
        for group in self._optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = None
        done = "; ".join(change.words for change in found.changes)
        rate = f"; learning rate from {', '.join(dict.fromkeys(rates))}" if rates else ""
        scheduled = any("initial_lr" in group for group in self._optimizer.param_groups)
        overruled = ", unless the schedule sets another" if rates and scheduled else ""
        assert found.taken is not None
        self._say(
            f"cured before the first step by {found.taken.candidate.title}: {done}{rate}{overruled}; "
            f"{found.before.verdict.value} became {found.after.verdict.value}; the first step was left out"
        )
