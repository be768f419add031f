"""The verdict on every case of the truth table, from one batch, against what training did to it."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import pytest
import torch

from bench import counts
from bench.corpus.best import removed
from bench.corpus.build import truths
from bench.corpus.cases import cases
from bench.corpus.from_cases import MODEL, case_of, rows
from bench.corpus.rows import every
from bench.corpus.train import train
from bench.judge import check, judge
from steadygrad import Verdict

WELL, AT_MOST = 0.2, 0.1
"""Least share of the evaluation loss that a healthy case or a twin must have learned; the greatest of a sick case."""


@pytest.fixture(scope="module")
def judged() -> list[counts.Case]:
    spawn = multiprocessing.get_context("spawn")
    known, table = truths(), list(rows())
    with ProcessPoolExecutor(2, mp_context=spawn, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        said = pool.map(partial(judge, tier="steptest", now="", fresh=False), table)
        return [counts.Case(row, known[row.key], one, True) for row, one in zip(table, said, strict=True)]


def healthy(judged: list[counts.Case]) -> list[counts.Case]:
    return [one for one in judged if not case_of(one.row).causes]


def twins(judged: list[counts.Case]) -> list[counts.Case]:
    return [one for one in judged if dict(one.row.parameters)["which"] == "twin"]


def sick(judged: list[counts.Case]) -> list[counts.Case]:
    return [one for one in judged if one.row.cause]


def called(judged: list[counts.Case], *verdicts: Verdict) -> list[str]:
    """Those with one of the verdicts, in words; a check that raised has none and is never right."""
    return [
        f"{one.row.name}: {one.said.verdict}: {one.said.codes[:1]} {one.said.message}"
        for one in judged
        if one.said.verdict in (*verdicts, counts.CRASHED)
    ]


@pytest.mark.long
def test_training_did_to_every_case_what_the_table_says_of_it():
    known = truths()
    assert all(row.key in known and known[row.key].learned for row in rows())
    strays = [
        row.name
        for row in rows()
        if (known[row.key].learned[0] > AT_MOST if row.cause else known[row.key].learned[0] < WELL)
    ]
    assert strays == []
    assert {row.key for row in rows()} == {key for key in known if every()[key].model == MODEL}
    assert all(case.best >= WELL for part in ("healthy", "sick") for case in cases(part).values())


def test_the_cases_are_as_many_as_is_claimed():
    assert len(cases("healthy")) >= 45
    assert sum(case.family == "transformers" for case in cases("healthy").values()) >= 18
    assert sum(case.family != "transformers" for case in cases("healthy").values()) >= 25
    assert len(cases("sick")) >= 60
    assert all(case.causes for case in cases("sick").values())
    assert not any(case.causes for case in cases("healthy").values())
    broken = [row for row in rows() if row.cause]
    assert {dict(row.parameters)["case"] for row in broken} == set(cases("sick"))
    assert all(every()[row.twin].but(parameters={"which": "itself"}).key == row.key for row in broken)
    assert not set(cases("healthy")) & set(cases("sick"))


def test_a_case_is_trained_as_any_other_row():
    row = next(row for row in rows() if dict(row.parameters)["case"] == "logistic-regression")
    result, best = train(row), case_of(row).best
    assert result.label == "trains"
    assert len(result.scores) == len(result.learned) == 3
    assert result.learned == pytest.approx([score * best for score in result.scores], abs=1e-3)


def test_what_a_case_states_is_what_a_training_to_the_end_removes():
    row = next(row for row in rows() if dict(row.parameters)["case"] == "logistic-regression")
    assert removed(row) == pytest.approx(case_of(row).best, abs=0.01)


@pytest.mark.long
def test_no_healthy_architecture_is_said_not_to_train_and_at_most_one_is_warned_of(judged):
    assert called(healthy(judged), Verdict.WILL_NOT_TRAIN) == []
    warned = called(healthy(judged), Verdict.WILL_NOT_TRAIN, Verdict.AT_RISK)
    assert len(warned) <= 1, warned


@pytest.mark.long
def test_no_twin_that_trains_is_said_not_to(judged):
    assert called(twins(judged), Verdict.WILL_NOT_TRAIN) == []


@pytest.mark.long
def test_every_sick_case_is_flagged(judged):
    assert called(sick(judged), Verdict.HEALTHY) == []


def cause_right(one: counts.Case) -> bool:
    return one.said.codes[:1] != () and one.said.codes[0] in one.row.cause


@pytest.mark.long
def test_the_cause_is_right(judged):
    wrong = [one.row.name for one in sick(judged) if not cause_right(one)]
    assert len(wrong) <= 0.05 * len(sick(judged)), wrong


@pytest.mark.long
def test_the_line_is_right_where_the_cause_is_and_there_is_one(judged):
    placed = [one for one in sick(judged) if one.row.line and cause_right(one)]
    assert len(placed) >= 60
    wrong = [(one.row.name, one.said.expression) for one in placed if not on_the_line(one)]
    assert wrong == []


def on_the_line(one: counts.Case) -> bool:
    return bool(one.said.source) and (one.row.line in one.said.source or one.said.expression in one.row.line)


@pytest.mark.long
def test_the_probe_alone_says_of_no_healthy_architecture_that_it_will_not_train():
    """Without the step test, which decides much, only what no optimizer bears is an error."""
    named = {dict(row.parameters)["case"]: row for row in rows() if not row.cause}
    for name in ("zero-initialised-head", "wav2vec2", "whisper", "gpt2", "resnet-post-activation", "rezero"):
        report = check(named[name], 0, fresh=False)
        assert report.verdict == Verdict.HEALTHY, f"{name}: {report.findings}"
