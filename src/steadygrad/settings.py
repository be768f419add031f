"""``[tool.steadygrad]`` and the options of a call, as one frozen ``Settings`` (or ``RunSettings``); and what they suppress.

Options win over the file; the file is the nearest pyproject.toml that has the section. May rely on the records and the
standard library; must not know which rules exist: codes are compared as text, and the rules room refuses unknown ones.
"""

from __future__ import annotations

import functools
import io
import linecache
import re
import tokenize
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from steadygrad.errors import SettingsError
from steadygrad.record import Finding, Location
from steadygrad.written import names, nearest

FAIL_ON = ("error", "warning", "never")
CURES = ("at-start",)

Ignores = tuple[tuple[str, tuple[str, ...]], ...]
"""Pairs of a glob and the selectors that it ignores."""


@dataclass(frozen=True)
class Settings:
    """The settings of a check: what to judge, what to ignore, how to run; the defaults are those of ``steadygrad check``."""

    select: tuple[str, ...] = ()
    """Codes, prefixes of codes or names of the rules to run; all when empty."""
    ignore: tuple[str, ...] = ()
    per_file_ignores: Ignores = ()
    """Globs are relative to ``root``."""
    per_module_ignores: Ignores = ()
    """Globs of module paths ("encoder.layers.*"); a module's children are meant too."""
    fail_on: str = "error"
    trial: int | None = None
    """Steps of the step test; None: as many as settle it."""
    seed: int = 0
    device: str | None = None
    dtype: str | None = None
    output_format: str = "text"
    baseline: str | None = None
    """File of known findings, relative to ``root`` where pyproject.toml names it."""
    root: Path | None = None
    """Folder of the pyproject.toml that was read."""

    @property
    def selectors(self) -> tuple[str, ...]:
        """Every code, prefix or name that is mentioned, for the rules room to confirm."""
        globbed = (*self.per_file_ignores, *self.per_module_ignores)
        return (*self.select, *self.ignore, *(word for _, words in globbed for word in words))


@dataclass(frozen=True)
class RunSettings:
    """The settings of ``steadygrad run``: ``[tool.steadygrad.run]``; the defaults are those of a run without options."""

    clip: str | None = None
    """The text for ``Clip.parse``: "norm:1.0"."""
    on_alarm: str = "warn"
    """The text for ``OnAlarm.parse``: "skip:5/100:stop"."""
    probe_every: int = 1000
    """Steps between two looks; 0 = none by the clock."""
    overhead: float = 0.01
    """Share of a step that watching may cost."""
    every: int = 1
    """Read each so many steps; 1 = all."""
    journal: str | None = None
    """Where the journal is written; None = a new file in runs/."""
    no_journal: bool = False
    notify: str | None = None
    """Where each alarm is sent: an address, or a command."""
    tracker: str | None = None
    """What shows the run live: "tensorboard", "wandb:PROJECT"."""
    quiet: bool = False
    check: bool = True
    """Whether the first step is checked on a copy, as ``steadygrad check`` does it."""
    cure: str | None = None
    """ "at-start": cured before the first step, where numbers alone do it."""


def load_settings(start: Path, options: Mapping[str, Any] | None = None) -> Settings:
    """Settings for a target in folder ``start``. Options of None were not given. Raises ``SettingsError``."""
    found: dict[str, Any] = {}
    where = _nearest_pyproject(start)
    if where is not None:
        path, table = where
        own = {name: value for name, value in table.items() if name != RUN}
        found = {**_checked(own, f"[tool.steadygrad] in {path}", Settings), "root": path.parent}
        if "baseline" in found:
            found["baseline"] = str(path.parent / found["baseline"])
    given = {name: value for name, value in (options or {}).items() if value is not None}
    return Settings(**{**found, **_checked(given, "the options", Settings)})


def load_run_settings(start: Path, options: Mapping[str, Any] | None = None) -> RunSettings:
    """Settings of ``steadygrad run`` for a program in folder ``start``. Raises ``SettingsError``."""
    found: dict[str, Any] = {}
    where = _nearest_pyproject(start)
    if where is not None:
        path, table = where
        run = table.get(RUN, {})
        if not isinstance(run, Mapping):
            raise SettingsError(
                f"cannot read {path}: tool.steadygrad.run is {run!r}, expected a table [tool.steadygrad.run]"
            )
        found = _checked(run, f"[tool.steadygrad.run] in {path}", RunSettings)
    given = {name: value for name, value in (options or {}).items() if value is not None}
    # One of the two on the command line overrules the other in the file.
    if "journal" in given:
        found.pop("no_journal", None)
    return RunSettings(**{**found, **_checked(given, "the options", RunSettings)})


