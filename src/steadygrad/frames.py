"""Frames of ours between a program and torch, as ``warnings`` counts them: not there, or the program's own line.

A warning names the file and line of a frame that is so many callers away. ``warnings`` passes over the machinery of imports,
which it knows by two words in a code object's file name; a function of ours that only passes a call on bears them too. The
standard library alone.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import CodeType, FrameType, FunctionType
from typing import Any, TypeVar

_NOT_COUNTED = "#importlib._bootstrap"
"""Behind the name of the file, which still begins as it did. ``warnings`` looks for both words, anywhere in the name."""

_Function = TypeVar("_Function", bound=Callable[..., Any])


def not_counted(function: _Function) -> _Function:
    """``warnings`` counts no frame of this function. Returns it."""
    own: Any = function
    code: CodeType = own.__code__
    if not code.co_filename.endswith(_NOT_COUNTED):
        own.__code__ = code.replace(co_filename=code.co_filename + _NOT_COUNTED)
    return function


def called_at(frame: FrameType | None) -> Callable[[Callable[..., Any], Any, Any], Any]:
    """Call a function, with its arguments and keyword arguments, from what looks like the line that ``frame`` is at."""
    return _call if frame is None else FunctionType(_at(frame.f_code, frame.f_lineno), frame.f_globals)


_call: Any = lambda function, args, kwargs: function(*args, **kwargs)  # noqa: E731 - all of it on one line.


@functools.lru_cache(maxsize=10_000)
def _at(code: CodeType, line: int) -> CodeType:
    own: CodeType = _call.__code__
    return own.replace(
        co_filename=code.co_filename, co_firstlineno=line, co_name=code.co_name, co_qualname=code.co_qualname
    )
