"""``guard``: one line that makes a training loop watched. Checks what it is given; an optimizer has one guard at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from steadygrad import numerals
from steadygrad._guard.guard import Guard, guards
from steadygrad._guard.options import SNAPSHOT_BYTES, SNAPSHOT_EVERY, Options, check_parts, check_subjects, several
from steadygrad.act.on_alarm import OnAlarm
from steadygrad.clip import Clip
from steadygrad.listen.listener import Listener
from steadygrad.record import Alarm
from steadygrad.subject.optimizers import innermost
from steadygrad.watch.distributed import holds_a_part

if TYPE_CHECKING:
    from steadygrad.journal import Journal


def guard(
    model: nn.Module | Sequence[nn.Module],
    optimizer: torch.optim.Optimizer | Sequence[torch.optim.Optimizer],
    *,
    clip: Clip | str | None = None,
    on_alarm: str | Callable[[Alarm], Any] | OnAlarm = "warn",
    journal: str | PathLike[str] | Journal | None = None,
    trackers: Listener | Sequence[Listener] = (),
    notify: str | None = None,
    probe_every: int = 1000,
    overhead: float = 0.01,
    every: int = 1,
    snapshot_every: int = SNAPSHOT_EVERY,
    snapshot_bytes: int = SNAPSHOT_BYTES,
    quiet: bool = False,
    say: Callable[[str], None] | None = None,
) -> Guard:
    """Watch every step of ``optimizer`` from now on; the training loop stays as it is.

    Args:
        model: The module whose call makes the forward pass (wrapped as it is used), or several of them.
        optimizer: One, or several that train together; as they are, or as ``accelerator.prepare`` gives them.
        clip: Bound on the gradients before each step: ``Clip.norm(1.0)``, or in words, "norm:1.0". The clip uses the norms
            that the guard has read.
        on_alarm: "warn", "skip" the step, "lower" the rate, "clip" harder, "rollback" to the last good snapshot, "stop";
            with limits "skip:5/100:stop", five times in a hundred steps and then stop; an ``OnAlarm``; or a function of
            the alarm.
        journal: File that records the run (SQLite). None: alarms stay in memory.
        trackers: One or several trackers that show steps and alarms live:
            ``steadygrad.integrations.tensorboard.Tracker("logs")``. Each gets the rows of the journal on its own thread.
        notify: Address that each alarm is sent to as JSON, or a command that gets it on its standard input.
        probe_every: Steps between two full probes; the guard always probes the first step. 0: no probe, not even on an
            alarm;
            the guard then names fewer causes.
        overhead: Share of the run's time for looks, exact updates and each tracker. It does not bound the reading of
            gradients.
        every: Read each ``every``-th step; 1 reads all.
        snapshot_every: Steps between two snapshots, if ``on_alarm`` can roll back or stop.
        snapshot_bytes: Greatest size of one snapshot, in bytes.
        quiet: Print alarms only.
        say: Function that takes each line for the user. None: print to standard error.

    Returns:
        The guard. It takes the place of one that the optimizer has already, as where a cell of a notebook is run again. That one
        is detached, and a line says so.

    Raises:
        SteadygradError: An argument is wrong; the message names it. A step raises only ``TrainingStopped``, and only if
            ``on_alarm`` can stop.

    Example:
        >>> import torch, steadygrad as sg
        >>> model = torch.nn.Linear(8, 1)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        >>> guard = sg.guard(model, optimizer, clip="norm:1.0", on_alarm="skip:5/100:stop", quiet=True)
        >>> for _ in range(3):
        ...     optimizer.zero_grad()
        ...     model(torch.randn(32, 8)).square().mean().backward()
        ...     optimizer.step()
        >>> guard.alarms
        []
        >>> guard.detach()
    """
    optimizers, roots = [innermost(one) for one in several(optimizer)], several(model)
    options = Options(
        clip=Clip.parse(clip) if isinstance(clip, str) else clip,
        on_alarm=OnAlarm.parse(on_alarm) if isinstance(on_alarm, str) else _on_alarm(on_alarm),
        journal=fspath(journal) if isinstance(journal, PathLike) else journal,
        probe_every=probe_every,
        overhead=overhead,
        every=every,
        snapshot_every=snapshot_every,
        snapshot_bytes=snapshot_bytes,
        trackers=(trackers,) if isinstance(trackers, Listener | str) else tuple(several(trackers)),
        notify=notify,
    )
    check_subjects(roots, optimizers)
    if holds_a_part(roots):
        check_parts(options)
    before = list({id(found): found for one in optimizers if (found := guard_of(one)) is not None}.values())
    for one in before:
        one.detach()
    made = Guard(roots, optimizers, options, quiet=quiet, say=say)
    if before and not quiet:
        steps = numerals.count(max(one.steps for one in before), "step")
        made.voice.say(f"this optimizer had a guard, which is detached after {steps}; the new guard begins at step 1")
    return made


def _on_alarm(given: Callable[[Alarm], Any] | OnAlarm) -> OnAlarm:
    return given if isinstance(given, OnAlarm) else OnAlarm(given)


def guard_of(optimizer: torch.optim.Optimizer) -> Guard | None:
    """The guard of an optimizer; None where it has none."""
    kept = guards.get(optimizer)
    return None if kept is None else kept()
