"""Installs the watch in a process: hooks that wait for what the program imports, and the report at exit.

The one place where the pieces of this room meet. Imports nothing heavy: until the program imports torch, two entries in
``sys.meta_path`` are all there is.
"""

from __future__ import annotations

import atexit
import os
from types import ModuleType
from typing import Any

from steadygrad.errors import SettingsError
from steadygrad.launch.children import Token, follow_children
from steadygrad.launch.first_call import FirstUse
from steadygrad.launch.import_hook import when_imported
from steadygrad.launch.launchers import follow_launchers
from steadygrad.launch.optimizers import tell_of_optimizers
from steadygrad.launch.plan import Plan
from steadygrad.launch.session import Session
from steadygrad.settings import Settings


def watch_this_process(plan: Plan, *, child: bool = False) -> Session:
    """Install everything; the optimizers that the program then makes are watched, and reported at exit."""
    session = Session(plan, child=child)
    # First in, last out: after whatever the program registers.
    atexit.register(session.close)
    os.register_at_fork(after_in_child=session.forked)
    when_imported("torch.optim.optimizer", lambda module: tell_of_optimizers(module, session.made))
    when_imported("torch", lambda module: _torch_is_here(module, session))
    token = Token(watch_child, plan)
    when_imported("multiprocessing.process", lambda module: follow_children(module, token, lambda: _count(session)))
    follow_launchers(plan.settings, lambda: _count(session))
    return session


def watch_child(plan: Plan) -> None:
    """Watch a process that the program has started by ``spawn``."""
    session = watch_this_process(plan, child=True)
    if plan.alone:
        session.check_alone(_refusing)


def _refusing() -> Any:
    """End a process that trains where only the first one's step is checked."""
    from steadygrad.launch.check_alone import CheckAlone

    return CheckAlone(Settings(), "", None, elsewhere=True)


def _torch_is_here(torch: ModuleType, session: Session) -> None:
    _check_clip(session)
    use = FirstUse(torch, session.guard_those_made, session.stepping)
    session.expect_use = use.await_
    # Both import torch, which is here by now.
    from steadygrad.launch.losses import Losses
    from steadygrad.source.spans import record_constructions

    session.losses = Losses(session.loss)
    record_constructions()


def _check_clip(session: Session) -> None:
    """Parse the clip at the earliest moment at which torch is there: importing torch is the program's business."""
    if session.settings.clip is None:
        return
    from steadygrad.clip import Clip

    try:
        Clip.parse(session.settings.clip)
    except SettingsError as error:
        session.dismiss()
        session.tell(f"error: {error}")
        raise SystemExit(2) from None


def _count(session: Session) -> None:
    session.children += 1