RUN = "run"
"""The table within [tool.steadygrad] that is not of checks."""


def _nearest_pyproject(start: Path) -> tuple[Path, Mapping[str, Any]] | None:
    start = start.resolve()
    for folder in (start, *start.parents):
        path = folder / "pyproject.toml"
        try:
            tools = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {})
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue
        except (ValueError, RecursionError, OSError) as error:
            # Not TOML, not UTF-8, a number of more digits than Python takes, or brackets deeper than it goes.
            raise SettingsError(f"cannot read {path}: {error}") from None
        if not isinstance(tools, dict):
            raise SettingsError(f"cannot read {path}: tool is {tools!r}, expected a table [tool.steadygrad]")
        table = tools.get("steadygrad")
        if isinstance(table, dict):
            return path, table
        if table is not None:
            raise SettingsError(f"cannot read {path}: tool.steadygrad is {table!r}, expected a table [tool.steadygrad]")
    return None


def _checked(table: Mapping[str, Any], where: str, kind: type[Settings] | type[RunSettings]) -> dict[str, Any]:
    """The table's values as the fields of ``kind``, each of the kind it must be."""
    known = {field.name: field for field in fields(kind) if field.name != "root"}
    values: dict[str, Any] = {}
    for written, value in table.items():
        name = written.replace("-", "_")
        if name not in known:
            near = nearest(name, known)
            hint = f"did you mean {near.replace('_', '-')}?" if near else f"known are {_listed(known)}"
            raise SettingsError(f"unknown setting {written!r} in {where}; {hint}")
        values[name] = _value(name, value, f"{written} in {where}")
    return values


def _value(name: str, value: Any, where: str) -> Any:
    if name in ("select", "ignore"):
        return _selectors(value, where)
    if name in ("per_file_ignores", "per_module_ignores"):
        if not isinstance(value, Mapping):
            raise SettingsError(f'{where} is {value!r}, expected a table such as {{"tests/*" = ["SG101"]}}')
        return tuple((glob, _selectors(words, f"{glob!r} of {where}")) for glob, words in value.items())
    if name in _LEAST:
        least = _LEAST[name]
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise SettingsError(f"{where} is {value!r}, expected a whole number, {least} or more")
        if value >= 2**63:
            raise SettingsError(f"{where} is {value!r}, expected a number below 2^63")
        return value
    if name == "overhead":
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value <= 1:
            raise SettingsError(f"{where} is {value!r}, expected a share of a step above 0 and at most 1, such as 0.01")
        return float(value)
    if name in ("no_journal", "quiet", "check"):
        if not isinstance(value, bool):
            raise SettingsError(f"{where} is {value!r}, expected true or false")
        return value
    if not isinstance(value, str):
        raise SettingsError(f'{where} is {value!r}, expected text such as "{_EXAMPLES[name]}"')
    if name in _CHOICES and value not in _CHOICES[name]:
        raise SettingsError(f"{where} is {value!r}, expected {_one_of(_CHOICES[name])}")
    return value


_LEAST = {"trial": 0, "seed": 0, "probe_every": 0, "every": 1}
_CHOICES = {"fail_on": FAIL_ON, "cure": CURES}
_EXAMPLES = {
    "fail_on": "warning",
    "device": "cpu",
    "dtype": "float64",
    "output_format": "concise",
    "baseline": "steadygrad-baseline.json",
    "clip": "norm:1.0",
    "on_alarm": "skip:5/100:stop",
    "journal": "runs/today.sgj",
    "cure": "at-start",
}


def _one_of(words: Sequence[str]) -> str:
    return f"one of {', '.join(words)}" if len(words) > 1 else f'"{words[0]}"'


def _selectors(value: Any, where: str) -> tuple[str, ...]:
    return () if value in ("", []) else names(value, where)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(name.replace("_", "-") for name in names))


def matches(selector: str, finding: Finding) -> bool:
    """Return whether a selector (code, prefix of a code, or name) means this finding."""
    return _means(selector, finding.code) or selector.lower() == finding.name


def _means(selector: str, code: str) -> bool:
    return bool(selector) and code.upper().startswith(selector.upper())


