"""A source file as text with places: read with its encoding and line ends, spliced, encoded back byte for byte.

libcst finds nodes by their positions; the change itself is a splice of the text, so that nothing else can move.
"""

from __future__ import annotations

import functools
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import Any

from steadygrad.errors import CannotFixError, SettingsError
from steadygrad.record import Location
from steadygrad.source.spans import is_user_file


@functools.cache
def libcst() -> Any:
    """The library, or an error that names the extra."""
    try:
        import libcst
        import libcst.metadata
    except ImportError:
        raise SettingsError("writing into source needs libcst; pip install 'steadygrad[fix]'") from None
    return libcst


@dataclass(frozen=True)
class Splice:
    """Characters ``start`` to ``end`` of the text, and what takes their place."""

    start: int
    end: int
    text: str
    opening: bool = False
    """Whether it opens what another one closes: of several at one place the later one stands in front."""


@dataclass
class Source:
    """One file; ``splices`` are its changes."""

    path: Path
    data: bytes
    encoding: str
    text: str
    splices: list[Splice] = field(default_factory=list)

    @classmethod
    def read(cls, path: str | Path) -> Source:
        """Read a file. Raises ``CannotFixError`` where it is not Python text."""
        if Location(str(path), 1, 1, 1, 1).cell:
            raise CannotFixError(f"{path} is in a notebook; move the model into a file of its own")
        path = Path(path).resolve()
        try:
            data = path.read_bytes()
            encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
            text = data.decode(encoding)
        except (OSError, SyntaxError, UnicodeDecodeError) as error:
            raise CannotFixError(f"cannot read {path}: {error}") from None
        return cls(path, data, encoding, text)

    @classmethod
    def own(cls, path: str | Path) -> Source:
        """Read a file of the user's. Raises ``CannotFixError`` for one of a library's as well."""
        path = Path(path).resolve()
        if not is_user_file(str(path)) or "site-packages" in path.parts:
            raise CannotFixError(f"{path} is not a file of yours")
        return cls.read(path)

    @functools.cached_property
    def newline(self) -> str:
        """The line end that the file uses most."""
        pairs = self.text.count("\r\n")
        counts = {"\n": self.text.count("\n") - pairs, "\r\n": pairs, "\r": self.text.count("\r") - pairs}
        return max(counts, key=lambda end: counts[end])

    @functools.cached_property
    def indent(self) -> str:
        """One step of indentation, as the file has it."""
        return str(self.module.default_indent)

    @functools.cached_property
    def _wrapper(self) -> Any:
        cst = libcst()
        try:
            # Line ends inside the tree do not matter: only positions are read from it.
            return cst.metadata.MetadataWrapper(cst.parse_module(self.text), unsafe_skip_copy=True)
        except cst.ParserSyntaxError as error:
            raise CannotFixError(f"{self.path} is not Python that can be edited: {error.message}") from None

    @property
    def module(self) -> Any:
        return self._wrapper.module

    @functools.cached_property
    def _starts(self) -> list[int]:
        starts = [0]
        starts += [
            i + 1 for i, c in enumerate(self.text) if c == "\n" or (c == "\r" and self.text[i + 1 : i + 2] != "\n")
        ]
        return starts

    def offset(self, line: int, column: int) -> int:
        """Index of a 1-based line and 0-based column."""
        return self._starts[line - 1] + column if line <= len(self._starts) else len(self.text)

    @functools.cached_property
    def spans(self) -> dict[Any, tuple[int, int]]:
        """Start and end of every node."""
        ranges = self._wrapper.resolve(libcst().metadata.PositionProvider)
        return {
            node: (self.offset(r.start.line, r.start.column), self.offset(r.end.line, r.end.column))
            for node, r in ranges.items()
        }

    def at(self, place: Location) -> Any:
        """The call at a location. Raises ``CannotFixError`` where there is none."""
        start = self.offset(place.line, place.column - 1)
        end = self.offset(place.end_line, place.end_column - 1)
        cst = libcst()
        for node, span in self.spans.items():
            if not isinstance(node, cst.Call) or span[1] != end:
                continue
            # Of a chain of methods over several lines Python marks the last link alone.
            link = isinstance(node.func, cst.Attribute) and self.spans[node.func.attr][0] == start
            if span[0] == start or link:
                return node
        raise CannotFixError(f"{place} is no plain call ({place.text[:40]!r})")

    def calls(self) -> Iterator[Any]:
        """Every call in the file."""
        return (node for node in self.spans if isinstance(node, libcst().Call))

    def definition(self, code: CodeType) -> Any:
        """The function whose code this is, with lines of its own. Raises ``CannotFixError`` where it has none."""
        cst = libcst()
        for node in self.spans:
            if isinstance(node, cst.FunctionDef) and node.name.value == code.co_name:
                first = self.spans[node.decorators[0] if node.decorators else node][0]
                line = self.text.count("\n", 0, first) + 1
                if line == code.co_firstlineno and isinstance(node.body, cst.IndentedBlock):
                    return node
        raise CannotFixError(f"{code.co_qualname} has no lines to end with a call")

    def blocks(self) -> Iterator[Any]:
        """The statements of every block: the file's own, and those of functions, loops and branches."""
        cst = libcst()
        yield self.module.body
        yield from (node.body for node in self.spans if isinstance(node, cst.IndentedBlock))

    def parent(self, node: Any) -> Any:
        """The node that holds it."""
        return self._wrapper.resolve(libcst().metadata.ParentNodeProvider)[node]

    def code(self, node: Any) -> str:
        start, end = self.spans[node]
        return self.text[start:end]

    def replace(self, node: Any, text: str) -> None:
        """Put ``text`` in the place of a node, once: the same place asked for twice is one change."""
        start, end = self.spans[node]
        self.splice(start, end, text)

    def wrap(self, node: Any, before: str, behind: str) -> None:
        """Put text before and behind a node, once; of two wraps of one node the later is the outer."""
        start, end = self.spans[node]
        opening = Splice(start, start, before, opening=True)
        if opening not in self.splices:
            self.splices += [opening, Splice(end, end, behind)]

    def splice(self, start: int, end: int, text: str) -> None:
        new = Splice(start, end, text)
        if new in self.splices:
            return
        for old in self.splices:
            if old.start < new.end and new.start < old.end:
                raise CannotFixError(f"two changes meet at {self.path.name}:{self.text.count(chr(10), 0, start) + 1}")
        self.splices.append(new)

    def lines(self, *rows: str, indent: str = "") -> str:
        """Rows with this file's indentation (4 spaces in ``rows`` = one step) and line ends."""
        made = []
        for row in rows:
            depth = (len(row) - len(row.lstrip(" "))) // 4
            made.append(f"{indent}{self.indent * depth}{row.lstrip(' ')}" if row.strip() else "")
        return self.newline.join(made)

    @property
    def patched(self) -> str:
        ranked = [
            (one.start, one.end, -rank if one.opening else rank, one.text) for rank, one in enumerate(self.splices)
        ]
        text = self.text
        for start, end, _, new in sorted(ranked, reverse=True):
            text = text[:start] + new + text[end:]
        return text

    @property
    def patched_bytes(self) -> bytes:
        """Raises ``CannotFixError`` where the file's encoding has no room for what was put in."""
        try:
            data = self.patched.encode(self.encoding)
        except UnicodeEncodeError:
            raise CannotFixError(f"{self.path.name} is encoded in {self.encoding}, which lacks a character") from None
        return data

    def line_end(self, offset: int) -> int:
        """Return the place behind the line end that follows."""
        return next((start for start in self._starts if start > offset), len(self.text))

    def indent_of(self, offset: int) -> str:
        """The white space at the start of the line of ``offset``."""
        start = max(self.text.rfind("\n", 0, offset), self.text.rfind("\r", 0, offset)) + 1
        line = self.text[start:]
        return line[: len(line) - len(line.lstrip(" \t"))]

    def insert_lines(self, at: int, *rows: str) -> None:
        """Rows as lines of their own at ``at``, the start of a line or the end of the file."""
        missing = "" if at == 0 or self.text[:at].endswith(("\n", "\r")) else self.newline
        self.splice(at, at, f"{missing}{self.newline.join(rows)}{self.newline}")


def set_argument(source: Source, call: Any, name: str, value: str) -> None:
    """Give a call's keyword argument another value, or add it behind the last."""
    for argument in call.args:
        if argument.keyword is not None and argument.keyword.value == name:
            if source.code(argument.value) != value:
                source.replace(argument.value, value)
            return
    if call.args:
        end = source.spans[call.args[-1]][1]
        source.splice(end, end, f", {name}={value}")
    else:
        end = source.text.index("(", source.spans[call.func][1]) + 1
        source.splice(end, end, f"{name}={value}")
