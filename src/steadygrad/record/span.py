"""A place in the user's source: the very expression, not only its line."""

from __future__ import annotations

import re
from dataclasses import dataclass

_CELL = re.compile(r"(?:.+\.ipynb:)?(?P<cell>cell \[\d+\])")


@dataclass(frozen=True, slots=True)
class Location:
    """An expression in a source file, or in a cell of a notebook.

    Lines and columns are 1-based and count characters; ``end_column`` is one past the last character,
    so that ``text[column - 1 : end_column - 1]`` is the expression when it lies on one line.
    """

    path: str
    """A file; "cell [2]" in a notebook that is running, "net.ipynb:cell [2]" in the file of one."""
    line: int
    """Of the file or the cell."""
    column: int
    end_line: int
    end_column: int
    source: str = ""
    """The source lines ``line`` to ``end_line`` as they were when the model ran ("" where unknown)."""

    def __str__(self) -> str:
        """Return ``path:line:column``, or ``cell [2], line 9``."""
        return f"{self.path}, line {self.line}" if self.cell else f"{self.path}:{self.line}:{self.column}"

    @property
    def cell(self) -> str:
        """The cell of a notebook, "cell [2]"; "" in any other file."""
        found = _CELL.fullmatch(self.path)
        return found["cell"] if found is not None else ""

    @property
    def file(self) -> str:
        """The file itself, without a cell; "" in a notebook that is running."""
        return self.path.removesuffix(self.cell).removesuffix(":")

    @property
    def lines(self) -> tuple[str, ...]:
        """The source lines ``line`` to ``end_line``, or () where they are unknown."""
        lines = re.split(r"\r\n|\r|\n", self.source)
        expected = self.end_line - self.line + 1
        if len(lines) == expected + 1 and not lines[-1]:
            lines.pop()
        return tuple(lines) if self.source and len(lines) == expected else ()

    @property
    def text(self) -> str:
        """The expression itself, or "" where the source is unknown."""
        lines = self.lines
        if not lines:
            return ""
        if len(lines) == 1:
            return lines[0][self.column - 1 : self.end_column - 1]
        return "\n".join([lines[0][self.column - 1 :], *lines[1:-1], lines[-1][: self.end_column - 1]])
