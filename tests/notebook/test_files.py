"""``steadygrad check net.ipynb``: the code cells are one module, and a place in it is a cell and a line."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from steadygrad.cli import main
from tests.notebook.running import REASON

pytest.importorskip("nbformat", reason=REASON)

IMPORTS = "from __future__ import annotations\nimport torch\nfrom torch import nn"
NET = """class Net(nn.Module):
    def __init__(self, widths: Undefined = 16):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(16, 16) for _ in range(12))

    def forward(self, x):
        for layer in self.layers:
            x = torch.sigmoid(layer(x))
        return x"""
TRAINS = """model = Net()
batch = torch.randn(32, 16), torch.randint(0, 16, (32,))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), 1e-3)
display(model)"""


def written(folder: Path, *cells: str, markdown: Sequence[int] = (), **metadata: object) -> str:
    import nbformat

    v4 = nbformat.v4
    made = [(v4.new_markdown_cell if at in markdown else v4.new_code_cell)(text) for at, text in enumerate(cells)]
    path = folder / "net.ipynb"
    nbformat.write(v4.new_notebook(cells=made, metadata=metadata), path)
    return str(path)


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "net", raising=False)


def check(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["check", *words, "--trial", "0"])
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.mark.usefixtures("found")
@pytest.mark.parametrize("target", ["net.ipynb", "net.ipynb:Net"])
def test_a_place_is_a_cell_by_its_order_and_a_line(
    target: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path, "# A title", IMPORTS, "", NET, TRAINS, markdown=[0])
    code, out, err = check(capsys, target, "--select", "SG102")
    assert code == 1, err
    assert " --> net.ipynb:cell [2], line 8 · " in out and "8 |     x = torch.sigmoid(layer(x))" in out
    assert "left out" not in out
    # The notebook's own batch, loss and optimizer go with its own model.
    assert ("from net.ipynb: batch, criterion, optimizer" in out) == (target == "net.ipynb")


@pytest.mark.usefixtures("found")
def test_every_format_names_the_file_and_the_cell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("sarif_pydantic", reason="the extra sarif is not installed")
    written(tmp_path, IMPORTS, NET)
    (tmp_path / ".git").mkdir()
    shown = {
        kind: check(capsys, "net.ipynb:Net", "--select", "SG102", "--output-format", kind)[1]
        for kind in ("concise", "json", "html", "github", "sarif")
    }
    assert shown["concise"].startswith("net.ipynb:cell [2], line 8: error SG102 ")
    place = json.loads(shown["json"])["findings"][0]["location"]
    assert (place["path"], place["line"]) == (f"{tmp_path}/net.ipynb:cell [2]", 8)
    assert "net.ipynb:cell [2], line 8" in shown["html"]
    assert shown["github"].startswith("::error file=net.ipynb,title=") and "cell [2], line 8" in shown["github"]
    (result,) = json.loads(shown["sarif"])["runs"][0]["results"]
    physical = result["locations"][0]["physicalLocation"]
    assert physical["artifactLocation"]["uri"] == "net.ipynb" and physical["region"]["startLine"] == 1
    assert "cell [2], line 8" in result["message"]["text"]


MAGICS = """%matplotlib inline
!pip install --quiet nothing \\
    --verbose
files = !ls
if True:
    !echo "it's"
torch?
percent = (7
% 4)
text = '''
%not a magic
!nor this
'''
assert percent == 3 and "%not" in text"""


@pytest.mark.usefixtures("found")
def test_lines_for_ipython_are_left_out_and_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path, IMPORTS, MAGICS, "%%bash\nls", "%%time\n" + NET, TRAINS)
    code, out, err = check(capsys, "net.ipynb", "--select", "SG102")
    assert code == 1, err
    told = " ".join(out.split())
    assert told.count("left out of net.ipynb: %matplotlib inline in cell [2], !pip install") == 1
    assert "and 3 more" in told
    assert "net.ipynb:cell [4], line 9" in out


@pytest.mark.usefixtures("found")
def test_what_a_cell_raises_is_shown_with_what_was_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path, IMPORTS, "files = !ls", NET + "\nprint(files)")
    code, _, err = check(capsys, "net.ipynb")
    assert code == 2
    assert 'net.ipynb:cell [3]", line 10' in err and "NameError: name 'files' is not defined" in err
    assert "left out of net.ipynb: files = !ls in cell [2]" in err


BAD = {
    "not Python": (["import torch\nx = = 2"], {}, "net.ipynb:cell [1]:2:5 is not Python"),
    "of another language": (
        ["x <- 2"],
        {"kernelspec": {"display_name": "R", "language": "R", "name": "ir"}},
        "net.ipynb is a notebook of R",
    ),
    "without a model": (["x = 2"], {}, "no model in net.ipynb"),
    "several models": ([f"{IMPORTS}\n{NET}", NET.replace("Net", "Other")], {}, "choose one, as in net.ipynb:Net\n"),
}


@pytest.mark.usefixtures("found")
@pytest.mark.parametrize("name", BAD)
def test_a_notebook_that_cannot_be_checked_has_one_sentence(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells, metadata, words = BAD[name]
    written(tmp_path, *cells, **metadata)
    code, _, err = check(capsys, "net.ipynb")
    assert code == 2 and words in err and "Traceback" not in err


@pytest.mark.usefixtures("found")
@pytest.mark.parametrize("text", ["", "{}", "[1", '{"cells": 3, "nbformat": 4, "nbformat_minor": 5}', "\0"])
def test_a_file_that_is_no_notebook_has_one_sentence(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.ipynb").write_text(text)
    code, _, err = check(capsys, "net.ipynb")
    assert code == 2 and len(err.strip().splitlines()) == 1, err
    assert "net.ipynb is not a notebook that can be read" in err


@pytest.mark.usefixtures("found")
def test_without_nbformat_the_extra_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, IMPORTS, NET)
    monkeypatch.setitem(sys.modules, "nbformat", None)
    code, _, err = check(capsys, "net.ipynb")
    assert code == 2 and 'pip install "steadygrad[notebook]"' in err


@pytest.mark.long
@pytest.mark.usefixtures("found")
def test_a_run_and_a_fix_say_that_they_are_for_files_of_python(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("libcst", reason="the extra fix is not installed")
    written(tmp_path, IMPORTS, NET)
    assert main(["run", "net.ipynb"]) == 2
    assert "net.ipynb is a notebook; guard its loop with sg.guard" in capsys.readouterr().err
    assert main(["fix", "net.ipynb:Net", "--input", "32,16"]) == 1
    assert "is in a notebook; move the model into a file of its own" in capsys.readouterr().err
