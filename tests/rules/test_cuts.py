"""Every way to lose a gradient's path, in several shapes of source: SG107 marks the very expression that does it.

In each source « and » stand around the expression that is to be marked. They are taken out before the file is written, and
say where it starts and ends, so no column is counted by hand.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

import steadygrad as sg
from steadygrad.probe.spans import recording_constructions
from steadygrad.record import Location
from tests.rules.cuts import CASES, Case


def marked(source: str) -> tuple[str, tuple[int, int, int, int]]:
    """The source without its marks, and the line, column, end line and end column between them."""
    before, rest = source.split("«")
    inside, after = rest.split("»")
    start, end = before, before + inside
    place = (
        start.count("\n") + 1,
        len(start.rpartition("\n")[2]) + 1,
        end.count("\n") + 1,
        len(end.rpartition("\n")[2]) + 1,
    )
    return before + inside + after, place


def loaded(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def checked(source: str, folder: Path, *, trial: int | None = 0) -> tuple[Path, sg.Report]:
    path = folder / "net.py"
    path.write_text(source, encoding="utf-8")
    with recording_constructions():
        model, batch, loss_fn, optimizer = loaded(path).setup()
    return path, sg.check(model, batch, loss_fn, optimizer=optimizer, trial=trial)


def spans(place: Location | None) -> tuple[int, int, int, int] | None:
    return None if place is None else (place.line, place.column, place.end_line, place.end_column)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_expression_that_cut_the_path_is_marked(case: Case, tmp_path: Path) -> None:
    source, expected = marked(case.source)
    path, report = checked(source, tmp_path)
    found = [f for f in report.findings if f.code == "SG107" and f.severity != "info"]
    assert len(found) == 1, [(f.message, str(f.location)) for f in report.findings]
    place = found[0].location
    assert place is not None
    assert (place.path, spans(place)) == (str(path), expected), (place.text, found[0].message)
    assert case.says in found[0].message
    assert found[0].cures


def test_every_way_has_three_shapes() -> None:
    shapes: dict[str, set[str]] = {}
    for case in CASES:
        shapes.setdefault(case.way, set()).add(case.shape)
    assert len(shapes) >= 20
    assert {way: found for way, found in shapes.items() if len(found) < 3} == {}


def test_the_net_without_a_cut_is_not_told_of(tmp_path: Path) -> None:
    _, report = checked(Case("none", "plain", "").source, tmp_path)
    assert [f for f in report.findings if f.code == "SG107" and f.severity != "info"] == []
