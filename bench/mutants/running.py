"""Which tests run which lines, and what the tests that run a changed line say: each in a fork that has torch imported."""

from __future__ import annotations

import contextlib
import importlib.machinery
import json
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

from bench.mutants.changes import Mutant, mutated

ROOT = Path(__file__).parents[2]
OPTIONS = (
    "-q",
    "--assert=plain",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:xdist",
    "--no-header",
    "-W",
    "ignore",
    "-m",
    "not long",
)
"""Asserts stay plain: pytest's own loader, which rewrites them, also loads a package that has a plugin, and not as changed."""
ENOUGH = 30.0
"""Seconds of tests that one mutant gets, in undisturbed time; the quickest tests first."""

PASSED, NO_TESTS = 0, 5


@dataclass(frozen=True)
class Coverage:
    """What each test runs of the files that are changed."""

    lines: dict[str, dict[int, list[str]]]
    """Tests by file and line."""
    seconds: dict[str, float]
    """Processor time of each test."""

    def tests_of(self, mutant: Mutant) -> tuple[list[str], bool]:
        """The tests that run the changed line, quickest first, and whether some were left out for their time."""
        known = self.lines.get(str(mutant.path), {})
        if mutant.at_import and not known:  # A file of numbers alone, which whatever imports it uses.
            known = dict(enumerate(tests for lines in self.lines.values() for tests in lines.values()))
        wanted = known if mutant.at_import else mutant.lines
        found = sorted({test for line in wanted for test in known.get(line, ())}, key=lambda test: self.seconds[test])
        chosen, spent = [], 0.0
        for test in found:
            spent += self.seconds[test]
            if chosen and spent > ENOUGH:
                return chosen, True
            chosen.append(test)
        return chosen, False


class _Lines:
    """A plugin that notes the lines of ``folder`` that each test runs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.here = f"{folder}{os.sep}", set[tuple[str, int]]()
        self.found: dict[str, list[tuple[str, int]]] = {}
        self.seconds: dict[str, float] = {}
        self._lines: dict[CodeType, set[tuple[str, int]]] = {}

    def _call(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        """Follow the lines of a function until each was seen: those of an integrand run a million times."""
        code = frame.f_code
        if code not in self._lines:
            inside = code.co_filename.startswith(self.folder)
            self._lines[code] = {(code.co_filename, line) for _, _, line in code.co_lines() if line and inside}
        return None if self._lines[code] <= self.here else self._line

    def _line(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        self.here.add((frame.f_code.co_filename, frame.f_lineno))
        return self._line

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.here, began = set(), time.process_time()
        sys.settrace(self._call)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            self.found[item.nodeid] = sorted(self.here)
            self.seconds[item.nodeid] = round(time.process_time() - began, 3)


def in_a_fork(work: Callable[[], Any], seconds: float) -> Any:
    """What ``work`` returns in a child process, by JSON; "took too long" (processor time) or "died" where it does not."""
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder, "answer")
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds) + 5))
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, 1)
                os.dup2(null, 2)
                answer.write_text(json.dumps(work()))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            return "took too long" if os.WTERMSIG(status) == signal.SIGXCPU else "died"
        return json.loads(answer.read_text()) if answer.exists() else "died"


def covered(folder: Path, tests: Sequence[str], seconds: float) -> Coverage:
    """Run the tests once, all of which must pass, and note what they run of ``folder``."""

    def work() -> Any:
        plugin = _Lines(folder)
        code = pytest.main([*OPTIONS, *tests], plugins=[plugin])
        return [int(code), plugin.found, plugin.seconds]

    answer = in_a_fork(work, seconds)
    if isinstance(answer, str) or answer[0] != PASSED:
        why = answer if isinstance(answer, str) else f"pytest ends with {answer[0]}"
        raise SystemExit(f"the tests of {folder.name} do not pass as they are: {why}")
    lines: dict[str, dict[int, list[str]]] = {}
    for test, places in answer[1].items():
        for path, line in places:
            lines.setdefault(path, {}).setdefault(line, []).append(test)
    return Coverage(lines, answer[2])


def killed(mutant: Mutant, tests: Sequence[str], seconds: float) -> str:
    """ "failed", "took too long" or "died" where the mutant was killed; "" where every test passes.

    Args:
        mutant: The change.
        tests: Their names.
        seconds: Of the tests without the change; ten times as long, and a minute, is too long.
    """

    loaded = []

    def work() -> list[int]:
        path, code = str(mutant.path), compile(mutated(mutant), mutant.path, "exec")
        get_code = importlib.machinery.SourceFileLoader.get_code

        def changed(loader: Any, name: str) -> CodeType | None:
            if loader.get_filename(name) != path:
                return get_code(loader, name)
            loaded.append(name)
            return code

        importlib.machinery.SourceFileLoader.get_code = changed  # type: ignore[method-assign]
        return [int(pytest.main(["-x", *OPTIONS, *tests])), len(loaded)]

    answer = in_a_fork(work, 60 + 10 * seconds)
    if isinstance(answer, str):
        return answer
    code, times = answer
    if not times:
        raise RuntimeError(f"the tests did not load {mutant.path} as it was changed: {mutant}")
    return "" if code in (PASSED, NO_TESTS) else "failed"
