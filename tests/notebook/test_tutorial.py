"""The tutorial runs from the top, and every public result in it shows itself: in a line, and as HTML."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from steadygrad.cli import main
from tests.notebook.running import REASON, ROOT, printed, run, shown

TUTORIAL = ROOT / "docs" / "tutorial.ipynb"
RESULTS = ("report", "cured", "proof", "rates", "guard", "fixed")

FIXED = """
from pathlib import Path
Path("deep.py").write_text('''
from torch import nn
def net():
    hidden = [layer for _ in range(12) for layer in (nn.Linear(16, 16), nn.Sigmoid())]
    return nn.Sequential(*hidden, nn.Linear(16, 4))
''')
fixed = sg.fix("deep.py:net", inputs="64,16")
fixed
""".strip()


@pytest.mark.long
def test_every_result_in_the_tutorial_shows_itself(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat", reason=REASON)
    pytest.importorskip("anywidget", reason=REASON)
    pytest.importorskip("libcst", reason="the extra fix is not installed")
    book = nbformat.read(TUTORIAL, as_version=4)
    book.cells.append(nbformat.v4.new_code_cell(FIXED))
    cells = {one.source.splitlines()[-1]: one for one in run(book, tmp_path).cells if one.cell_type == "code"}
    for name in RESULTS:
        (line,), (page,) = shown(cells[name]), shown(cells[name], "text/html")
        assert line.startswith("<") and "\n" not in line and len(line) < 2000, name
        assert '<div class="sg-report">' in page and len(page) < 200_000, name
        assert "ipykernel_" not in page and "<script" not in page, name
    for cell in cells.values():
        assert all(len(text) < 2000 for text in shown(cell)) and not printed(cell, "stderr").count("Traceback")
    (report,) = shown(cells["report"], "text/html")
    assert "will not train" in report and "cell [1], line 18" in report
    assert "healthy" in shown(cells["cured"])[0] and "proven" in shown(cells["proof"])[0]
    (picture,) = (one for one in book.metadata["widget_state"].values() if "html" in one)
    assert "400 steps" in picture["html"] and "gradient-spike" in picture["html"]
    assert "step 351: gradient-spike: the gradients of all layers" in printed(book.cells[-3])


def test_the_tutorial_is_kept_without_outputs() -> None:
    book = json.loads(TUTORIAL.read_text(encoding="utf-8"))
    code = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    assert len(code) >= 8
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


@pytest.mark.long
def test_the_command_that_the_tutorial_names_marks_the_same_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("nbformat", reason=REASON)
    (tmp_path / TUTORIAL.name).write_bytes(TUTORIAL.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert main(["check", f"{TUTORIAL.name}:Deep", "--input", "64,16", "--trial", "0", "--fail-on", "warning"]) == 1
    assert " --> tutorial.ipynb:cell [1], line 18 · " in capsys.readouterr().out
