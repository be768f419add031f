"""``--cure at-start``: what the first batch shows to be sick is cured before the first step, where numbers alone do it.

The first step's own model, batch and loss are what the cure is looked for with, on copies. The loss is mostly computed
outside of the model: the operations between the model's output and ``backward`` are noted, and played again on other
outputs. Taken is only what the check calls healthy and what changes weights and the learning rate alone; the numbers are
then copied into the program's own tensors, and the first step, whose gradients were those of the old ones, is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn, overrides
from torch.utils._pytree import tree_leaves, tree_map

from steadygrad.cures.plan import Cured, cure
from steadygrad.errors import CannotCureError, SteadygradError
from steadygrad.probe.copying import unwrapped
from steadygrad.probe.objective import loss_in
from steadygrad.record import Verdict

SECONDS = 120.0
"""After so long no further cure is tried: somebody waits for the first step."""

LONGEST = 1000
"""Operations between the output and ``backward``; a loss that takes more is not one."""


class CureAtStart:
    """Waits for the first step of one optimizer, and cures what it trains. ``say`` takes a line for the user."""

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, say: Callable[[str], None]) -> None:
        self._model, self._optimizer, self._say = model, optimizer, say
        self._given: tuple[Any, Any] = ((), {})
        self._output: Any = None
        self._loss: Tensor | None = None
        self._tape: _Tape | None = None
        self._calls: list[_Call] = []
        self._done = False
        self._handles: list[Any] = [
            model.register_forward_pre_hook(self._before, with_kwargs=True),
            model.register_forward_hook(self._after),
        ]
        # Hooks of a step cannot be taken away while they are called: this one stays, and does nothing later.
        optimizer.register_step_pre_hook(self._before_step)

    def backward(self, loss: Tensor) -> None:
        """The program goes backward from this scalar: what is needed has been seen, and the model is let alone."""
        if self._tape is not None:
            self._loss, self._calls = loss, self._tape.stop()
            self._leave()

    def _before(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        if torch.is_grad_enabled():
            self._given = (args, kwargs)

    def _after(self, module: nn.Module, args: Any, output: Any) -> None:
        if torch.is_grad_enabled():
            if self._tape is not None:
                self._tape.stop()
            self._output, self._tape = output, _Tape()

    def _before_step(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if self._done:
            return
        self._done = True
        self._leave()
        try:
            self._cure()
        except SteadygradError as error:
            self._say(f"not cured at the start: {error}; training goes on as it is set up")
        except Exception as error:
            words = (str(error).splitlines() or [""])[0]
            self._say(f"not cured at the start ({type(error).__name__}: {words}); training goes on as it is set up")
        finally:
            self._output = self._loss = None
            self._given, self._calls = ((), {}), []

    def _leave(self) -> None:
        if self._tape is not None:
            self._tape.stop()
        self._tape = None
        for handle in self._handles:
            handle.remove()

    def _cure(self) -> None:
        together = torch.distributed.is_available() and torch.distributed.is_initialized()
        if together and torch.distributed.get_world_size() > 1:
            raise CannotCureError("several processes train together; cure it in one, and save the weights")
        batch, loss_fn = self._batch_and_loss()
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

    def _batch_and_loss(self) -> tuple[Any, Callable[..., Tensor] | None]:
        """The first batch, and the loss as a function of output and targets. Raises ``CannotCureError``."""
        args, kwargs = self._given
        if self._output is None or self._loss is None:
            raise CannotCureError("the model was not called, or backward not called on a scalar, before the first step")
        if loss_in(self._output) is self._loss:
            return args or kwargs, None
        if kwargs or len(args) != 1 or not isinstance(args[0], Tensor):
            raise CannotCureError("the model is not called with one tensor, and does not compute its own loss")
        replay = _Replay(self._output, self._loss, self._calls, len(args[0]))
        return (args[0], tuple(replay.targets)), replay

    def _take_over(self, found: Cured) -> None:
        """The cured numbers into the program's own tensors."""
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


_modes: Any = overrides

_Call = tuple[Any, Any, Any, Any]
"""A function of torch's, its arguments, its keyword arguments, what it gave."""


class _Tape(overrides.TorchFunctionMode):
    """Notes the functions of torch's that are called from its making until ``stop``."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: list[_Call] = []
        self._running = True
        _modes._push_mode(self)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = func(*args, **(kwargs or {}))
        if self._running and len(self._calls) <= LONGEST:
            self._calls.append((func, args, kwargs or {}, given))
        return given

    def stop(self) -> list[_Call]:
        """Take it from among the modes, whatever was put on top of it meanwhile."""
        if self._running:
            self._running = False
            above: list[Any] = []
            while _modes._len_torch_function_stack() > 0:
                mode: Any = _modes._pop_mode()
                if mode is self:
                    break
                above.append(mode)
            for mode in reversed(above):
                _modes._push_mode(mode)
        return self._calls


class _Replay:
    """The loss as a function of the model's output and of what in the batch it was compared with."""

    def __init__(self, output: Any, loss: Tensor, calls: list[_Call], samples: int) -> None:
        if len(calls) > LONGEST:
            raise CannotCureError("what is done between the model's output and backward is too long to be done again")
        self._leaves = [id(leaf) for leaf in tree_leaves(output)]
        self._loss = id(loss)
        # What was called holds its tensors, so that no identity is given to another one.
        self._kept = (output, loss, calls)
        self._calls = _leading_to(id(loss), calls)
        made = {*self._leaves, *(id(leaf) for call in self._calls for leaf in _tensors(call[3]))}
        outside = {
            id(t): t for _, args, kwargs, _ in self._calls for t in _tensors((args, kwargs)) if id(t) not in made
        }
        if self._loss not in made or not any(id(t) in self._leaves for c in self._calls for t in _tensors(c[1:3])):
            raise CannotCureError("how the loss is made from the model's output could not be followed")
        if any(tensor.requires_grad for tensor in outside.values()):
            raise CannotCureError("the loss reads parameters beside the model's output")
        self.targets = [t for t in outside.values() if t.dim() > 0 and len(t) == samples]

    def __call__(self, output: Any, targets: tuple[Tensor, ...]) -> Tensor:
        now: dict[int, Any] = dict(zip(self._leaves, tree_leaves(output), strict=True))
        now.update((id(old), new) for old, new in zip(self.targets, targets, strict=True))

        def current(leaf: Any) -> Any:
            return now.get(id(leaf), leaf) if isinstance(leaf, Tensor) else leaf

        for function, args, kwargs, given in self._calls:
            again = function(*tree_map(current, args), **tree_map(current, kwargs))
            now.update((id(old), new) for old, new in zip(_tensors(given), _tensors(again), strict=True))
        loss: Tensor = now[self._loss]
        return loss


def _leading_to(wanted: int, calls: list[_Call]) -> list[_Call]:
    """The calls that a tensor was computed by, in order."""
    needed, kept = {wanted}, []
    for call in reversed(calls):
        if any(id(leaf) in needed for leaf in _tensors(call[3])):
            kept.append(call)
            needed |= {id(leaf) for leaf in _tensors(call[1:3])}
    return kept[::-1]


def _tensors(value: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]
