"""Whatever is handed over: no traceback of ours, no raw control character, an end within ten seconds, bounded memory.

``STEADYGRAD_FUZZ`` says how many inputs of the quick kinds there are in all (500); ``make fuzz`` takes 20,000. Of the slow kinds,
which run models and processes or follow files, each has a hundredth of that; they have five minutes each.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from steadygrad.clip import Clip
from steadygrad.launch.program import Program
from steadygrad.report import render
from steadygrad.settings import RunSettings
from tests.families import always
from tests.forgetting import forget
from tests.fuzz import commands, inputs
from tests.fuzz.inputs import Given
from tests.fuzz.running import LONGEST, hold
from tests.journal.runs import whole
from tests.report import records

QUICK = ("journals", "reports", "settings", "targets", "options", "programs")
SLOW = ("subjects", "sources", "followed")
ALL = int(os.environ.get("STEADYGRAD_FUZZ", "500"))
EACH = {**dict.fromkeys(QUICK, ALL // len(QUICK)), **dict.fromkeys(SLOW, ALL // 100)}
FEW = 20
"""Inputs of which all may be refused."""
LONG, MOMENT = 300, 0.3
"""Seconds that a slow one may take, and after which somebody stops what follows a file."""


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
        "programs": commands.programs(),
        "subjects": commands.subjects(),
        "sources": commands.sources(),
        "followed": commands.followed(inputs.journals(journal)),
    }


def _would_start(program: Program, settings: RunSettings, tracker: Callable[[], object] | None) -> int:
    """Of a program that is started the process becomes its own: here it ends where it would begin. A clip is read when torch is
    there."""
    if settings.clip is not None:
        Clip.parse(settings.clip)
    return 0


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", always(EACH, "settings", "options", "subjects", "followed"))
def test_whatever_is_given(
    kind: str, strategies: dict[str, st.SearchStrategy[Given]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("steadygrad.launch.start.start", _would_start)
    held: dict[int, int] = {}

    # The few of an ordinary run are the same ones each time, so that its last assertion does not depend on luck.
    @settings(
        max_examples=EACH[kind],
        derandomize=EACH[kind] <= 100,
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
        # Some of the programs rename torch's class or replace a method of it.
        name, reset = nn.Linear.__name__, nn.Linear.reset_parameters
        try:
            code = hold(
                words,
                longest=LONG if kind in SLOW else LONGEST,
                stopped_after=MOMENT if kind == "followed" else None,
                # Elsewhere a patch is what it is, so that it can be applied.
                terminal=kind == "sources",
            )
        finally:
            nn.Linear.__name__, nn.Linear.reset_parameters = name, reset  # type: ignore[method-assign]
            forget(tmp_path)
        held[code] = held.get(code, 0) + 1

    run()
    # Most are refused, and some are well enough: an input that never gets through tests nothing behind the first door.
    assert (held.get(2, 0) and len(held) > 1) or EACH[kind] < FEW, held
