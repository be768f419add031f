"""A patch proven before it is offered: the patched files are loaded in a fresh process, checked, and trained ten steps.

Run as ``python -m steadygrad._fix.verify`` with a request as JSON on standard input; answers with JSON on the last line of
standard output. The files on disk are not touched: the fresh process reads the patched text in their place.
"""

from __future__ import annotations

import base64
import contextlib
import importlib.machinery
import linecache
import sys
import types
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steadygrad._fix import fresh_process
from steadygrad.errors import CannotFixError
from steadygrad.record import Trace, Verdict

if TYPE_CHECKING:
    from steadygrad._check import Report
    from steadygrad.subject.subject import Subject


@dataclass(frozen=True)
class Request:
    """The order to the fresh process: what it checks."""

    files: dict[str, str]
    """Patched bytes by path, in base64."""
    target: str
    options: dict[str, Any]
    rate: float | None = None
    """A learning rate that no file states."""
    clip: tuple[str, float, float] | None = None
    """A clip that stands in a training loop, which a check does not run."""


def request(
    patched: Mapping[Path, bytes],
    target: str,
    options: Mapping[str, Any],
    rate: float | None = None,
    clip: tuple[str, float, float] | None = None,
) -> Request:
    files = {str(path): base64.b64encode(data).decode() for path, data in patched.items()}
    return Request(files, target, dict(options), rate, clip)


@dataclass(frozen=True)
class Answer:
    """The result of the fresh process."""

    verdict: str
    """The patched target's; "cannot run: …" where it does not run."""
    operations: dict[str, int]
    """Runs of each activation, and norms in number: what a change must have reached."""
    elsewhere: dict[str, str] = field(default_factory=dict)
    """The verdict at other whole numbers that the unpatched source builds and runs with ("depth=25")."""


def operations_of(trace: Trace) -> dict[str, int]:
    """Count calls by name for activations, by kind for norms."""
    names = [o.name.strip("_") if o.kind == "activation" else o.kind for o in trace.operations if o.kind in _COUNTED]
    return dict(Counter(names))


_COUNTED = ("activation", "normalisation")


def verify(asked: Request) -> Answer:
    """The patched target checked in a fresh process."""
    try:
        return Answer(**fresh_process.ask("steadygrad._fix.verify", asdict(asked)))
    except TimeoutError:
        raise CannotFixError(f"the patched file was still being checked after {fresh_process.PATIENCE:.0f} s") from None
    except ChildProcessError as error:
        return Answer(f"cannot run: {error}", {})


def answer(asked: Request) -> Answer:
    """The patched target checked in this process, whose imports see the patched files."""
    try:
        return _checked(asked)
    except Exception as error:
        return Answer(_cannot_run(error), {})


def _checked(asked: Request) -> Answer:
    files = {path: base64.b64decode(text) for path, text in asked.files.items()}
    for path, data in files.items():
        text = data.decode("utf-8", errors="replace")
        linecache.cache[path] = (len(text), None, text.splitlines(keepends=True), path)
    from steadygrad._fix.elsewhere import VALUES, anew, given, others_of, runs

    with contextlib.redirect_stdout(sys.stderr):
        with reading(files), anew():
            subject, report = _report(asked, asked.options)
            others = others_of(subject, asked.target, asked.options)
        found = Answer(report.verdict.value, operations_of(report.trace))
        for tried in others if report.verdict is Verdict.HEALTHY else ():
            # The files on disk are not patched: what they do not run with is no value that a patch must hold for.
            legal = (other for other in tried if runs(asked.target, asked.options, other))
            for other in islice(legal, VALUES):
                with reading(files), anew(), given(other):
                    found.elsewhere[other.words] = _verdict(asked, other.options(asked.options))
    return found


def _verdict(asked: Request, options: Mapping[str, Any]) -> str:
    from steadygrad.cures.learning_rate import search

    try:
        subject, report = _report(asked, options)
        if asked.rate is not None and report.verdict is not Verdict.HEALTHY:
            # A rate that no file states is the user's to set: at another depth another one, found as this one was.
            rate = search(subject).rate
            report = report if rate is None else _report(replace(asked, rate=rate), options)[1]
        return report.verdict.value
    except Exception as error:
        return _cannot_run(error)


def _report(asked: Request, options: Mapping[str, Any]) -> tuple[Subject, Report]:
    from steadygrad._check import check_subject
    from steadygrad.clip import Clip, ClipBeforeStep
    from steadygrad.cures.editable_copy import set_rate
    from steadygrad.subject.from_options import subject_of

    subject = subject_of(asked.target, options)
    if asked.rate is not None:
        set_rate(subject.optimizer, asked.rate)
    if asked.clip is not None:
        subject.optimizer.register_step_pre_hook(ClipBeforeStep(Clip(*asked.clip)))
    return subject, check_subject(subject)


def _cannot_run(error: Exception) -> str:
    # Whatever the patched code raises is the answer; of ours it is the cause, which is the user's own.
    cause = error.__cause__ or error
    return f"cannot run: {type(cause).__name__}: {' '.join(str(cause).split())[:200]}"


@contextlib.contextmanager
def reading(files: Mapping[str, bytes]) -> Iterator[None]:
    """Let imports of the files run the given text instead of what is on disk or compiled."""
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


if __name__ == "__main__":
    fresh_process.answer(asdict(answer(Request(**fresh_process.question()))))
