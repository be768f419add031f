"""A program is run as ``python`` runs it: what it sees of the interpreter, how it ends, what is written."""

from __future__ import annotations

import signal
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.families import always
from tests.launch.pairs import SCRIPTS, STEADYGRAD, Pair, pair, watched

SEEN = '''"""Its docstring."""
import os
import sys

print(sys.argv, sys.path, __file__, __name__, __package__, __doc__, __cached__, __builtins__, type(__loader__))
print(getattr(__spec__, "name", None), sorted(globals()), sys._getframe().f_code.co_filename, os.getcwd())
print(sys.modules["__main__"].__dict__ is globals(), repr(sys.modules["__main__"]))
print(sys.flags, [name for name in ("torch", "numpy", "multiprocessing") if name in sys.modules])
'''

FILES: Mapping[str, str] = {
    "seen.py": SEEN,
    "pkg/__init__.py": "print('the package')\n",
    "pkg/__main__.py": SEEN,
    "pkg/train.py": SEEN,
    "folder/__main__.py": SEEN,
    "syntax.py": "def f(\n  x = 3\nprint('a'\n",
    "indent.py": "x = 1\n\tif y:\n",
    "nothing.py": "raise SystemExit\n",
    "none.py": "raise SystemExit(None)\n",
    "words.py": "import sys\nsys.exit('in words')\n",
    "pair.py": "import sys\nsys.exit((1, 2))\n",
    "large.py": "raise SystemExit(300)\n",
    "at_once.py": "import os\nos._exit(3)\n",
    "hook.py": (
        "import sys\nsys.excepthook = lambda kind, error, trace: print(kind, error, trace.tb_lineno)\ndef f():\n    1 / 0\nf()\n"
    ),
    "group.py": (
        "def f(n):\n    if n == 0:\n        raise ExceptionGroup('g', [ValueError(1), TypeError(2)])\n    f(n - 1)\n"
        "try:\n    f(2)\nexcept Exception:\n    {}['a']\n"
    ),
    "by_hand.py": "raise KeyboardInterrupt('by hand')\n",
    "thread.py": "import threading\nt = threading.Thread(target=lambda: 1 / 0)\nt.start()\nt.join()\n",
    "warns.py": "import warnings\nwarnings.warn('old')\n",
    "no_import.py": "import nothing_of_this_name\n",
    "closes.py": "import sys\nsys.stdout.close()\n",
    "without_main.py": "import sys\ndel sys.modules['__main__']\nprint(1)\n",
    "at_exit.py": "import atexit\natexit.register(print, 'last')\nprint('first')\n",
    "ours.py": "from steadygrad.errors import SteadygradError\nraise SteadygradError('raised by the script')\n",
    "backward.py": "import torch\ntorch.ones(3, requires_grad=True).backward()\n",
    "no_parameters.py": "import torch\ntorch.optim.SGD([], lr=0.1)\n",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("programs")
    for name, text in FILES.items():
        (made / name).parent.mkdir(exist_ok=True)
        (made / name).write_text(text)
    with zipfile.ZipFile(made / "archive.pyz", "w") as archive:
        archive.writestr("__main__.py", SEEN)
    return made


@pytest.mark.parametrize(
    "words",
    always(
        [
            "seen.py a --quiet --journal x",
            "./seen.py -h",
            "folder/../seen.py -- -m",
            "-m pkg.train --epochs 3 -m",
            "-m pkg",
            "folder x",
            "archive.pyz",
            "syntax.py",
            "indent.py",
            "nothing.py",
            "none.py",
            "words.py",
            "pair.py",
            "large.py",
            "at_once.py",
            "hook.py",
            "-m hook",
            "group.py",
            "by_hand.py",
            "thread.py",
            "warns.py",
            "no_import.py",
            "closes.py",
            "without_main.py",
            "at_exit.py",
            "ours.py",
            "backward.py",
            "no_parameters.py",
            "-m syntax",
            "-m by_hand",
        ],
        "-m pkg",
        "folder x",
        "syntax.py",
        "none.py",
        "pair.py",
        "-m hook",
    ),
)
def test_as_python(words: str, folder: Path) -> None:
    same(pair(words.split(), folder, fresh=True))


def same(both: Pair) -> None:
    assert both.watched.stdout == both.bare.stdout
    assert both.watched.theirs == both.bare.stderr
    assert both.watched.code == both.bare.code


def test_flags_of_the_interpreter_hold(folder: Path) -> None:
    flags = ["-P", "-W", "error", "-X", "utf8", "-O"]
    bare = subprocess.run([sys.executable, *flags, "seen.py"], cwd=folder, capture_output=True, text=True, check=True)
    ours = subprocess.run(
        [sys.executable, *flags, "-m", "steadygrad", "run", "seen.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ours.stdout == bare.stdout


@pytest.mark.long
def test_a_console_entry_found_on_path(folder: Path) -> None:
    entry = Path(sys.executable).parent / "accelerate"
    direct = subprocess.run([str(entry), "env", "--help"], cwd=folder, capture_output=True, text=True, check=True)
    ours = watched(["accelerate", "env", "--help"], folder, fresh=True)
    assert (ours.stdout, ours.code) == (direct.stdout, 0)


def test_what_imports_no_torch_gets_none(folder: Path) -> None:
    ran = watched(["seen.py"], folder, fresh=True)
    assert "'torch'" not in ran.stdout
    assert ran.ours == ["steadygrad: no optimizer was made; nothing was watched"]


@pytest.mark.long
def test_what_needs_torch_does_get_it(folder: Path) -> None:
    (folder / "uses.py").write_text("import sys\nimport torch\nprint('torch' in sys.modules)\n")
    assert watched(["uses.py"], folder, fresh=True).stdout == "True\n"


@pytest.mark.long
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, -2), pytest.param(signal.SIGTERM, -15, marks=pytest.mark.long)]
)
def test_a_signal_ends_it_as_it_ends_a_plain_run(number: signal.Signals, code: int, tmp_path: Path) -> None:
    told: list[tuple[str, str, int]] = []
    for start in ([sys.executable], [STEADYGRAD, "run"]):
        process = subprocess.Popen(
            [*start, str(SCRIPTS / "interrupted.py")],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "training\n"
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=240)
        told.append((stdout, stderr, process.returncode))
    (plain_stdout, plain_stderr, plain_code), (stdout, stderr, ours_code) = told
    assert (stdout, ours_code) == (plain_stdout, plain_code)
    # Where tabulate is installed, torch imports it at the exit, and an interpreter that was interrupted then ends with 1.
    assert plain_code == code or (plain_code, number) == (1, signal.SIGINT)
    traceback = stderr[stderr.index("Traceback") : stderr.index("KeyboardInterrupt")] if "Traceback" in stderr else ""
    assert ("Traceback" in plain_stderr) == (number == signal.SIGINT) == bool(traceback)
    assert "/steadygrad/" not in traceback
    assert (" steps · " in stderr) == (number == signal.SIGINT)
