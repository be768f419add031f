"""Lightning: a callback that guards the trainer's optimizers, and logs through its loggers. Extra ``lightning``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from steadygrad._guard.guard import Guard
from steadygrad.act.on_alarm import OnAlarm
from steadygrad.integrations import optional
from steadygrad.integrations.attaching import Attached, as_list
from steadygrad.integrations.loggers import RowsForLater, listener_for

_NAMES = ("lightning.pytorch", "pytorch_lightning")
# The package that the program uses: their callbacks are two classes.
_lightning = optional(*sorted(_NAMES, key=lambda name: name not in sys.modules), extra="lightning")


class SteadygradCallback(_lightning.Callback):  # type: ignore[misc, name-defined]
    """Guards what the trainer trains: ``Trainer(callbacks=[SteadygradCallback()])``.

    Args:
        clip: As for ``guard``; on top of ``gradient_clip_val``, so give one of the two.
        on_alarm: As for ``guard``. Where it stops, ``trainer.should_stop`` is set, and the step is left out.
        check: Check the first step on a copy, as ``steadygrad run`` does.
        options: Further ones of ``guard``: journal, trackers, notify, probe_every, …

    Raises:
        MissingPackageError: lightning is not installed.
    """

    def __init__(
        self,
        *,
        clip: Any = None,
        on_alarm: str | Callable[..., Any] | OnAlarm = "warn",
        check: bool = True,
        **options: Any,
    ) -> None:
        """Keep the options until the fit begins."""
        self._told, self._check, self._options = on_alarm, check, {"clip": clip, **options}
        self._attached: Attached | None = None
        self._state: dict[str, Any] = {}
        self._later: list[RowsForLater] = []

    @property
    def guard(self) -> Guard | None:
        """The guard, once the fit has begun."""
        return None if self._attached is None else self._attached.guard

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """All optimizers are made, and the model is where it trains."""
        loggers = [listener_for(one) for one in trainer.loggers] if trainer.is_global_zero else []
        self._later = [one for one in loggers if isinstance(one, RowsForLater)]
        trackers = [*as_list(self._options.get("trackers", ())), *loggers]
        self._attached = Attached(
            trainer.optimizers,
            on_alarm=self._told,
            stop=lambda why: setattr(trainer, "should_stop", True),
            check=self._check,
            options={**self._options, "trackers": trackers},
        )
        state, self._state = self._state, {}
        self.load_state_dict(state)

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        """Rows for loggers of other kinds, in the trainer's own rhythm."""
        if self._later and trainer.global_step % trainer.log_every_n_steps == 0:
            self._write()

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Detach before the loggers are finished."""
        self._leave()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Judge and write what was seen until the fit failed."""
        self._leave()

    def state_dict(self) -> dict[str, Any]:
        """Into the checkpoint: what the guard knows of the run so far."""
        return self._state if self._attached is None else self._attached.guard.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the guard's state from the checkpoint, which Lightning reads before or after the fit begins."""
        self._state = state_dict
        if self._attached is not None and state_dict:
            self._attached.guard.load_state_dict(state_dict)

    def _write(self) -> None:
        for one in self._later:
            one.write()

    def _leave(self) -> None:
        if self._attached is not None:
            self._attached.detach()
            self._write()
