"""The committed pages of the rules are what their docstrings say now."""

from __future__ import annotations

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_committed_pages_are_those_that_make_docs_writes() -> None:
    wanted = runpy.run_path(str(DOCS / "make.py"))["pages"]()
    written = {path.name: path.read_text(encoding="utf-8") for path in (DOCS / "rules").glob("*.md")}
    assert sorted(written) == sorted(wanted)
    stale = [name for name in wanted if written[name] != wanted[name]]
    assert stale == [], "make docs writes them anew"


def test_a_page_of_a_rule_that_is_gone_is_taken_away(tmp_path: Path) -> None:
    (tmp_path / "SG999.md").write_text("gone")
    runpy.run_path(str(DOCS / "make.py"))["main"](tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert "SG999.md" not in names
    assert {"README.md", "SG101.md", "SG305.md"} <= names
