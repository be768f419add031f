"""A program of the ecosystem, as its first lines tell: its shape, what is right to say of it, what it needs. Runs nothing.

``# Shape:`` what it is. ``# Expected:`` "no error", or "error" with the codes any of which is right; it is stated from what
training does, before anything is asked. ``# With WORDS:`` what is right to say of it when it is given these arguments: one more
program, of the same file. ``# Processes:`` how many torchrun starts. ``# Needs:`` a package that may be missing.
``# Standard error:`` why it is not the same twice.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, replace
from pathlib import Path

PROGRAMS = Path(__file__).parent / "programs"
NO_ERROR = "no error"


@dataclass(frozen=True)
class Program:
    """One file, and what stands at its top."""

    name: str
    shape: str
    expected: tuple[str, ...]
    """Codes any of which an error told at the first step is to have; () where no error is right."""
    processes: int = 0
    """Started by torchrun; 0: by itself."""
    needs: str = ""
    varies: str = ""
    """Why its standard error is not compared; "" where it is."""
    file: str = ""
    arguments: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        return PROGRAMS / f"{self.file or self.name}.py"

    @property
    def is_here(self) -> bool:
        """Whether what it needs is installed."""
        return not self.needs or importlib.util.find_spec(self.needs) is not None


def read(path: Path) -> list[Program]:
    """From the comments at the top of a file. Raises ``ValueError`` where one that must be there is missing."""
    told: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("# "):
            break
        name, _, value = line.removeprefix("# ").partition(": ")
        told[name] = value
    if not told.get("Shape") or not _is_judgement(told.get("Expected", "")):
        raise ValueError(
            f"{path.name} does not say '# Shape: …' and '# Expected: no error' or '# Expected: error CODE'"
        )
    plain = Program(
        path.stem,
        told["Shape"],
        _codes(told["Expected"]),
        processes=int(told.get("Processes", 0)),
        needs=told.get("Needs", ""),
        varies=told.get("Standard error", ""),
    )
    return [
        plain,
        *(_with(plain, name.removeprefix("With "), one) for name, one in told.items() if name.startswith("With ")),
    ]


def _with(plain: Program, words: str, expected: str) -> Program:
    """The same file, given arguments."""
    arguments = tuple(words.split())
    return replace(
        plain,
        name="_".join((plain.name, *arguments)),
        shape=f"{plain.shape}; here {words}",
        expected=_codes(expected),
        file=plain.name,
        arguments=arguments,
    )


def _is_judgement(expected: str) -> bool:
    return expected == NO_ERROR or expected.startswith("error ")


def _codes(expected: str) -> tuple[str, ...]:
    return () if expected == NO_ERROR else tuple(expected.split()[1:])


def every() -> dict[str, Program]:
    """All programs by name."""
    return {one.name: one for path in sorted(PROGRAMS.glob("*.py")) for one in read(path)}
