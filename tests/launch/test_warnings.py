"""A warning names the line that it names in a bare run, in the first step too, however many callers away that line is."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from steadygrad.frames import not_counted
from tests.families import always
from tests.launch.pairs import SCRIPTS, pair


@pytest.mark.long
@pytest.mark.parametrize("how", always(["always", "default"], "default"))
def test_warnings_are_those_of_a_bare_run(how: str, tmp_path: Path) -> None:
    both = pair([str(SCRIPTS / "warns.py"), how], tmp_path, options=["--no-journal"])
    assert both.bare.code == both.watched.code == 0, both.watched.stderr
    assert "mse" in both.bare.stderr or "target size" in both.bare.stderr
    assert both.watched.theirs == both.bare.stderr
    assert any("first step: " in line or "no alarm" in line for line in both.watched.ours)


def test_what_passes_a_call_on_is_not_counted() -> None:
    def warn() -> None:
        warnings.warn("from afar", stacklevel=2)

    def passes() -> None:
        warn()

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        passes()
        not_counted(passes)
        passes()
    lines = Path(__file__).read_text().splitlines()
    assert [lines[one.lineno - 1].strip() for one in told] == ["warn()", "passes()"]
