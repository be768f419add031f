"""What makes a finding the same finding in the next run: rule, file, expression; not the line, which other edits move.

Code scanning and the baseline both read these. May rely on the record and the file system's names; opens no file.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePath

from steadygrad.record import Finding
from steadygrad.report import words


def repository() -> Path:
    """The folder that paths are relative to: the nearest that holds ``.git``, else the current directory."""
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), here)


def repository_path(path: str, root: Path) -> str:
    """The path from ``root`` with forward slashes; as it is where it lies elsewhere or is no file."""
    whole = Path(os.path.abspath(path))  # noqa: PTH100  (a link keeps its own name)
    if not whole.is_relative_to(root) or path.startswith("<"):
        return PurePath(path).as_posix()
    return whole.relative_to(root).as_posix()


def identity(finding: Finding, root: Path) -> tuple[str, str, str]:
    """Rule, file, and the expression on one line; a module stands for the two where no place is known."""
    at = finding.location
    if at is None:
        return finding.code, "", words.clean(finding.module)
    return finding.code, words.clean(repository_path(at.file or at.path, root)), " ".join(words.clean(at.text).split())


def fingerprints(findings: Sequence[Finding], root: Path) -> list[str]:
    """One for each finding, in their order. Equal expressions of a file are numbered from its top."""
    order = sorted(range(len(findings)), key=lambda index: _from_top(findings[index]))
    seen: Counter[tuple[str, str, str]] = Counter()
    found = [""] * len(findings)
    for index in order:
        key = identity(findings[index], root)
        seen[key] += 1
        found[index] = hashlib.sha256("\0".join((*key, str(seen[key]))).encode(errors="replace")).hexdigest()[:32]
    return found


def _from_top(finding: Finding) -> tuple[int, int]:
    return (finding.location.line, finding.location.column) if finding.location else (0, 0)
