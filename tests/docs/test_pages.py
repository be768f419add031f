"""The committed pages are what the files of rules, cures and experiments say now, and findings and cures name each other."""

from __future__ import annotations

import ast
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from steadygrad import cures, rules
from steadygrad._check import check_subject
from steadygrad.cli import main
from steadygrad.cures.editable_copy import editable_copy_of
from tests.cures.kinds import KINDS, Kind
from tests.cures.test_battery import subject_of

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {path.relative_to(DOCS).as_posix(): path.read_text(encoding="utf-8") for path in DOCS.glob("*/*.md")}
CURES = {cure.name: cure for cure in cures.load()}


def test_the_committed_pages_are_those_that_make_docs_writes() -> None:
    wanted = runpy.run_path(str(DOCS / "make.py"))["pages"]()
    assert sorted(PAGES) == sorted(wanted)
    stale = [name for name in wanted if PAGES[name] != wanted[name]]
    assert stale == [], "make docs writes them anew"


def test_a_page_of_a_rule_or_cure_that_is_gone_is_taken_away(tmp_path: Path) -> None:
    for name in ("rules/SG999.md", "cures/prayer.md", "lab/alchemy.md"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("gone")
    runpy.run_path(str(DOCS / "make.py"))["main"](tmp_path)
    names = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.md")}
    assert not names & {"rules/SG999.md", "cures/prayer.md", "lab/alchemy.md"}
    assert {"rules/README.md", "rules/SG101.md", "cures/README.md", "cures/fold.md", "lab/squash.md"} <= names


def test_every_link_leads_to_a_page() -> None:
    links = [(name, link) for name, text in PAGES.items() for link in re.findall(r"\]\(([^)#]+\.md)\)", text)]
    assert len(links) > 100
    assert [(name, link) for name, link in links if not (DOCS / name).parent.joinpath(link).is_file()] == []


@pytest.mark.parametrize("name", CURES)
def test_a_cure_has_its_headings_in_order(name: str) -> None:
    cure = CURES[name]
    assert re.findall(r"^## (.*)$", cure.doc, flags=re.MULTILINE) == list(cures.HEADINGS)
    assert cure.summary.endswith(".") and len(cure.summary) < 140
    for section in re.split(r"^## .*$", cure.doc, flags=re.MULTILINE)[1:]:
        assert section.strip()


@pytest.mark.parametrize("name", CURES)
def test_what_a_cure_says_without_torch_is_what_its_module_says(name: str) -> None:
    cure = CURES[name]
    assert (cure.group, cure.safety, cure.findings) == (cure.module.GROUP, cure.module.SAFETY, cure.module.FINDINGS)
    assert dict(cure.candidates) == cure.module.CANDIDATES
    assert (cure.group, cure.safety) in cure.candidates.values()


def test_findings_and_cures_link_each_other() -> None:
    codes = {rule.code for rule in rules.load()}
    for cure in CURES.values():
        assert set(cure.findings) <= codes
        for code in cure.findings:
            assert f"](../cures/{cure.name}.md)" in PAGES[f"rules/{code}.md"]
            assert f"](../rules/{code}.md)" in PAGES[f"cures/{cure.name}.md"]
    for code in codes - {code for cure in CURES.values() for code in cure.findings}:
        assert "None: what is wrong here is for a person to change." in PAGES[f"rules/{code}.md"]


def helped() -> dict[str, set[str]]:
    """Cures that each rule's file names: the second argument of a ``CureRef``."""
    return {
        path.name[:5].upper(): {
            call.args[1].value
            for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "CureRef"
            if len(call.args) > 1 and isinstance(call.args[1], ast.Constant) and isinstance(call.args[1].value, str)
        }
        for path in Path(rules.__file__).parent.glob("sg*.py")
    }


def test_a_findings_help_names_cures_that_there_are_and_that_answer_it() -> None:
    named = helped()
    assert sum(bool(names) for names in named.values()) >= 14
    for code, names in named.items():
        for name in names:
            assert code in cures.find(name).findings, (code, name)


def test_every_finding_that_has_cures_names_one() -> None:
    named = helped()
    silent = {code for cure in CURES.values() for code in cure.findings if not named[code]}
    # What made the inf is found by hand; cures only help where the scale of a layer did.
    assert silent == {"SG203"}


def test_explain_lists_the_cures_and_cures_the_findings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "SG102", "--output-format", "markdown"]) == 0
    said = capsys.readouterr().out
    assert "- fold (numbers, safe)" in said and "- residual (residual, unsafe)" in said
    assert main(["cures", "relu", "--output-format", "markdown"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("# swap-activation") and "- SG102 saturated-activation" in said and "| gelu |" in said


NEW = '''
"""Rest.

## What it does

Nothing.
"""

GROUP = "set-up"
SAFETY = "safe"
PHASE = 0
FINDINGS = ("SG108",)
CANDIDATES = {"a-night": ("set-up", "safe")}


def propose(copy, report):
    return ()


def apply_(copy, edit):
    raise NotImplementedError
'''

RUN = """
import runpy
import sys
import steadygrad.cures as cures
cures.__path__.append(sys.argv[1])
from steadygrad.cli import main
assert main(["cures"]) == 0
assert main(["cures", "a-night"]) == 0
assert main(["explain", "SG108"]) == 0
docs = runpy.run_path(sys.argv[2])["pages"]()
assert "cures/rest.md" in docs and "](../cures/rest.md)" in docs["rules/SG108.md"]
assert "torch" not in sys.modules
assert cures.find("rest").module.propose(None, None) == ()
"""


@pytest.mark.long
def test_a_file_dropped_into_the_folder_is_a_cure(tmp_path: Path) -> None:
    (tmp_path / "rest.py").write_text(NEW.lstrip())
    command = [sys.executable, "-c", RUN, str(tmp_path), str(DOCS / "make.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "rest (set-up, safe): Rest." in " ".join(done.stdout.split())


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_what_a_cure_proposes_is_on_its_page(kind: Kind) -> None:
    subject = subject_of(kind)
    report = check_subject(subject, trial=0)
    copy = editable_copy_of(subject, report.trace)
    for cure in CURES.values():
        for candidate in cure.module.propose(copy, report):
            assert cure.candidates[candidate.name] == (candidate.group, candidate.safety)
