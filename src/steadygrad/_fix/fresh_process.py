"""A question to a fresh process: JSON on its standard input, and the answer as JSON on the last line of its standard output."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

PATIENCE = 600.0
"""Seconds that the process may take."""

_ANSWER = "steadygrad's answer: "


def ask(module: str, question: Mapping[str, Any]) -> Any:
    """What ``python -m module`` answers.

    Raises ``TimeoutError`` after ``PATIENCE`` seconds, and ``ChildProcessError`` with its last words where it gives no answer.
    """
    import torch

    try:
        done = subprocess.run(
            # -P: a file of the user's that is called as one of Python's own must not be imported in its place.
            [sys.executable, "-P", "-m", module],
            input=json.dumps(question),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE,
            check=False,
            env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())},
        )
    except subprocess.TimeoutExpired:
        raise TimeoutError from None
    answers = [line for line in done.stdout.splitlines() if line.startswith(_ANSWER)]
    if not answers:
        said = done.stderr.strip().splitlines()
        raise ChildProcessError(said[-1] if said else f"exit code {done.returncode}")
    return json.loads(answers[-1].removeprefix(_ANSWER))


def question() -> Any:
    """Read the question, in the fresh process."""
    return json.loads(sys.stdin.read())


def answer(found: Any) -> None:
    """Give the answer, in the fresh process."""
    print(f"\n{_ANSWER}{json.dumps(found)}")  # noqa: T201