def apply_ignores(
    findings: Iterable[Finding], settings: Settings, *, sources: Sequence[str] = ()
) -> tuple[tuple[Finding, ...], tuple[str, ...], tuple[str, ...]]:
    """Findings that remain, one line for each that was ignored, and one note for each ignore that ignored nothing.

    ``sources`` are the files in which an ignore comment counts as one that ought to have ignored something.
    """
    findings = tuple(findings)
    files = {place.path for finding in findings for place in _places(finding)}
    comments = [comment for path in sorted(files | set(sources)) for comment in ignore_comments(path)]
    kept: list[Finding] = []
    ignored: list[str] = []
    used: set[object] = set()
    for finding in findings:
        reasons = [*_by_comment(finding, comments), *_by_glob(finding, settings)]
        used.update(reason for reason, _ in reasons)
        if reasons:
            where = str(finding.location or finding.module or "model")
            ignored.append(f"{finding.code} at {where}, by {reasons[0][1]}")
        else:
            kept.append(finding)
    return tuple(kept), tuple(ignored), tuple(_unused(settings, comments, used))


@dataclass(frozen=True)
class IgnoreComment:
    """``# steadygrad: ignore[SG102]`` in a source file; no selectors mean every rule."""

    path: str
    line: int
    selectors: tuple[str, ...]

    def __str__(self) -> str:
        codes = f"[{', '.join(self.selectors)}]" if self.selectors else ""
        at = Location(self.path, self.line, 1, self.line, 1)
        return f"'# steadygrad: ignore{codes}' at {at if at.cell else f'{self.path}:{self.line}'}"


_COMMENT = re.compile(r"#\s*steadygrad:\s*ignore\b(?:\s*\[([^\]]*)\])?", re.IGNORECASE)


def ignore_comments(path: str) -> tuple[IgnoreComment, ...]:
    """The ignore comments of a file (or notebook cell), as Python's tokenizer sees them: strings do not count."""
    lines = linecache.getlines(path)
    if not any("steadygrad" in line for line in lines):
        return ()
    return _comments_in(path, "".join(lines))


@functools.lru_cache(maxsize=256)
def _comments_in(path: str, text: str) -> tuple[IgnoreComment, ...]:
    found: list[IgnoreComment] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            match = _COMMENT.search(token.string) if token.type == tokenize.COMMENT else None
            if match is not None:
                words = tuple(word.strip() for word in (match[1] or "").split(",") if word.strip())
                found.append(IgnoreComment(path, token.start[0], words))
    except (tokenize.TokenError, SyntaxError):
        pass  # What stands before the place that is not Python still counts.
    return tuple(found)


def _places(finding: Finding) -> tuple[Location, ...]:
    return tuple(place for place in (finding.location, *finding.also) if place is not None)


def _by_comment(finding: Finding, comments: Iterable[IgnoreComment]) -> Iterable[tuple[object, str]]:
    for comment in comments:
        here = any(p.path == comment.path and p.line <= comment.line <= p.end_line for p in _places(finding))
        if here and not comment.selectors:
            yield (comment, ""), f"the comment on line {comment.line}"
        for word in comment.selectors if here else ():
            if matches(word, finding):
                yield (comment, word), f"the comment on line {comment.line}"


def _by_glob(finding: Finding, settings: Settings) -> Iterable[tuple[object, str]]:
    for glob, words in settings.per_file_ignores:
        if any(_file_matches(place.file or place.path, glob, settings.root) for place in _places(finding)[:1]):
            yield from (((("file", glob), w), f"per-file-ignores {glob!r}") for w in words if matches(w, finding))
    for glob, words in settings.per_module_ignores:
        if fnmatchcase(finding.module, glob) or fnmatchcase(finding.module, f"{glob}.*"):
            yield from (((("module", glob), w), f"per-module-ignores {glob!r}") for w in words if matches(w, finding))


def _file_matches(path: str, glob: str, root: Path | None) -> bool:
    """Match a path from the root, a file name, or the path itself."""
    full = Path(path).absolute()
    names = [full.name, str(full), path]
    if root is not None and full.is_relative_to(root):
        names.append(full.relative_to(root).as_posix())
    return any(fnmatchcase(name, glob) for name in names)


def _unused(settings: Settings, comments: Iterable[IgnoreComment], used: set[object]) -> Iterable[str]:
    """Only where every rule that the ignore means did run: one that was not selected cannot show its worth."""
    if settings.select:
        return

    def silent(word: str) -> bool:
        return any(_means(skipped, word) or skipped.lower() == word.lower() for skipped in settings.ignore)

    for comment in comments:
        for word in comment.selectors or ("",):
            if (comment, word) not in used and not silent(word):
                yield f"{comment} ignores nothing" + (f": {word} was not found there" if word else "")
    for kind, table in (("file", settings.per_file_ignores), ("module", settings.per_module_ignores)):
        for glob, words in table:
            for word in words:
                if ((kind, glob), word) not in used and not silent(word):
                    yield f"per-{kind}-ignores {glob!r} = {word!r} ignores nothing"
