"""JSON both ways: equal after a round trip, valid under the schema, and a clear word for what is not a report."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steadygrad.errors import CorruptReportError
from steadygrad.record import (
    BlindSpot,
    CheckRecord,
    Cost,
    CureRef,
    Evidence,
    Finding,
    Location,
    Severity,
    Step,
    StepTest,
    Tier,
    Trunk,
    Verdict,
)
from steadygrad.report import render
from steadygrad.report.schema import SCHEMA_FILE, json_schema, schema_text

from . import records

FLOATS = st.floats(allow_nan=False)
TEXT = st.text(max_size=12)
LOCATIONS = st.none() | st.builds(Location, TEXT, *4 * [st.integers(1, 10**6)], source=TEXT)
RECORDS = st.builds(
    CheckRecord,
    verdict=st.sampled_from(Verdict),
    findings=st.lists(
        st.builds(
            Finding,
            TEXT,
            TEXT,
            st.sampled_from(Severity),
            TEXT,
            LOCATIONS,
            TEXT,
            st.lists(st.builds(Evidence, TEXT, FLOATS, TEXT, TEXT), max_size=2).map(tuple),
            st.lists(st.builds(CureRef, TEXT, TEXT), max_size=2).map(tuple),
        ),
        max_size=2,
    ).map(tuple),
    trace=st.builds(
        records.trace,
        st.none()
        | st.builds(
            Trunk, TEXT, st.lists(st.builds(Step, st.none(), TEXT, FLOATS, FLOATS), max_size=3).map(tuple), FLOATS
        ),
        loss=FLOATS,
        blind_spots=st.lists(st.builds(BlindSpot, TEXT, TEXT, LOCATIONS), max_size=2).map(tuple),
    ),
    trial=st.none()
    | st.builds(StepTest, st.integers(0, 9), TEXT, st.lists(FLOATS, max_size=3).map(tuple), FLOATS, st.none() | FLOATS),
    setup=st.builds(records.setup, TEXT),
    cost=st.builds(Cost, st.none() | FLOATS, FLOATS),
    tiers=st.lists(st.sampled_from(Tier), max_size=2).map(tuple),
)


@pytest.mark.parametrize("name", records.ALL)
def test_a_record_comes_back_equal_and_is_valid(name: str) -> None:
    record = records.ALL[name]()
    text = render(record, "json")
    assert repr(CheckRecord.from_json(text)) == repr(record)  # repr: in one of them a NaN is not equal to itself
    if name != "hostile":
        assert CheckRecord.from_json(text) == record
    jsonschema.validate(json.loads(text, parse_constant=pytest.fail), json_schema())
    assert text.startswith('{\n  "version": 1,')


@pytest.mark.long
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(record=RECORDS, width=st.integers(20, 140))
def test_any_record_comes_back_equal_and_can_be_drawn(record: CheckRecord, width: int) -> None:
    text = record.to_json()
    assert CheckRecord.from_json(text) == record
    jsonschema.Draft202012Validator(json_schema()).validate(json.loads(text))
    for form in ("text", "html", "github", "concise"):
        render(record, form, width=width, color="never")


def test_infinities_travel_as_words() -> None:
    record = replace(records.healthy(), trace=records.trace(None, loss=math.inf, input_mean=-math.inf))
    body = json.loads(record.to_json())
    assert (body["trace"]["loss"], body["trace"]["input_mean"]) == ("Infinity", "-Infinity")


def test_a_path_that_is_not_utf8_comes_back() -> None:
    path = b"/models/\xff.py".decode("utf-8", errors="surrogateescape")
    finding = replace(records.saturated(), location=Location(path, 1, 1, 1, 2))
    record = replace(records.healthy(), findings=(finding,))
    assert CheckRecord.from_json(record.to_json().encode("utf-8").decode("utf-8")) == record


def test_the_published_schema_is_what_the_records_say() -> None:
    if os.environ.get("STEADYGRAD_REWRITE_SNAPSHOTS"):
        SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
    written = SCHEMA_FILE.read_text(encoding="utf-8")
    assert written == schema_text(), "STEADYGRAD_REWRITE_SNAPSHOTS=1 writes it anew"
    jsonschema.Draft202012Validator.check_schema(json.loads(written))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda body: body.update(version=2),
        lambda body: body.update(verdict="fine"),
        lambda body: body.pop("trace"),
        lambda body: body["trace"].update(loss="high"),
    ],
)
def test_the_schema_rejects_what_the_reader_rejects(spoil: Callable[[Any], object]) -> None:
    body = json.loads(records.vanishing().to_json())
    spoil(body)
    assert not jsonschema.Draft202012Validator(json_schema()).is_valid(body)
    with pytest.raises(CorruptReportError):
        CheckRecord.from_json(json.dumps(body))


def test_a_report_of_when_cures_tiers_and_assumptions_were_sentences_is_read() -> None:
    record = records.saturated()
    now = replace(records.healthy(), findings=(record,))
    body = json.loads(now.to_json())
    body["findings"][0]["cures"] = ["folded initialisation (fold)", "a residual span"]
    body["setup"]["assumptions"] = [
        "from net.py: loader",
        "loss: mean squared error against the input",
        "seed: as in c.yaml",
    ]
    body["tiers"] = ["probe: +0.3 decades over 33 steps of the trunk", "step test: the loss fell by 78.00% in 10 steps"]
    jsonschema.validate(body, json_schema())
    read = CheckRecord.from_json(json.dumps(body))
    assert read.findings[0].cures == (CureRef("folded initialisation (fold)"), CureRef("a residual span"))
    assert [(one.about, one.text) for one in read.setup.assumptions] == [
        ("file", "from net.py: loader"),
        ("loss", "loss: mean squared error against the input"),
        ("", "seed: as in c.yaml"),
    ]
    assert replace(read, findings=(), setup=now.setup) == replace(now, findings=())
    assert "folded initialisation (fold); or a residual span" in render(read, "text", width=200, color="never")


def test_unknown_keys_are_passed_over() -> None:
    body = json.loads(records.healthy().to_json())
    body["later"] = body["setup"]["later"] = 1
    assert CheckRecord.from_json(json.dumps(body)) == records.healthy()
    jsonschema.validate(body, json_schema())


def test_a_report_saved_with_fields_that_are_gone_is_read() -> None:
    body = json.loads(records.nonfinite().to_json())
    body["trace"]["input_largest"], body["trace"]["nonfinite"]["detail"] = 3.1, "exp"
    assert CheckRecord.from_json(json.dumps(body)) == CheckRecord.from_json(records.nonfinite().to_json())


def _with(**changes: object) -> str:
    return json.dumps({**json.loads(records.vanishing().to_json()), **changes})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not JSON"),
        (records.vanishing().to_json()[:-200], "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1, 2]", "no 'version'"),
        ("null", "no 'version'"),
        ("{}", "no 'version'"),
        ('{"version": 1}', "report has no 'verdict'"),
        (_with(version=7), "its version is '7', this steadygrad reads 1"),
        (_with(version="x" * 9999), "its version is"),
        (_with(verdict="fine"), "report.verdict is 'fine', expected one of"),
        (_with(verdict=[]), "report.verdict is []"),
        (_with(findings=None), "report.findings is None, expected a list"),
        (_with(findings=[3]), "report.findings[0] is 3, expected an object"),
        (_with(findings=[{"code": "SG101"}]), "report.findings[0] has no 'name'"),
        (_with(cost={"plain": None, "probe": True}), "report.cost.probe is True, expected float"),
        (_with(cost={"plain": None, "probe": 10**400}), "report.cost.probe is too large"),
        (_with(tiers=["probe", {}]), "report.tiers[1] is {}, expected one of"),
        (_with(tiers=["x: 3"]), "report.tiers[0] is 'x: 3', expected one of"),
        (_with(setup="s" * 9999), "report.setup is 'sss"),
    ],
)
def test_what_is_not_a_report_is_told_in_one_sentence(text: str, why: str) -> None:
    with pytest.raises(CorruptReportError) as caught:
        CheckRecord.from_json(text)
    message = str(caught.value)
    assert message.startswith("cannot read the report: ")
    assert why in message
    assert len(message) < 200
    assert "\n" not in message


@pytest.mark.long
def test_ten_thousand_operations_are_read_quickly() -> None:
    record = records.vanishing()
    record = replace(record, trace=replace(record.trace, operations=record.trace.operations * 5000))
    start = time.process_time()
    assert CheckRecord.from_json(record.to_json()) == record
    assert time.process_time() - start < 8
