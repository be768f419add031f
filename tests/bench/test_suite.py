"""The verdict on every set-up of the suite, against what training did to it (``bench/suite/outcomes.jsonl``)."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import pytest
import torch

from bench.suite import PARTS, cases
from bench.suite.case import Case
from bench.suite.examine import examine
from bench.train_suite import as_meant, outcomes
from steadygrad import Finding, Verdict


@dataclass(frozen=True)
class Judged:
    """One set-up, and what the check said of it."""

    part: str
    which: str
    case: Case
    verdict: Verdict
    findings: tuple[Finding, ...]

    @property
    def cause(self) -> Finding | None:
        """The finding that names the cause: the first that is more than information."""
        return next((finding for finding in self.findings if finding.severity != "info"), None)

    def __str__(self) -> str:
        cause = "nothing" if self.cause is None else f"{self.cause.code} {self.cause.message}"
        return f"{self.case.name} ({self.which}): {self.verdict}: {cause}"


def _judge(job: tuple[str, str, str]) -> Judged:
    torch.set_num_threads(1)
    part, name, which = job
    case = cases(part)[name]
    report = examine(case.make if which == "itself" or case.twin is None else case.twin)
    nameless = Case(name, case.family, make=_gone, causes=case.causes, line=case.line)
    return Judged(part, which, nameless, report.verdict, report.findings)


def _gone() -> None:
    raise AssertionError("a case that came back from another process is not built again")


JOBS = [
    (part, name, which)
    for part in PARTS
    for name, case in cases(part).items()
    for which in ("itself", "twin")
    if which == "itself" or case.twin is not None
]


@pytest.fixture(scope="module")
def judged() -> list[Judged]:
    with ProcessPoolExecutor(max_workers=min(2, os.cpu_count() or 1), mp_context=get_context("spawn")) as pool:
        return list(pool.map(_judge, JOBS))


def sick(judged: list[Judged]) -> list[Judged]:
    return [one for one in judged if one.part == "sick" and one.which == "itself"]


def healthy(judged: list[Judged]) -> list[Judged]:
    return [one for one in judged if one.part == "healthy"]


def test_training_did_to_every_set_up_what_the_suite_says_of_it():
    known = outcomes()
    strays = [(name, which) for part, name, which in JOBS if not as_meant(part, which, known[name, which])]
    assert strays == []
    assert len(known) == len(JOBS)


def test_the_suite_is_as_large_as_its_claims():
    assert len(cases("healthy")) >= 45
    assert sum(case.family == "transformers" for case in cases("healthy").values()) >= 18
    assert sum(case.family != "transformers" for case in cases("healthy").values()) >= 25
    assert len(cases("sick")) >= 60
    assert all(case.twin is not None and case.causes for case in cases("sick").values())


def test_no_healthy_architecture_is_said_not_to_train_and_at_most_one_is_warned_of(judged):
    assert [str(one) for one in healthy(judged) if one.verdict == Verdict.WILL_NOT_TRAIN] == []
    warned = [str(one) for one in healthy(judged) if one.verdict != Verdict.HEALTHY]
    assert len(warned) <= 1, warned


def test_no_twin_that_trains_is_said_not_to(judged):
    twins = [one for one in judged if one.which == "twin"]
    assert [str(one) for one in twins if one.verdict == Verdict.WILL_NOT_TRAIN] == []


def test_every_sick_set_up_is_flagged(judged):
    assert [str(one) for one in sick(judged) if one.verdict == Verdict.HEALTHY] == []


def test_the_cause_is_right(judged):
    wrong = [str(one) for one in sick(judged) if one.cause is None or one.cause.code not in one.case.causes]
    assert len(wrong) <= 0.05 * len(sick(judged)), wrong


def test_the_line_is_right_where_the_cause_is_and_there_is_one(judged):
    named = [one for one in sick(judged) if one.case.line is not None and one.cause is not None]
    wrong = [str(one) for one in named if one.cause.code in one.case.causes and not _on_line(one.cause, one.case.line)]
    assert wrong == []


def _on_line(finding: Finding, line: str | None) -> bool:
    place = finding.location
    return place is not None and line is not None and (line in place.source or place.text in line)
