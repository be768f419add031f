"""A guard's picture in a notebook that follows the run, drawn on a thread of its own: a step never waits for it.

Needs anywidget (extra ``notebook``), which is imported only when a picture is asked for.
"""

from __future__ import annotations

import importlib
import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from steadygrad.errors import in_one_line

EVERY = 0.5
"""Seconds between two drawings, at least."""
PATIENCE = 10.0
"""Seconds to wait at the end for a drawing that is under way."""

_SCRIPT = """
function render({ model, el }) {
  const draw = () => { el.innerHTML = model.get("html"); };
  model.on("change:html", draw);
  draw();
}
export default { render };
"""


def widget(html: str) -> Any | None:
    """A widget that shows ``html`` and whatever it becomes; None where anywidget is not installed."""
    try:
        base: Any = importlib.import_module("anywidget").AnyWidget
    except ImportError:
        return None
    text = importlib.import_module("traitlets").Unicode("").tag(sync=True)
    return type("Picture", (base,), {"_esm": _SCRIPT, "html": text})(html=html)


class Live:
    """Draws again and again into a widget, until the run is over or its guard is gone.

    ``draw`` gives the HTML of an owner; ``share`` of the time is what the thread may use for it, in (0, 1].
    """

    def __init__(
        self, owner: Any, draw: Callable[[Any], str], widget: Any, *, share: float, complain: Callable[[str], None]
    ) -> None:
        self.widget = widget
        self._owner, self._draw, self._share, self._complain = weakref.ref(owner), draw, share, complain
        self._process = os.getpid()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="steadygrad picture", daemon=True)
        self._thread.start()

    def end(self, *, last: bool) -> None:
        """Stop; with ``last`` the picture shows the whole run. A second call does nothing, nor one in a forked child."""
        if self._over.is_set() or os.getpid() != self._process:
            return
        self._over.set()
        self._thread.join(PATIENCE)
        if last and not self._thread.is_alive():
            self._show()

    def _follow(self) -> None:
        pause = EVERY
        while not self._over.wait(pause):
            began = time.thread_time()
            if not self._show():
                return
            pause = max(EVERY, (time.thread_time() - began) / self._share)

    def _show(self) -> bool:
        owner = self._owner()
        if owner is None:
            return False
        try:
            html = self._draw(owner)
            if html != self.widget.html:
                self.widget.html = html
        except Exception as error:
            self._complain(f"the live picture ends ({in_one_line(error)}); the run goes on; next: call show() again")
            return False
        return True
