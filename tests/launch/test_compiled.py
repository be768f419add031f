"""Torch's compiler sees nothing of ours: as many graphs, breaks and frames as bare, and the same results."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.families import always
from tests.launch.pairs import SCRIPTS, pair

PARTS = ("model", "hooked model", "model in place", "loss", "step of the optimizer", "clip", "all", "all and a clip")


@pytest.mark.long
@pytest.mark.parametrize("part", always(PARTS, "all and a clip"))
def test_what_is_compiled_is_what_a_bare_run_compiles(part: str, tmp_path: Path) -> None:
    both = pair([str(SCRIPTS / "compiled.py"), part], tmp_path)
    assert both.bare.code == both.watched.code == 0, both.watched.stderr
    assert both.watched.stdout == both.bare.stdout
    assert "failed" not in both.watched.stderr
    assert "not watched (" not in both.watched.stderr
