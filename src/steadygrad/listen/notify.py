"""An alarm sent out of the process: to a webhook as JSON, or to a command on its standard input.

What goes out is what the alarm is: code, severity, step, module, message, the rule's page. Nothing of the model's goes:
no weight, no gradient, no sample.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from typing import Any
from urllib.parse import urlsplit

from steadygrad.errors import SettingsError
from steadygrad.listen.batch import Batch
from steadygrad.listen.listener import page_of
from steadygrad.record import Alarm

LIMIT = 10.0
"""Seconds that a webhook or a command may take for one alarm."""


class Notify:
    """Sends each alarm to ``target``: an address (http, https), or a command. Raises ``SettingsError`` where it is neither."""

    def __init__(self, target: str, *, run: str = "", limit: float = LIMIT) -> None:
        self.name = "the webhook" if "://" in target else "the command of notify"
        self._run, self._limit = run, limit
        self._address, self._command = "", [""]
        if "://" in target:
            parts = urlsplit(target)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise SettingsError(
                    f"notify is {target!r}, expected an address such as https://host/path, or a command"
                )
            self._address = target
        else:
            self._command = _words(target)

    def rows(self, batch: Batch) -> None:
        """Do nothing: steps are not sent."""

    def alarm(self, alarm: Alarm) -> None:
        """Send it, and wait for the answer as long as the limit allows. Raises what sending raises."""
        body = json.dumps(body_of(alarm, self._run)).encode()
        if self._address:
            import urllib.request  # Takes a while to import, and most runs have nothing to send.

            headers = {"Content-Type": "application/json", "User-Agent": "steadygrad"}
            # The scheme was checked when it was made.
            asked = urllib.request.Request(self._address, data=body, headers=headers, method="POST")
            with urllib.request.urlopen(asked, timeout=self._limit):
                return
        subprocess.run(
            self._command,
            input=body,
            timeout=self._limit,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def close(self) -> None:
        """There is nothing unsent."""


def body_of(alarm: Alarm, run: str = "") -> dict[str, Any]:
    """Build the message about an alarm; ``run`` is the name of the run."""
    return {
        "tool": "steadygrad",
        "run": run,
        "code": alarm.code,
        "name": alarm.name,
        "severity": str(alarm.severity),
        "step": alarm.step,
        "module": alarm.parameter,
        "message": alarm.message,
        "page": page_of(alarm.code),
        # What chat services show of a webhook.
        "text": f"{alarm.severity}[{alarm.code}] {alarm.name} at step {alarm.step:,}: {alarm.message}",
    }


def _words(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise SettingsError(f"notify is {command!r}, which is no command ({error}); check its quotes") from None
    if not words or shutil.which(words[0]) is None:
        raise SettingsError(f"notify is {command!r}, and there is no such command; name one, or an address: https://…")
    return words
