"""The place in the user's source where something happens: the expression, to the column.

The innermost frame outside torch is the user's code, and since Python 3.11 its code object knows the line and columns
of the very expression that is running. The same look at ``nn.Module.__init__`` gives the place of construction.
Knows frames and source text; knows nothing of tensors.
"""

from __future__ import annotations

import ast
import functools
import linecache
import sysconfig
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from types import CodeType, FrameType
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, UntypedStorage, nn
from torch.optim import Optimizer

from steadygrad.record import Location
from steadygrad.source.cells import named
from steadygrad.source.originals import memory_of
from steadygrad.torch_internals.compiling import never_compiled, passed_over
from steadygrad.torch_internals.held import own_parameters
from steadygrad.torch_internals.points import FILLS, MODULE_INIT, OPTIMIZER_INIT, PARAMETER_NEW
from steadygrad.torch_internals.replacing import caller, replace_everywhere, replaced

_TORCH = str(Path(torch.__file__).parent) + "/"
_STDLIB = sysconfig.get_path("stdlib") + "/"
_PACKAGE = str(Path(__file__).parents[1]) + "/"
_INSTRUMENTS = tuple(
    _PACKAGE + place
    for place in (
        "probe/tape.py",
        "probe/flow.py",
        "probe/grad_mode.py",
        "source/spans.py",
        "rounding/emulation.py",
        "steptest/mixing.py",
        "torch_internals/",
    )
)
_OURS = tuple(
    _PACKAGE + place
    for place in (
        *("source/", "copies/", "subject/", "probe/", "steptest/", "objective.py"),
        *("_check.py", "explain/replay.py", "launch/first_batch.py"),
    )
)
_GUARD = tuple(_PACKAGE + place for place in ("watch/", "explain/", "act/", "_guard"))

Constructed = nn.Module | Optimizer

_constructions: WeakKeyDictionary[Constructed, Location] = WeakKeyDictionary()
_fills: WeakKeyDictionary[UntypedStorage, Location] = WeakKeyDictionary()
"""By memory, since ``weight.data`` is another tensor: what filled it with one number; it may have been drawn since."""
_parameters: WeakKeyDictionary[UntypedStorage, Location] = WeakKeyDictionary()
"""By memory: the expression in which ``nn.Parameter`` took it."""
_arguments: WeakKeyDictionary[Constructed, dict[str, Any]] = WeakKeyDictionary()


@functools.cache
def _owner(filename: str) -> str:
    """Classify a file: "passed over" (torch, the standard library, our instruments), "ours", or "user"."""
    if filename.startswith((_TORCH, "<frozen", *_INSTRUMENTS)):
        return "passed over"
    if filename.startswith(_OURS):
        return "ours"
    if filename.startswith(_GUARD):
        return "passed over"
    if filename.startswith(_STDLIB) and "site-packages" not in filename and "dist-packages" not in filename:
        return "passed over"
    return "user"


def is_user_file(filename: str) -> bool:
    """Return whether the code is neither torch's, the standard library's, nor ours."""
    return _owner(filename) == "user"


def user_frame(frame: FrameType | None) -> FrameType | None:
    """The innermost frame of the user's code, from ``frame`` outwards; None when our own code made the call."""
    while frame is not None:
        owner = _owner(frame.f_code.co_filename)
        if owner == "user":
            return frame
        if owner == "ours":
            return None
        frame = frame.f_back
    return None


def outside_constructors(frame: FrameType | None) -> FrameType | None:
    """The user's frame outside every ``__init__`` that a frame is in: where the whole is constructed."""
    while frame is not None and frame.f_code.co_name == "__init__":
        frame = user_frame(frame.f_back)
    return frame


def in_deepcopy(frame: FrameType | None) -> bool:
    """Return whether the user's innermost expression is a call of ``copy.deepcopy``."""
    while frame is not None and _owner(frame.f_code.co_filename) == "passed over":
        if frame.f_code.co_name == "deepcopy":
            return True
        frame = frame.f_back
    return False


class _Replayed(threading.local):
    at: Location | None = None


_replayed = _Replayed()


@contextmanager
def replaying(location: Location | None) -> Iterator[None]:
    """Within the block our own code plays a call of the user's again, which stood at ``location``."""
    before, _replayed.at = _replayed.at, location
    try:
        yield
    finally:
        _replayed.at = before


