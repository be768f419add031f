"""Every script of the bench starts one way, and its page names it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "bench/README.md").read_text(encoding="utf-8")
SCRIPTS = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__"): path.read_text(encoding="utf-8")
    for folder in ("*.py", "corpus/*.py", "*/__main__.py")
    for path in sorted((ROOT / "bench").glob(folder))
    if re.search(r"^if __name__ ==", path.read_text(encoding="utf-8"), re.MULTILINE)
}


def test_the_page_names_every_script_and_no_other() -> None:
    assert set(re.findall(r"python -m (bench[.\w]*\w)", PAGE)) - {"bench.NAME"} == set(SCRIPTS)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_needs_no_path_of_its_own(name: str) -> None:
    assert "sys.path" not in SCRIPTS[name]


@pytest.mark.long
def test_a_script_starts_as_the_page_says() -> None:
    command = [sys.executable, "-m", "bench.table", "--help"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("usage: python -m bench.table")
