"""Writing an output file whole or not at all.

The text goes to a temporary file beside the target, which then takes its place in one step: a reader never meets half a
report, and a failed write leaves the old one. May rely on the file system; must not know what is written.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path

from steadygrad.errors import OutputError


def write_atomically(path: str | Path, text: str) -> None:
    """Write ``text`` as UTF-8, ended by a newline. Raises ``OutputError`` where the path cannot be written."""
    # A lone surrogate (from a file name that is not UTF-8) becomes \udcXX, which inside JSON is its very escape.
    write_bytes_atomically(
        path, (text if text.endswith("\n") else text + "\n").encode("utf-8", errors="backslashreplace")
    )


def write_bytes_atomically(path: str | Path, data: bytes) -> None:
    """Write ``data`` as it is; an existing file keeps its mode. Raises ``OutputError`` where the path cannot be written."""
    target = Path(path)
    try:
        # A link keeps pointing where it did; a device or pipe is written as it is.
        target = target.resolve()
        mode = target.stat().st_mode if target.exists() else None
        if mode is not None and stat.S_ISDIR(mode):
            raise IsADirectoryError
        if mode is not None and not stat.S_ISREG(mode):
            target.write_bytes(data)
        else:
            _replace(target, data, _new_file_mode() if mode is None else stat.S_IMODE(mode))
    except (OSError, ValueError, RuntimeError) as error:
        raise OutputError(f"cannot write {path}: {_why(error, target)}") from None


def _replace(target: Path, data: bytes, mode: int) -> None:
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError
    handle, name = tempfile.mkstemp(prefix=f".{target.name[:100]}.", suffix=".tmp", dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(mode)
        temporary.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _new_file_mode() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _why(error: Exception, target: Path) -> str:
    if isinstance(error, IsADirectoryError):
        return "it is a directory; name a file in it"
    if isinstance(error, FileNotFoundError):
        return f"there is no directory {target.parent}; create it first"
    if isinstance(error, (NotADirectoryError, FileExistsError)):
        return f"{target.parent} is not a directory"
    if isinstance(error, PermissionError):
        return "permission denied; choose another file"
    reason = error.strerror if isinstance(error, OSError) else None
    return (reason or str(error) or "it cannot be opened")[:1].lower() + (reason or str(error))[1:]