def location_of(frame: FrameType | None) -> Location | None:
    """The expression that ``frame`` is evaluating now; None for our own, unless it plays one of the user's again."""
    return _replayed.at if frame is None else _locate(named(frame.f_code.co_filename), frame.f_code, frame.f_lasti)


@functools.lru_cache(maxsize=100_000)
def _locate(path: str, code: CodeType, instruction: int) -> Location | None:
    # Code objects of two files can be equal, so the path is a part of the key.
    position = next(islice(code.co_positions(), instruction // 2, None), (None, None, None, None))
    line, end_line, start, end = position
    if line is None:
        return None
    end_line = end_line or line
    lines = [linecache.getline(path, number) for number in range(line, end_line + 1)]
    return Location(
        path=path,
        line=line,
        column=1 if start is None else characters(lines[0], start) + 1,
        end_line=end_line,
        end_column=1 if end is None else characters(lines[-1], end) + 1,
        source="".join(lines).rstrip("\n"),
    )


def characters(line: str, utf8_offset: int) -> int:
    """An offset of Python's in characters. Python counts columns in UTF-8 bytes; people and editors count characters."""
    return utf8_offset if line.isascii() else len(line.encode()[:utf8_offset].decode(errors="ignore"))


def location_of_node(path: str, node: ast.expr | ast.stmt) -> Location:
    """The place of an expression or a statement of a file's syntax tree."""
    path, end_line = named(path), node.end_lineno or node.lineno
    lines = [linecache.getline(path, number) for number in range(node.lineno, end_line + 1)]
    return Location(
        path=path,
        line=node.lineno,
        column=characters(lines[0], node.col_offset) + 1,
        end_line=end_line,
        end_column=characters(lines[-1], node.end_col_offset or 0) + 1,
        source="".join(lines).rstrip("\n"),
    )


def syntax_tree(path: str) -> ast.Module:
    """The syntax tree of a file as it is known; an empty one where it is not Python."""
    return _parsed(path, "".join(linecache.getlines(path)))


@functools.lru_cache(maxsize=64)
def _parsed(path: str, text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        # A cell with a magic command is not Python; nothing is inferred from it.
        return ast.Module(body=[], type_ignores=[])


@contextmanager
def recording_constructions() -> Iterator[None]:
    """Remember, for every module and optimizer that this thread constructs inside, the user's expression."""
    with ExitStack() as stack:
        for constructor in (MODULE_INIT, OPTIMIZER_INIT):
            stack.enter_context(replaced(*constructor, _recording))
        for fill in FILLS:
            stack.enter_context(replaced(*fill, _filling))
        stack.enter_context(replaced(*PARAMETER_NEW, _wrapping))
        yield


def record_constructions() -> None:
    """Remember the same of what any thread constructs, until the process ends."""
    for constructor in (MODULE_INIT, OPTIMIZER_INIT):
        replace_everywhere(*constructor, _recording)
    for fill in FILLS:
        replace_everywhere(*fill, _filling)


@passed_over
def _recording(original: Callable[..., None], module: Constructed, *args: Any, **kwargs: Any) -> None:
    _note_construction(module, caller())
    original(module, *args, **kwargs)


@passed_over
def _filling(original: Callable[..., Tensor], tensor: Tensor, *args: Any) -> Tensor:
    _note_fill(tensor, caller())
    return original(tensor, *args)


@passed_over
def _wrapping(original: Callable[..., Tensor], cls: Any, data: Any = None, *args: Any, **kwargs: Any) -> Tensor:
    made = original(cls, data, *args, **kwargs)
    _note_parameter(made, caller())
    return made


@never_compiled
def _note_parameter(made: Tensor, frame: FrameType) -> None:
    storage, place = _storage(made), location_of(user_frame(frame))
    if made.dim() > 1 and storage is not None and place is not None:
        _parameters[storage] = place


@never_compiled
def _note_fill(tensor: Tensor, frame: FrameType) -> None:
    storage, place = _storage(tensor), location_of(user_frame(frame))
    if tensor.dim() > 1 and storage is not None and place is not None:
        _fills[storage] = place


def _storage(tensor: Tensor) -> UntypedStorage | None:
    return tensor.untyped_storage() if memory_of(tensor) else None


def making_of(weight: Tensor) -> Location | None:
    """The user's expression in which ``nn.Parameter`` took this memory, where that was recorded: a layer's, or its own."""
    storage = _storage(weight)
    return None if storage is None else _parameters.get(storage)


def fill_of(weight: Tensor) -> Location | None:
    """The call of ``torch.nn.init`` that filled this memory with one number, where that was recorded."""
    storage = _storage(weight)
    return None if storage is None else _fills.get(storage)


@never_compiled
def _note_construction(module: Constructed, frame: FrameType) -> None:
    # A module that hashes by what it holds (a metric) holds nothing yet; it is no layer, and goes unrecorded.
    if type(module).__hash__ is object.__hash__:
        _constructions[module] = _construction_here(module, frame)  # type: ignore[assignment]


def _construction_here(module: Constructed, frame: FrameType | None) -> Location | None:
    """The expression outside every ``__init__`` of the module under construction; the arguments of the last are noted."""
    while frame is not None and (
        frame.f_code.co_filename.startswith(_INSTRUMENTS)
        or (frame.f_code.co_name == "__init__" and module in _first_argument(frame))
    ):
        if _owner(frame.f_code.co_filename) == "user":
            _arguments[module] = _numbers(frame)
        frame = frame.f_back
    return location_of(user_frame(frame))


def _numbers(frame: FrameType) -> dict[str, Any]:
    """The whole numbers, and pairs of them, among the arguments of the frame's function or in a configuration there."""
    code, found = frame.f_code, {}
    for name in code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]:
        value = frame.f_locals.get(name)
        fields = {} if value is None or isinstance(value, (nn.Module, type)) else getattr(value, "__dict__", {})
        for key, item in (*fields.items(), (name, value)):
            if isinstance(item, int) or (isinstance(item, tuple) and all(isinstance(part, int) for part in item)):
                found[key] = item
    return found


def arguments_of(module: nn.Module) -> dict[str, Any]:
    """The numbers that the module was constructed with, if that was recorded."""
    return _arguments.get(module, {}) if type(module).__hash__ is object.__hash__ else {}


def _first_argument(frame: FrameType) -> list[Any]:
    """Return the object that the frame's function calls ``self``, under whatever name."""
    names = frame.f_code.co_varnames[:1]
    return [value for name in names if isinstance(value := frame.f_locals.get(name), Constructed)]


def carry_constructions(model: nn.Module, twin: nn.Module, memo: dict[int, Any]) -> None:
    """Let a copy's modules know where the modules they were copied from were constructed.

    ``memo`` is that of ``copy.deepcopy``: it knows the modules too that the model keeps without registering them.
    """
    for module, copied in zip(model.modules(), twin.modules(), strict=False):
        if module in _constructions:
            _constructions[copied] = _constructions[module]
    for weight, copied_weight in zip(model.parameters(), twin.parameters(), strict=False):
        storage = _storage(copied_weight)
        for places, place in ((_fills, fill_of(weight)), (_parameters, making_of(weight))):
            if storage is not None and place is not None:
                places[storage] = place
    for constructed, place in _known():
        unregistered = memo.get(id(constructed))
        if isinstance(unregistered, nn.Module) and unregistered is not constructed:
            _constructions[unregistered] = place


def _known() -> Iterator[tuple[Constructed, Location]]:
    """All modules whose construction was recorded, while other threads may go on constructing more."""
    # The list of references is made in one go; the mapping's own items are not, and may not change meanwhile.
    for reference in _constructions.keyrefs():
        module = reference()
        if module is not None and (place := _constructions.get(module)) is not None:
            yield module, place


def construction_of(module: Constructed) -> Location | None:
    """Return the place where the module was constructed, if that was recorded."""
    return _constructions.get(module)


def construction_of_weight(weight: Tensor) -> Location | None:
    """Find where the module that has this very tensor among its parameters was constructed, in the model or out of it."""
    return next(
        (
            place
            for module, place in _known()
            if isinstance(module, nn.Module) and any(p is weight for p in own_parameters(module))
        ),
        None,
    )


def remember_construction(module: Constructed, place: Location) -> None:
    """Note where a module was constructed; nothing is written on the module itself."""
    _constructions[module] = place
