"""What holds for every rule, and that adding one is adding a file."""

from __future__ import annotations

import inspect
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steadygrad import rules
from steadygrad.record import Finding, Severity

DOCS = Path(__file__).parents[2] / "docs" / "make.py"

NEW = '''
"""Every model, whatever it is.

{headings}
"""

from steadygrad.record import Finding, Severity


def judge(trace, trial):
    yield Finding("SG999", "everything", Severity.INFO, "seen", location=None, module="", evidence=(), cures=())
'''

RUN = """
import runpy
import sys
import steadygrad.rules as rules
rules.__path__.append(sys.argv[1])
from steadygrad.cli import main
assert main(["rules"]) == 0
assert main(["explain", "SG999"]) == 0
assert main(["rules", "--output-format", "markdown"]) == 0
docs = runpy.run_path(sys.argv[3])["pages"]()
assert "rules/SG999.md" in docs and "[SG999](SG999.md)" in docs["rules/README.md"]
assert main(["check", sys.argv[2], "--trial", "0", "--output-format", "concise"]) == 0
"""


@pytest.mark.long
def test_a_file_dropped_into_the_folder_is_a_rule(tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    folder.mkdir()
    headings = "\n\n".join(f"## {heading}\n\nNothing." for heading in rules.HEADINGS)
    (folder / "sg999_everything.py").write_text(NEW.format(headings=headings).lstrip())
    net = tmp_path / "net.py"
    net.write_text("from torch import nn\n\nmodel = nn.Linear(4, 2)\n")
    run = subprocess.run(
        [sys.executable, "-c", RUN, str(folder), str(net), str(DOCS)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "SG999  everything" in run.stdout
    assert "| SG999 | everything | Every model, whatever it is. |" in run.stdout
    assert "What it measures" in run.stdout
    assert "SG999 seen" in run.stdout


def test_without_the_file_there_is_no_such_rule() -> None:
    with pytest.raises(rules.UnknownRuleError):
        rules.find("SG999")


@pytest.mark.parametrize("rule", rules.load(), ids=lambda rule: rule.code)
def test_a_rule_has_a_summary(rule: rules.Rule) -> None:
    assert rule.summary.endswith(".")
    assert textwrap.shorten(rule.summary, 200) == rule.summary


def test_a_finding_bears_the_code_and_name_of_its_file() -> None:
    stated = {rule.code: inspect.getmodule(rule.judge).RULE for rule in rules.load() if rule.judge}  # type: ignore[union-attr]
    assert stated == {rule.code: (rule.code, rule.name) for rule in rules.load() if rule.judge}


def test_the_codes_are_those_of_the_design() -> None:
    expected = [*range(101, 114), *range(201, 208), *range(301, 313)]
    assert [rule.code for rule in rules.load()] == [f"SG{number}" for number in expected]


@pytest.mark.parametrize("selector", ["", "SG9", "nothing"])
def test_a_selector_that_means_no_rule_is_told(selector: str) -> None:
    with pytest.raises(rules.UnknownRuleError, match="no rule"):
        rules.resolve(["SG101", selector])


def test_a_selector_is_a_code_a_prefix_of_codes_or_a_name() -> None:
    assert rules.resolve(["sg101", "underflow"]) == {"SG101", "SG108"}
    assert rules.resolve(["SG20"]) == {f"SG{number}" for number in range(201, 208)} and rules.resolve([]) == frozenset()


def _finding(code: str, severity: Severity, explains: list[str]) -> Finding:
    return Finding(code, "rule", severity, "seen", None, "", (), (), explains=tuple(explains))


@given(
    st.lists(
        st.builds(
            _finding,
            st.sampled_from(["SG101", "SG105", "SG106"]),
            st.sampled_from(list(Severity)),
            st.sets(st.sampled_from(["SG101", "SG105", "SG106"])).map(sorted),
        ),
        min_size=1,
        max_size=2,
        unique_by=lambda finding: finding.code,
    )
)
def test_a_worst_finding_is_never_explained_away(found: list[Finding]) -> None:
    kept = rules.causes(found)
    assert kept and rules.verdict(kept) is rules.verdict(found)
    assert kept == sorted(kept, key=lambda finding: (finding.severity.rank, finding.code))
