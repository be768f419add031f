"""The marked expression is the right one, to the column, however the net is written and whoever builds it."""

from __future__ import annotations

import linecache
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import steadygrad as sg
from steadygrad.source.spans import recording_constructions
from tests.probe.shapes import HEAD, SHAPES


def spread_out(files: dict[str, str], folder: Path) -> tuple[str, int, int, int, int]:
    """Write the files without their marks; path, line, column, end line and end column of what was marked."""
    marked = None
    for name, text in files.items():
        before, opened, rest = text.partition("«")
        if opened:
            inside, _, after = rest.partition("»")
            path, line, column = str(folder / name), before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1
            end = before + inside
            marked = (path, line, column, end.count("\n") + 1, len(end.rpartition("\n")[2]) + 1)
            text = before + inside + after
        (folder / name).write_text(text, encoding="utf-8")
    assert marked is not None
    return marked


def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """Run the first file of a shape as a loader would, and return its model."""
    monkeypatch.syspath_prepend(folder)
    for name in ("layers_of_mine", "blocks_of_mine"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    path = folder / "net.py"
    names: dict[str, object] = {"__name__": "net", "__file__": str(path)}
    torch.manual_seed(0)
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), names)
    model = names["model"]
    assert isinstance(model, nn.Module)
    return model


def place(model: nn.Module) -> tuple[str, int, int, int, int]:
    generator = torch.Generator().manual_seed(0)
    batch = (torch.randn(32, 16, generator=generator), torch.randint(0, 4, (32,), generator=generator))
    report = sg.check(model, batch, F.cross_entropy, trial=0)
    (finding,) = (one for one in report.findings if one.code == "SG102")
    at = finding.location
    assert at is not None
    return at.path, at.line, at.column, at.end_line, at.end_column


@pytest.mark.parametrize("name", SHAPES)
def test_the_expression_is_marked(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = spread_out(SHAPES[name], tmp_path)
    with recording_constructions():
        model = run(tmp_path, monkeypatch)
    assert place(model) == expected


INFERRED = [name for name in SHAPES if name.startswith(("Sequential", "subclass"))]


@pytest.mark.parametrize("name", INFERRED)
def test_a_construction_that_nobody_watched_is_read_off_the_source(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = spread_out(SHAPES[name], tmp_path)
    path = tmp_path / "net.py"
    path.write_text(path.read_text(encoding="utf-8") + CHECK_AT_THE_END)
    monkeypatch.syspath_prepend(tmp_path)
    names: dict[str, object] = {"__name__": "net", "__file__": str(path)}
    torch.manual_seed(0)
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), names)
    assert names["place"] == expected


CHECK_AT_THE_END = """
import steadygrad
torch.manual_seed(0)
report = steadygrad.check(model, (torch.randn(32, 16), torch.randint(0, 4, (32,))), F.cross_entropy, trial=0)
at = next(f for f in report.findings if f.code == "SG102").location
place = (at.path, at.line, at.column, at.end_line, at.end_column)
"""


def test_notebook_cell() -> None:
    cell, name = HEAD + SHAPES["function"]["net.py"], "<ipython-input-7-0123456789ab>"
    files = {name: cell}
    before, _, rest = files[name].partition("«")
    inside, _, after = rest.partition("»")
    text = before + inside + after
    # As IPython does: the cell's text is in linecache and nowhere else.
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    names: dict[str, object] = {"__name__": "__main__"}
    torch.manual_seed(0)
    exec(compile(text, name, "exec"), names)
    model = names["model"]
    assert isinstance(model, nn.Module)
    line = before.count("\n") + 1
    column = len(before.rpartition("\n")[2]) + 1
    assert place(model) == (name, line, column, line, column + len(inside))


def test_two_places_that_could_have_built_it_are_no_place(tmp_path: Path) -> None:
    text = HEAD + (
        "first = [m for _ in range(10) for m in (nn.Linear(16, 16), nn.Sigmoid())]\n"
        "second = [m for _ in range(10) for m in (nn.Linear(16, 16), nn.Sigmoid())]\n"
        "model = nn.Sequential(*first, *second, nn.Linear(16, 4))\n"
    )
    path = tmp_path / "net.py"
    path.write_text(text + CHECK_AT_THE_END.replace("place = (at.path", "place = None if at is None else (at.path"))
    names: dict[str, object] = {"__name__": "net", "__file__": str(path)}
    exec(compile(path.read_text(), str(path), "exec"), names)
    report = names["report"]
    assert isinstance(report, sg.Report)
    finding = next(one for one in report.findings if one.code == "SG102")
    assert finding.location is None or "Sigmoid" not in finding.location.text
    assert finding.module
