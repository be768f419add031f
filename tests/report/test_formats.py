"""Lines for machines, and the notebook: every string of the user's is escaped as its reader needs it."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from steadygrad.record import Location, Severity
from steadygrad.report import html, render

from . import records


def test_concise_is_one_line_a_finding_and_the_verdict() -> None:
    assert render(records.vanishing(), "concise").split("\n") == [
        "net.py:9:17: error SG102 sigmoid passes less than 1/4 of the gradient, 20 times in a row",
        "net.py:9:31: error SG105 all 32 samples leave fcs.19 alike",
        "train.py:31:12: warning SG303 cross_entropy applies softmax to an output that softmax has made",
        "will not train as set up · 2 errors, 1 warning",
    ]


def test_concise_names_the_module_where_no_line_is_known() -> None:
    first, second, _ = render(records.nonfinite(), "concise").split("\n")
    assert first.startswith("head.temperature: error SG203 ")
    assert second.startswith("model: error SG203 ")


def test_github_annotates_the_expression() -> None:
    first = render(records.vanishing(), "github").split("\n")[0]
    assert first.startswith(
        "::error file=net.py,line=9,col=17,endLine=9,endColumn=37,title=SG102 saturated-activation::sigmoid passes"
    )
    assert "%0Ahelp: folded initialisation" in first


def test_github_gives_no_columns_over_several_lines() -> None:
    finding = replace(records.saturated(), location=records.MULTILINE)
    line = render(replace(records.healthy(), findings=(finding,)), "github").split("\n")[0]
    assert "line=98,endLine=102,title=" in line


def test_github_escapes() -> None:
    at = Location("a,b:c%d.py", 1, 1, 1, 2)
    finding = replace(records.saturated(), location=at, name="x,y:z", message="100%\nof: it, all\r", label="")
    line = render(replace(records.healthy(), findings=(finding,)), "github").split("\n")[0]
    assert "file=a%2Cb%3Ac%25d.py,line=1" in line
    assert "title=SG102 x%2Cy%3Az::100%25 of: it, all %0A" in line


@pytest.mark.parametrize("name", records.ALL)
def test_github_lines_are_commands_but_the_last(name: str) -> None:
    record = records.ALL[name]()
    *commands, last = render(record, "github").split("\n")
    assert len(commands) == len(record.findings)
    assert all(re.match(r"::(error|warning|notice) ([\w]+=[^,:]*,?)+::", command) for command in commands)
    assert not last.startswith("::")


class Tags(HTMLParser):
    """Checks that tags nest, and keeps their names and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("name", records.ALL)
def test_html_is_well_formed_self_contained_and_escaped(name: str) -> None:
    fragment = html.fragment(records.ALL[name]())
    tags = Tags()
    tags.feed(fragment)
    tags.close()
    assert not tags.open
    assert not tags.seen & {"script", "link", "img", "iframe", "object"}
    assert "http" not in fragment
    assert len(fragment) < 40_000
    if name == "hostile":
        assert "<script>alert(1)</script>" in tags.text
    if name == "vanishing":
        assert "<mark>torch.sigmoid(fc(x))</mark>" in fragment
        assert "17.2 decades lost" in tags.text


def _loads_torch(code: str) -> bool:
    script = f"{code}\nimport sys\nsys.exit(17 if 'torch' in sys.modules else 0)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode in (0, 17), done.stderr
    return done.returncode == 17


def test_reports_are_rendered_without_torch() -> None:
    assert not _loads_torch("import steadygrad.report, steadygrad.report.schema")


@pytest.mark.long
def test_the_test_for_torch_can_fail() -> None:
    assert _loads_torch("import steadygrad.report, torch")


def test_github_gets_ten_annotations_of_a_level_and_the_number_of_the_others() -> None:
    errors = 12 * (records.saturated(),)
    warnings = 3 * (replace(records.saturated(), severity=Severity.WARNING),)
    lines = render(replace(records.vanishing(), findings=errors + warnings), "github").split("\n")
    assert [sum(line.startswith(f"::{level} ") for line in lines) for level in ("error", "warning")] == [10, 3]
    assert " · 2 without an annotation" in lines[-1]
