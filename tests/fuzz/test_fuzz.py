"""Whatever is handed over: no traceback of ours, no raw control character, an end within ten seconds, bounded memory.

``STEADYGRAD_FUZZ`` says how many inputs there are in all (500); ``make fuzz`` takes 20,000.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steadygrad.report import render
from tests.forgetting import forget
from tests.fuzz import inputs
from tests.fuzz.inputs import Given
from tests.fuzz.running import hold
from tests.journal.runs import whole
from tests.report import records

KINDS = ("journals", "reports", "settings", "targets", "options")
EACH = int(os.environ.get("STEADYGRAD_FUZZ", "500")) // len(KINDS)


@pytest.fixture(scope="module")
def strategies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, st.SearchStrategy[Given]]:
    journal = whole(tmp_path_factory.mktemp("whole") / "run.sgj", steps=60).read_bytes()
    texts = tuple(render(one(), "json") for one in records.ALL.values())
    assert all(json.loads(text) for text in texts)
    return {
        "journals": inputs.journals(journal),
        "reports": inputs.reports(texts),
        "settings": inputs.settings(),
        "targets": inputs.targets(),
        "options": inputs.options(),
    }


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", KINDS)
def test_whatever_is_given(
    kind: str, strategies: dict[str, st.SearchStrategy[Given]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # Of a program that is started the process becomes its own: here it ends where it would begin.
    monkeypatch.setattr("steadygrad.launch.start.start", lambda program, settings: 0)
    held: dict[int, int] = {}

    # The few of an ordinary run are the same ones each time, so that its last assertion does not depend on luck.
    @settings(
        max_examples=EACH,
        derandomize=EACH <= 100,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(data=strategies[kind])
    def run(data: Given) -> None:
        for file in tmp_path.iterdir():
            if file.is_file():
                file.unlink()
        words = data.laid(tmp_path)
        try:
            code = hold(words)
        finally:
            forget(tmp_path)
        held[code] = held.get(code, 0) + 1

    run()
    # Most are refused, and some are well enough: an input that never gets through tests nothing behind the first door.
    assert held.get(2, 0) and len(held) > 1, held
