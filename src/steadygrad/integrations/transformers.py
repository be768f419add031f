"""transformers: a callback that guards the ``Trainer``'s optimizer, and writes to its trackers. Extra ``transformers``.

User callbacks run after those of the trackers, so what is added to ``logs`` reaches none: steps go to the trackers directly.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from steadygrad import integrations
from steadygrad._guard.guard import Guard
from steadygrad.act.on_alarm import OnAlarm
from steadygrad.integrations import TRACKERS, optional
from steadygrad.integrations.attaching import Attached, as_list

_transformers = optional("transformers", extra="transformers")

KEPT = "steadygrad"
"""In the checkpoint's ``trainer_state.json``: where the guard's state is, beside those of callbacks that can be made again."""


class SteadygradCallback(_transformers.TrainerCallback):  # type: ignore[misc, name-defined]
    """Guards what the trainer trains: ``Trainer(…, callbacks=[SteadygradCallback()])``.

    What ``report_to`` names (tensorboard, wandb, mlflow, trackio) gets each step and each alarm.

    Args:
        clip: As for ``guard``; on top of ``max_grad_norm``, which is 1 unless it is set to 0.
        on_alarm: As for ``guard``. Where it stops, ``control.should_training_stop`` is set, and the step is left out.
        check: Check the first step on a copy, as ``steadygrad run`` does.
        options: Further ones of ``guard``: journal, trackers, notify, probe_every, …

    Raises:
        MissingPackageError: transformers is not installed.
    """

    def __init__(
        self,
        *,
        clip: Any = None,
        on_alarm: str | Callable[..., Any] | OnAlarm = "warn",
        check: bool = True,
        **options: Any,
    ) -> None:
        """Keep the options until the training begins."""
        self._told, self._check, self._options = on_alarm, check, {"clip": clip, **options}
        self._attached: Attached | None = None
        self._stopping = False

    @property
    def guard(self) -> Guard | None:
        """The guard, once the training has begun."""
        return None if self._attached is None else self._attached.guard

    def on_train_begin(self, args: Any, state: Any, control: Any, optimizer: Any = None, **_: Any) -> None:
        """Attach the guard: the optimizer is made and prepared, and the trackers' own callbacks have begun their runs."""
        named = [args.report_to] if isinstance(args.report_to, str) else args.report_to
        reported = [self._tracker(one, args) for one in named if one in TRACKERS and state.is_world_process_zero]
        self._stopping = False
        self._attached = Attached(
            [optimizer],
            on_alarm=self._told,
            stop=lambda why: setattr(self, "_stopping", True),
            check=self._check,
            options={**self._options, "trackers": [*as_list(self._options.get("trackers", ())), *reported]},
        )
        kept = state.stateful_callbacks.get(KEPT)
        if state.global_step and kept:
            self._attached.guard.load_state_dict(kept["attributes"])

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Save the guard's state where a checkpoint is due, and end the training where the guard asks for it."""
        self.on_epoch_end(args, state, control)
        if self._stopping:
            control.should_training_stop = True

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Into the checkpoint that is due: what the guard knows of the run so far."""
        if control.should_save and self.guard is not None:
            state.stateful_callbacks[KEPT] = {"args": {}, "attributes": self.guard.state_dict()}

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Judge and write what is unread."""
        if self._attached is not None:
            self._attached.detach()

    def _tracker(self, name: str, args: Any) -> Any:
        if name == "tensorboard":
            folder = os.environ.get("TENSORBOARD_LOGGING_DIR") or f"{args.output_dir}/runs"
            return integrations.tensorboard.Tracker(f"{folder}/steadygrad")
        return getattr(integrations, name).Tracker()
