"""The run for programs: JSON with what is asked for, CSV and Parquet with a row for every point."""

from __future__ import annotations

import csv
import io
import json
import math
import unicodedata
from typing import Any

import numpy as np
import pytest

from steadygrad.record import from_jsonable
from steadygrad.record.training import Action, Alarm, Look
from steadygrad.report import words
from steadygrad.report.run import FORMATS, render
from tests.report import runs
from tests.report.test_run_text import made


def as_json(name: str, **options: Any) -> dict[str, Any]:
    text = render(made(name), "json", **options)

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    found: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return found


def test_json_has_what_a_program_asks_for() -> None:
    body = as_json("story")
    assert body["version"] == 1
    assert body["steps"] == 4000
    assert body["interval"] == 1
    assert body["clipped_share"] == pytest.approx(0.00175)
    assert body["finished"] is True
    assert body["seconds_per_step"] == pytest.approx(0.25)
    first = body["alarms"][0]
    for key in ("step", "code", "severity", "parameter", "message", "location", "action"):
        assert key in first
    assert (first["step"], first["code"], first["severity"]) == (2400, "SG206", "warning")
    assert first["location"]["line"] == 48
    assert body["notes"] == [{"step": 1, "text": "reads every step: 0.6 % of a step"}]
    assert body["extremes"]["highest_rank"] == [3]
    assert "series" not in body


def test_json_records_read_back() -> None:
    body, run = as_json("story"), made("story")
    assert body["alarms"][0]["signs"][0] == {
        "kind": "weights",
        "step": 2394,
        "where": "model.blocks.4.mlp.up.weight",
        "factor": 12.5,
    }
    assert body["alarms"][0]["rows"] == [17, 40]
    for name, kind in (("alarms", Alarm), ("actions", Action), ("looks", Look)):
        assert tuple(from_jsonable(kind, one) for one in body[name]) == getattr(run, name)


def floats(values: list[Any]) -> Any:
    return np.array([math.nan if one is None else float(one) for one in values], dtype=float)


@pytest.mark.parametrize("name", runs.ALL)
def test_series_have_every_parameter_and_are_strict_json(name: str) -> None:
    run, body = made(name), as_json(name, series=True)
    series = body["series"]
    assert series["steps"] == run.series.steps.tolist()
    assert len(series["optimizers"]) == run.optimizers
    for number, one in enumerate(series["optimizers"]):
        assert np.array_equal(floats(one["clipped_high"]), run.series.after_high[:, number], equal_nan=True)
    assert np.array_equal(floats(series["loss_high"]), run.series.loss_high, equal_nan=True)
    assert [one["optimizer"] for one in series["other_losses"]] == [one.optimizer for one in run.series.other_losses]
    assert len(series["norms"]) == len(series["peaks"]) == len(body["watched"])
    for column, norms in enumerate(series["norms"]):
        back = floats(norms).astype(np.float32)
        assert np.array_equal(back, run.series.norms[:, column], equal_nan=True)
    assert {key: value for key, value in body.items() if key != "series"} == as_json(name)


@pytest.mark.parametrize("name", runs.ALL)
def test_csv_has_a_row_for_every_point(name: str) -> None:
    run = made(name)
    found = list(csv.reader(io.StringIO(str(render(run, "csv")))))
    assert len(found) == 1 + len(run.series)
    assert all(len(row) == len(found[0]) for row in found)
    total = ["total"] if run.optimizers == 1 else ["total[0]", "total[1]"]
    assert found[0][: 3 + len(total)] == ["step", "last_step", "time", *total]
    assert found[0][-len(run.watched) :] == [words.clean(one.name) for one in run.watched]
    assert not any(unicodedata.category(one) == "Cc" for name in found[0] for one in name)
    values = np.array([[float(one or "nan") for one in row] for row in found[1:]]).reshape(
        len(run.series), len(found[0])
    )
    assert np.array_equal(values[:, 0], run.series.steps)
    assert np.array_equal(values[:, -len(run.watched) :].astype(np.float32), run.series.norms, equal_nan=True)


@pytest.mark.parametrize("name", runs.ALL)
def test_parquet_has_the_columns_of_the_csv(name: str) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    run = made(name)
    data = render(run, "parquet")
    assert isinstance(data, bytes)
    table = parquet.read_table(io.BytesIO(data))
    header = next(csv.reader(io.StringIO(str(render(run, "csv")))))
    assert table.column_names == header
    assert table.num_rows == len(run.series)
    assert table["step"].to_pylist() == run.series.steps.tolist()
    norms = table[header[-1]].to_pylist()
    assert [one is None for one in norms] == np.isnan(run.series.norms[:, -1]).tolist()


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_a_file(name: str) -> None:
    if name == "parquet":
        pytest.importorskip("pyarrow.parquet", reason="the extra parquet is not installed")
    assert render(made("three steps"), name)


def test_the_formats_are_those_of_the_docs() -> None:
    assert FORMATS == ("text", "json", "html", "csv", "parquet")


def test_a_parameter_with_a_columns_name_keeps_its_own() -> None:
    import dataclasses

    run = made("three steps")
    run = dataclasses.replace(run, watched=(dataclasses.replace(run.watched[0], name="rate"),))
    assert next(csv.reader(io.StringIO(str(render(run, "csv")))))[-2:] == ["loss", "rate'"]
