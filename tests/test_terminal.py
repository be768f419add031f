"""Lines wrap at words in a terminal and nowhere else."""

from __future__ import annotations

import io
import os
import pty

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steadygrad import terminal

LINE = "steadygrad: step 120: warning[SG206] gradient-spike in 0.weight: the gradient norm is ×35 its median (0.2)"


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_file_gets_the_line_whole() -> None:
    assert terminal.wrapped(LINE, io.StringIO(), " " * 12) == LINE
    assert terminal.wrapped(LINE, None, " " * 12) == LINE


def test_a_terminal_gets_it_at_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert terminal.wrapped(LINE, Screen(), " " * 12).splitlines() == [
        "steadygrad: step 120: warning[SG206] gradient-spike in",
        "            0.weight: the gradient norm is ×35 its median",
        "            (0.2)",
    ]


def test_the_width_is_that_of_the_terminal_behind_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(os, "get_terminal_size", lambda descriptor: os.terminal_size((50, 24)))
    parent, child = pty.openpty()
    with os.fdopen(child, "w", encoding="utf-8") as stream:
        rows = terminal.wrapped(LINE, stream, "  ").splitlines()
    os.close(parent)
    assert max(map(len, rows)) <= 50 and len(rows) == 3


@given(st.lists(st.text("abc/.-×", min_size=1, max_size=70), min_size=1, max_size=30), st.integers(1, 120))
def test_no_word_is_lost_or_broken(words: list[str], width: int) -> None:
    os.environ["COLUMNS"] = str(width)
    try:
        assert terminal.wrapped(" ".join(words), Screen(), "  ").split() == words
    finally:
        del os.environ["COLUMNS"]
