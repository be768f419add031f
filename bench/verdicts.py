"""The verdict on every set-up of the suite, against what training did to it: ``python -m bench.verdicts``.

Prints how many healthy ones were called sick, how many sick ones were missed, and how often cause and line were right;
every set-up that was judged wrongly is named. About a minute on two cores.
"""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import torch

from bench.suite import Job, cases, jobs
from bench.suite.examine import examine
from steadygrad import Finding, Verdict


@dataclass(frozen=True)
class Judged:
    """One set-up, and what the check said of it."""

    part: str
    name: str
    which: str
    """"itself" or "twin"."""
    verdict: Verdict
    findings: tuple[Finding, ...]
    causes: tuple[str, ...]
    line: str | None

    @property
    def cause(self) -> Finding | None:
        """The finding that names the cause: the first that is more than information."""
        return next((finding for finding in self.findings if finding.severity != "info"), None)

    @property
    def cause_right(self) -> bool:
        return self.cause is not None and self.cause.code in self.causes

    @property
    def line_right(self) -> bool:
        """Whether the marked expression stands on the line at fault."""
        place = self.cause.location if self.cause is not None else None
        return place is not None and self.line is not None and (self.line in place.source or place.text in self.line)

    def __str__(self) -> str:
        cause = "nothing" if self.cause is None else f"{self.cause.code} {self.cause.message}"
        return f"{self.name} ({self.which}): {self.verdict}: {cause}"


def judge(job: Job) -> Judged:
    """Check one set-up."""
    torch.set_num_threads(1)
    part, name, which = job
    case = cases(part)[name]
    report = examine(case.makes(which))
    return Judged(part, name, which, report.verdict, report.findings, case.causes, case.line)


def judge_all() -> list[Judged]:
    """Check every set-up, on two processes."""
    with ProcessPoolExecutor(max_workers=min(2, os.cpu_count() or 1), mp_context=get_context("spawn")) as pool:
        return list(pool.map(judge, jobs()))


def healthy(judged: list[Judged]) -> list[Judged]:
    return [one for one in judged if one.part == "healthy"]


def sick(judged: list[Judged]) -> list[Judged]:
    return [one for one in judged if one.part == "sick" and one.which == "itself"]


def twins(judged: list[Judged]) -> list[Judged]:
    return [one for one in judged if one.which == "twin"]


def main() -> None:
    """Judge all, print the counts and the mistakes."""
    judged = judge_all()
    print(f"{'':10s} {'set-ups':>8s} {'healthy':>8s} {'at risk':>8s} {'will not train':>15s}")
    for word, part in [("healthy", healthy(judged)), ("twins", twins(judged)), ("sick", sick(judged))]:
        counts = [sum(one.verdict == verdict for one in part) for verdict in Verdict]
        print(f"{word:10s} {len(part):8d} {counts[0]:8d} {counts[1]:8d} {counts[2]:15d}")
    ill = sick(judged)
    placed = [one for one in ill if one.line is not None and one.cause_right]
    print(f"right cause {sum(one.cause_right for one in ill)} of {len(ill)}")
    print(f"right line {sum(one.line_right for one in placed)} of {len(placed)} with the right cause and a line")
    for one in judged:
        well = one.part == "healthy" or one.which == "twin"
        if one.verdict != Verdict.HEALTHY if well else not (one.cause_right and (one.line is None or one.line_right)):
            print(f"  {one}" + ("" if well else f"; the cause is {' or '.join(one.causes)} at {one.line}"))


if __name__ == "__main__":
    main()
