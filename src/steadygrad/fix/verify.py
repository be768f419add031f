"""A patch proven before it is offered: the patched files are loaded in a fresh process, checked, and trained ten steps.

Run as ``python -m steadygrad.fix.verify`` with a request as JSON on standard input; answers with JSON on the last line of
standard output. The files on disk are not touched: the fresh process reads the patched text in their place.
"""

from __future__ import annotations

import base64
import contextlib
import importlib.machinery
import json
import linecache
import subprocess
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steadygrad.errors import CannotFixError

PATIENCE = 600.0
"""Seconds after which the fresh process is given up."""


def verify(patched: Mapping[Path, bytes], target: str, options: Mapping[str, Any], rate: float | None) -> str:
    """The verdict on the patched target; "cannot run: …" where it does not run. ``rate``: a rate that no file states."""
    request = {
        "files": {str(path): base64.b64encode(data).decode() for path, data in patched.items()},
        "target": target,
        "options": dict(options),
        "rate": rate,
    }
    try:
        done = subprocess.run(
            [sys.executable, "-m", "steadygrad.fix.verify"],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CannotFixError(f"the patched file was still being checked after {PATIENCE:.0f} s") from None
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines:
        said = done.stderr.strip().splitlines()
        return f"cannot run: {said[-1] if said else f'exit code {done.returncode}'}"
    return str(json.loads(lines[-1])["verdict"])


@contextlib.contextmanager
def _reading(files: Mapping[str, bytes]) -> Any:
    """Imports of the files run the given text instead of what is on disk or compiled."""
    loader = importlib.machinery.SourceFileLoader
    original = loader.get_code

    def get_code(self: importlib.machinery.SourceFileLoader, fullname: str) -> types.CodeType | None:
        path = self.get_filename(fullname)
        data = files.get(str(Path(path).resolve()))
        return original(self, fullname) if data is None else self.source_to_code(data, path)

    loader.get_code = get_code  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        loader.get_code = original  # type: ignore[method-assign]


def _main() -> int:
    request = json.loads(sys.stdin.read())
    files = {path: base64.b64decode(text) for path, text in request["files"].items()}
    for path, data in files.items():
        text = data.decode("utf-8", errors="replace")
        linecache.cache[path] = (len(text), None, text.splitlines(keepends=True), path)
    from steadygrad._check import check_subject
    from steadygrad.cures.patient import set_rate
    from steadygrad.subjects import subject_of

    with _reading(files), contextlib.redirect_stdout(sys.stderr):
        subject = subject_of(request["target"], request["options"])
        if request["rate"] is not None:
            set_rate(subject.optimizer, request["rate"])
        report = check_subject(subject, trial=10)
    print(json.dumps({"verdict": report.verdict.value, "findings": [finding.code for finding in report.findings]}))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(_main())
