"""The verdict on every set-up of the suite, against what training did to it (``bench/suite/outcomes.jsonl``)."""

from __future__ import annotations

import pytest

from bench.suite import cases, jobs
from bench.suite.examine import examine
from bench.train_suite import as_meant, outcomes
from bench.verdicts import Judged, healthy, judge_all, sick, twins
from steadygrad import Verdict


@pytest.fixture(scope="module")
def judged() -> list[Judged]:
    return judge_all()


@pytest.mark.long
def test_training_did_to_every_set_up_what_the_suite_says_of_it():
    known = outcomes()
    strays = [(name, which) for part, name, which in jobs() if not as_meant(part, which, known[name, which])]
    assert strays == []
    assert len(known) == len(jobs())


def test_the_suite_is_as_large_as_its_claims():
    assert len(cases("healthy")) >= 45
    assert sum(case.family == "transformers" for case in cases("healthy").values()) >= 18
    assert sum(case.family != "transformers" for case in cases("healthy").values()) >= 25
    assert len(cases("sick")) >= 60
    assert all(case.twin is not None and case.causes for case in cases("sick").values())


@pytest.mark.long
def test_no_healthy_architecture_is_said_not_to_train_and_at_most_one_is_warned_of(judged):
    assert [str(one) for one in healthy(judged) if one.verdict == Verdict.WILL_NOT_TRAIN] == []
    warned = [str(one) for one in healthy(judged) if one.verdict != Verdict.HEALTHY]
    assert len(warned) <= 1, warned


@pytest.mark.long
def test_no_twin_that_trains_is_said_not_to(judged):
    assert [str(one) for one in twins(judged) if one.verdict == Verdict.WILL_NOT_TRAIN] == []


@pytest.mark.long
def test_every_sick_set_up_is_flagged(judged):
    assert [str(one) for one in sick(judged) if one.verdict == Verdict.HEALTHY] == []


@pytest.mark.long
def test_the_cause_is_right(judged):
    wrong = [str(one) for one in sick(judged) if not one.cause_right]
    assert len(wrong) <= 0.05 * len(sick(judged)), wrong


@pytest.mark.long
def test_the_line_is_right_where_the_cause_is_and_there_is_one(judged):
    placed = [one for one in sick(judged) if one.line is not None and one.cause_right]
    assert [str(one) for one in placed if not one.line_right] == []


@pytest.mark.long
def test_the_probe_alone_says_of_no_healthy_architecture_that_it_will_not_train():
    """Without the step test, which decides much, only what no optimizer bears is an error."""
    for name in ("zero-initialised-head", "wav2vec2", "whisper", "gpt2", "resnet-post-activation", "rezero"):
        report = examine(cases("healthy")[name].make, trial=0)
        assert report.verdict == Verdict.HEALTHY, f"{name}: {report.findings}"
