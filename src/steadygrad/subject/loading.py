"""From text such as ``net.py``, ``net.py:Net`` or ``package.module:name`` to Python objects: files run as an import would.

Knows files and imports; knows nothing of models, and does not import torch. What the user's own file raises is theirs:
it comes back as the cause of a ``UserCodeError``. While it runs, ``sys.argv`` is the file alone: our arguments are not its.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from steadygrad.errors import SteadygradError, TargetError, UserCodeError
from steadygrad.subject import notebook
from steadygrad.written import nearest

_ENDINGS = (".py", notebook.ENDING)


def split(text: str) -> tuple[str, str]:
    """Place and name: ("net.py", "Net"); the name is empty where there is none."""
    place, colon, name = text.rpartition(":")
    # C:\net.py has a colon that separates nothing.
    if not colon or name.startswith(("\\", "/")) or name.endswith(_ENDINGS):
        return text, ""
    return place, name


def is_file(place: str) -> bool:
    """Return whether the place is meant as a file: it ends as one, holds a separator, or is there."""
    return place.endswith(_ENDINGS) or "/" in place or "\\" in place or Path(place).is_file()


def import_place(place: str) -> ModuleType:
    """The module of a file or of a dotted name, run as ``python file.py`` would find its neighbours.

    Raises ``TargetError`` where there is nothing to run, ``UserCodeError`` where what is there raises.
    """
    if not is_file(place):
        return _imported(place, lambda: importlib.import_module(place), str(Path.cwd()))
    path = Path(place)
    if path.is_dir():
        raise TargetError(f"{place} is a folder; name a file in it, such as {path / 'net.py'}")
    if not path.exists():
        raise TargetError(f"no such file: {place}{_near_file(path)}")
    if path.suffix not in _ENDINGS:
        raise TargetError(f"{place} is not a Python file; name a file that ends in .py or .ipynb")
    path = path.resolve()
    if path.suffix == notebook.ENDING:
        return _imported(place, lambda: notebook.run(path, _name_for(path)), str(path.parent))
    inside = _package_of(path)
    if inside is None:
        return _imported(place, lambda: _run(path), str(path.parent))
    root, dotted = inside
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    if not _imports_relatively(path):
        return _imported(place, lambda: _run(path), str(path.parent))
    sys.modules.pop(dotted, None)  # A file that was edited since it was last looked at is read again.
    return _imported(place, lambda: importlib.import_module(dotted), str(root))


@contextmanager
def as_program(place: str) -> Iterator[None]:
    """``sys.argv`` as ``python place`` without arguments has it."""
    before = sys.argv
    sys.argv = [place]
    try:
        yield
    finally:
        sys.argv = before


def _package_of(path: Path) -> tuple[Path, str] | None:
    """The folder that a package lies in, and the dotted name in it of a file of that package."""
    folder, names = path.parent, [path.stem]
    while (folder / "__init__.py").is_file() and folder.name.isidentifier() and folder != folder.parent:
        names.insert(0, folder.name)
        folder = folder.parent
    return (folder, ".".join(names)) if len(names) > 1 else None


def _imports_relatively(path: Path) -> bool:
    tree = parsed(path)
    return tree is not None and any(isinstance(node, ast.ImportFrom) and node.level for node in ast.walk(tree))


def parsed(path: Path) -> ast.Module | None:
    """A file's syntax tree; None where it has none."""
    try:
        return ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _near_file(path: Path) -> str:
    folder = path.parent
    names = [item.name for item in folder.iterdir() if item.suffix in _ENDINGS] if folder.is_dir() else []
    close = nearest(path.name, names)
    return f"; did you mean {folder / close}?" if close else "; check the path"


def _name_for(path: Path) -> str:
    return path.stem if path.stem.isidentifier() and path.stem not in sys.modules else f"checked_{abs(hash(path))}"


def _run(path: Path) -> ModuleType:
    name = _name_for(path)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _imported(place: str, run: Callable[[], ModuleType], folder: str) -> ModuleType:
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        with as_program(place):
            return run()
    except SyntaxError as error:
        where = f"{error.filename}:{error.lineno}:{error.offset}"
        raise TargetError(f"{where} is not Python: {error.msg}; mend that line first") from None
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if place == missing or place.startswith(f"{missing}."):
            raise TargetError(
                f"no module {missing!r} from here; name a file, or run where it can be imported"
            ) from None
        raise TargetError(
            f"{place} imports {missing!r}, which is not installed here ({error}); install it, or run steadygrad in the "
            "environment in which the model runs"
        ) from error
    except ImportError as error:
        raise UserCodeError(f"{place} cannot be imported ({error}); mend that import") from error
    except SystemExit as error:
        raise TargetError(
            f"{place} ends the program when it is imported (exit {error.code}); put what a script does under "
            f'if __name__ == "__main__":, or check it as it runs: steadygrad run --only-check {place} [ARGS]'
        ) from None
    except SteadygradError:
        raise
    except (UnicodeDecodeError, PermissionError) as error:
        raise TargetError(f"cannot read {place}: {error}") from None
    except Exception as error:
        raise UserCodeError(f"{place} raised this when it was imported; fix it there") from error


def is_script(place: str) -> bool:
    """Return whether a file does something when it is run: a ``main``, or what stands under ``if __name__ == "__main__":``."""
    tree = parsed(Path(place)) if is_file(place) else None
    return tree is not None and any(
        (isinstance(node, ast.If) and "__main__" in ast.dump(node.test))
        or (isinstance(node, ast.FunctionDef) and node.name in ("main", "train"))
        for node in tree.body
    )


def named(module: ModuleType, name: str, place: str) -> Any:
    """An attribute of a module, dots allowed. Raises ``TargetError`` naming the nearest."""
    value: Any = module
    for part in name.split("."):
        try:
            value = getattr(value, part)
        except AttributeError:
            raise TargetError(f"{place} has no {name!r}{hint_at(part, _public(value))}") from None
        except Exception as error:
            raise UserCodeError(f"{place} raised this when it was asked for {name!r}") from error
    return value


def hint_at(word: str, known: Iterable[str]) -> str:
    """ "; did you mean 'Net'?", or what there is, or nothing."""
    known = list(known)
    close = nearest(word, known)
    if close:
        return f"; did you mean {close!r}?"
    return f"; it has {', '.join(known[:8])}" if known else "; nothing is defined in it"


def _public(value: Any) -> list[str]:
    return [
        name
        for name, item in getattr(value, "__dict__", {}).items()
        if not name.startswith("_") and not isinstance(item, ModuleType) and callable(item)
    ]


def load_object(text: str, option: str) -> Any:
    """Load what ``file.py:name`` or ``package.module:name`` names. Raises ``TargetError``."""
    place, name = split(text)
    if not name:
        raise TargetError(f"{option} is {text!r}; name a function, as in {option} data.py:function")
    return named(import_place(place), name, place)


def load_function(text: str, option: str) -> Callable[..., Any]:
    """The function that the text means, as ``load_object``. Raises ``TargetError``."""
    found = load_object(text, option)
    if not callable(found):
        raise TargetError(f"{text} is {type(found).__name__}, expected a function")
    function: Callable[..., Any] = found
    return function
