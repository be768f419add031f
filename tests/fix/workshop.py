"""A folder with source files, ``fix`` run in it, and what came of it.

The patch is proven by the code that the fresh process runs, in a fork of this process that has forgotten the user's
modules: the same isolation without two seconds of imports for each of a hundred files. A few tests start the real thing.
"""

from __future__ import annotations

import difflib
import functools
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from steadygrad._check import check_subject
from steadygrad._fix import apply
from steadygrad._fix.apply import Fixed, make_fix
from steadygrad._fix.verify import Answer, Request, answer
from steadygrad.cures import evaluate, learning_rate, plan
from steadygrad.cures.editable_copy import set_rate
from steadygrad.cures.evaluate import Options
from steadygrad.record import Verdict
from steadygrad.subject.from_options import plain_options, subject_of
from steadygrad.subject.subject import Subject
from tests.forgetting import forget

PLAIN = plain_options()

LAYERS = {b"12": (b"8", b"20"), b"9": (b"6", b"15"), b"24": (b"16", b"40")}
"""How many layers the files here have, and other numbers of them."""


def resized(data: bytes, at: int) -> bytes:
    """A file's text with other numbers of layers; what the fix counted, if it had, would stay behind."""
    return re.sub(rb"(?<![\w.])(12|9|24)(?![\w.])", lambda number: LAYERS[number[0]][at], data)


@dataclass(frozen=True)
class Workshop:
    """A folder that is the current one."""

    folder: Path

    def lay_out(self, files: Mapping[str, bytes | str]) -> None:
        for name, text in files.items():
            (self.folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())

    def bytes(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(self.folder.glob("*.py"))}

    def subject(self, target: str = "net.py", **options: Any) -> Subject:
        """The subject as a new process would load it."""
        self.forget()
        return subject_of(target, {**PLAIN, **options})

    def fix(self, target: str = "net.py", *, only: str = "", unsafe: bool = False, **options: Any) -> Fixed:
        planner = Options(only=tuple(only.split(",")) if only else (), safe=not unsafe)
        return make_fix(self.subject(target, **options), {**PLAIN, **options}, planner)

    def fixed(self, target: str = "net.py", **asked: Any) -> Fixed:
        found = self.fix(target, **asked)
        assert found.found, (found.why, found.tried)
        return found

    def write(self, found: Fixed) -> list[str]:
        return found.write(unsafe_fixes=True)

    def verdicts_elsewhere(self, found: Fixed, **options: Any) -> list[Verdict]:
        """Of the files as they lie here, with other numbers of layers typed into their text; left as they are."""
        assert found.cured.taken is not None
        rate, here, verdicts = found.cured.taken.rate, self.bytes(), []
        for at in (0, 1):
            other = {name: resized(data, at) for name, data in here.items()}
            if other != here:
                self.lay_out(other)
                subject = self.subject(**options)
                if rate is not None:
                    set_rate(subject.optimizer, rate)
                verdict = check_subject(subject).verdict
                if rate is not None and verdict is not Verdict.HEALTHY:
                    # The rate is told and not written; where it does not suit, the one that suits is found as it was.
                    set_rate(subject.optimizer, learning_rate.search(subject).rate or rate)
                    verdict = check_subject(subject).verdict
                verdicts.append(verdict)
        self.lay_out(here)
        self.forget()
        return verdicts

    def forget(self) -> None:
        """As ``tests.forgetting``: a test that loads its files once more asks for it in between."""
        forget(self.folder)


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterable[Workshop]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(apply, "verify", lambda asked: _in_a_fork(Workshop(tmp_path), asked))
    # The planner looks shortly and is soon content: what is tested is what gets written, which is proven all the same.
    monkeypatch.setattr(evaluate, "search", functools.partial(evaluate.search, steps=10))
    monkeypatch.setattr(evaluate, "LEARNS", 0.02)
    monkeypatch.setattr(evaluate, "BEGINS", float("inf"))
    monkeypatch.setattr(plan, "BEGINS", float("-inf"), raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield Workshop(tmp_path)
    torch.set_num_threads(before)


def _in_a_fork(workshop: Workshop, asked: Request) -> Answer:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            workshop.forget()
            os.write(write, json.dumps(asdict(answer(asked))).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        said = Answer(**json.loads(pipe.read()))
    os.waitpid(child, 0)
    return said


def learned(subject: Subject, steps: int = 100, rate: float | None = None) -> tuple[float, float]:
    """The batch's loss before and after so many steps of the subject's own optimizer."""
    if rate is not None:
        for group in subject.optimizer.param_groups:
            group["lr"] = rate
    losses = []
    for _ in range(steps + 1):
        subject.optimizer.zero_grad()
        loss, _ = subject.objective(subject.model, subject.batch)
        loss.backward()
        subject.optimizer.step()
        losses.append(loss.item())
    return losses[0], losses[-1]


@dataclass(frozen=True)
class Difference:
    removed: list[bytes]
    added: list[bytes]


def difference(old: bytes, new: bytes) -> Difference:
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    removed, added = [], []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        removed += before[a:b]
        added += after[c:d]
    return Difference(removed, added)


def inserted_only(old: bytes, new: bytes) -> bool:
    """Whether the new text is the old with something put in: nothing of it was taken away or moved."""
    rest = iter(new)
    return all(byte in rest for byte in old)
