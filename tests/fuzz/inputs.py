"""What people and disks may hand over: journals, reports, settings, targets and options, whole, damaged and hostile.

Each strategy gives files and the words of a command line. What is written in a target is run: only harmless lines are in it.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

ESCAPES = ("\x1b[2J", "\x1b]0;x\x07", "\x9b31m", "\x00", "\r", "\x08\x08", "\x7f", "\u2028", "\u202e", "\ud800", "\n")
HOSTILE = st.one_of(
    st.sampled_from(ESCAPES),
    st.text(max_size=8),
    st.builds(
        lambda word, times: word * times,
        st.sampled_from(("a", "é", "../", "[", "{", "(", "-", "\x1b[31m")),
        st.sampled_from((1, 300, 5000)),
    ),
)
NUMBERS = st.sampled_from(
    (
        0,
        -1,
        1,
        2,
        255,
        2**31,
        2**53 + 1,
        2**62,
        2**63 - 1,
        -(2**63),
        10**9,
        0.5,
        -0.0,
        1e308,
        1e-320,
        float("inf"),
        float("nan"),
    )
)
LEAVES = st.one_of(
    st.none(), st.booleans(), NUMBERS, HOSTILE, st.builds(list), st.builds(dict), st.builds(lambda: [[[[]]]])
)


@dataclass(frozen=True)
class Given:
    """What one run of the command line finds and is told; ``{}`` in the words stands for the folder of the files."""

    words: tuple[str, ...]
    files: dict[str, bytes] = field(default_factory=dict)
    changes: tuple[tuple[str, Any], ...] = ()
    """Statements and values for the database among the files."""

    def laid(self, folder: Path) -> list[str]:
        """The files written; the words of the command line."""
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
        if self.changes:
            with contextlib.closing(sqlite3.connect(folder / "run.sgj")) as db:
                for statement, values in self.changes:
                    # What the database itself refuses is no input.
                    with contextlib.suppress(sqlite3.Error, OverflowError, UnicodeError):
                        db.execute(statement, values)
                db.commit()
        # A command line has no null, of surrogates those of bytes that are not UTF-8; and nothing is to be written elsewhere.
        words = [word.lstrip("/").replace("\x00", "\x01").replace("\ud800", "\udc80") for word in self.words]
        return [word.replace("{}", str(folder)) for word in words]


@st.composite
def bent(draw: st.DrawFn, tree: Any) -> Any:
    """JSON with some of its values, names or entries others, gone or doubled."""
    tree = json.loads(json.dumps(tree))
    for _ in range(draw(st.integers(1, 3))):
        holder, key, at = None, None, tree
        while isinstance(at, (dict, list)) and at and (holder is None or draw(st.integers(0, 5))):
            holder, key = at, draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
            at = at[key]
        if holder is None:
            return draw(LEAVES)
        what = draw(st.integers(0, 3))
        if what == 0:
            del holder[key]
        elif what == 1 and isinstance(holder, dict):
            holder[draw(HOSTILE)] = holder.pop(key)
        elif what == 2 and isinstance(holder, list):
            holder += [at] * draw(st.sampled_from((1, 50)))
        else:
            holder[key] = draw(LEAVES)
    return tree


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """A file that a disk or an editor has changed."""
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(content) - 1, 0)))
        what = draw(st.integers(0, 3))
        if what == 0:
            content = content[:at]
        elif what == 1:
            content = content[:at] + draw(st.binary(min_size=1, max_size=16)) + content[at + 16 :]
        elif what == 2:
            content = content[:at] + bytes(512) + content[at + 512 :]
        else:
            content = content[:at] + content[at : at + 64] * 2 + content[at + 64 :]
    return content


@st.composite
def journals(draw: st.DrawFn, content: bytes) -> Given:
    formats = draw(st.sampled_from((["text"], ["text"], ["json"], ["json", "--series"], ["csv"])))
    words = ("show", "{}/run.sgj", "--output-format", *formats)
    if draw(st.booleans()):
        return Given(words, {"run.sgj": draw(damaged(content))})
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        db.deserialize(content)
        tables = [
            name
            for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
        ]
        changes = []
        for _ in range(draw(st.integers(1, 3))):
            table = draw(st.sampled_from(sorted(tables)))
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            rows = [row for (row,) in db.execute(f"SELECT rowid FROM {table}")] if draw(st.booleans()) else []
            column = draw(st.sampled_from(columns))
            where = f" WHERE rowid = {draw(st.sampled_from(rows))}" if rows else ""
            (old,) = db.execute(f"SELECT {column} FROM {table}{where}").fetchone() or (None,)
            changes.append((f"UPDATE {table} SET {column} = ?{where}", (_cell(draw, old),)))
    return Given(words, {"run.sgj": content}, tuple(changes))


def _cell(draw: st.DrawFn, old: Any) -> Any:
    if isinstance(old, str) and old[:1] in "{[" and draw(st.integers(0, 3)):
        return json.dumps(draw(bent(json.loads(old))))
    if isinstance(old, bytes) and draw(st.booleans()):
        return draw(damaged(old))
    value = draw(st.one_of(LEAVES, st.binary(max_size=40)))
    return None if isinstance(value, (list, dict)) else value


@st.composite
def reports(draw: st.DrawFn, texts: tuple[str, ...]) -> Given:
    text = draw(st.sampled_from(texts))
    whole = json.dumps(draw(bent(json.loads(text)))).encode()
    content = whole if draw(st.integers(0, 3)) else draw(damaged(text.encode()))
    if not draw(st.integers(0, 9)):
        content = draw(
            st.sampled_from((b"[" * 20_000, b'{"version": ' + b"9" * 5_000 + b"}", b"\xff\xfe", b'{"version": 1e999}'))
        )
    shown = draw(st.sampled_from(("text", "concise", "json", "github", "junit", "agent", "html")))
    return Given(("report", "{}/report.json", "--output-format", shown), {"report.json": content})


NAMES = (
    "select",
    "ignore",
    "per-file-ignores",
    "per-module-ignores",
    "fail-on",
    "trial",
    "seed",
    "device",
    "dtype",
    "output-format",
)
RUN_NAMES = ("clip", "on-alarm", "probe-every", "overhead", "every", "journal", "no-journal", "quiet", "check", "cure")
WRITTEN = st.one_of(
    st.sampled_from(
        (
            "1",
            "-1",
            "0",
            "true",
            "'SG101'",
            "['SG101']",
            "{}",
            "[]",
            "1e999",
            "nan",
            "'*' = 3",
            "{'*' = ['SG1']}",
            "[[1]]",
        )
    ),
    st.sampled_from(
        ("9" * 5000, "1979-05-27", "'''", '"""', "{'a' = {'b' = {}}}", "[" * 2000, '"\\u001b[2J"', "'norm:1'", "'text'")
    ),
    HOSTILE.map(json.dumps),
)


@st.composite
def settings(draw: st.DrawFn) -> Given:
    run = draw(st.booleans())
    head = draw(
        st.sampled_from(
            ("[tool.steadygrad.run]" if run else "[tool.steadygrad]",) * 6
            + ("tool = 1", "[tool]", "[[tool.steadygrad]]")
        )
    )
    names = st.one_of(st.sampled_from(RUN_NAMES if run else NAMES), HOSTILE.map(json.dumps))
    lines = [head, *(f"{draw(names)} = {draw(WRITTEN)}" for _ in range(draw(st.integers(1, 3))))]
    text = "\n".join(lines).encode("utf-8", "surrogatepass")
    content = text if draw(st.integers(0, 4)) else draw(damaged(text))
    words = ("run", "{}/train.py") if run else ("check", "{}/net.py:Missing")
    return Given(words, {"pyproject.toml": content, "net.py": b"x = 1\n", "train.py": b"x = 1\n"})


LINES = (
    "import torch\nfrom torch import nn",
    "class Net(nn.Module):\n    def __init__(self, width=4, *, config=None):\n        super().__init__()\n"
    "        self.fc = nn.Linear(width, 2)",
    "    def forward(self, x):\n        return self.fc(x)",
    "    def forward(self, x):\n        return self.fc(x), {'a': x}",
    "model = nn.Sequential(nn.Linear(4, 4), nn.Sigmoid(), nn.Linear(4, 2))",
    "model = Net()",
    "raise ValueError('\\x1b[2J \\x07')",
    "raise SystemExit('\\x1b[2J')",
    "1 / 0",
    "x = '\x1b[2J",
    "import no_such_module_\u00e9",
    "def setup():\n    return model, torch.randn(8, 4)",
    "def setup():\n    return 1, 2, 3, 4, 5, 6",
    "__getattr__ = lambda name: 1 / 0",
    "class \u202eNet(nn.Module): pass",
    "model = nn.Linear(4, 2); model.__class__.__name__ = '\\x1b[31mA'",
    "(" * 300,
    "\x00",
)


@st.composite
def targets(draw: st.DrawFn) -> Given:
    text = "\n".join(
        [*draw(st.sampled_from(((), LINES[:1], LINES[:1]))), *draw(st.lists(st.sampled_from(LINES), max_size=3))]
    )
    files = {"net.py": text.encode("utf-8", "surrogatepass")}
    name = draw(
        st.one_of(
            st.sampled_from(("", "", ":Net", ":model", ":setup", ":x.y", ":Net.forward", "::", ":0")),
            HOSTILE.map(lambda word: f":{word}"),
        )
    )
    place = draw(
        st.one_of(
            st.sampled_from(("{}/net.py",) * 8 + ("net.Net", "{}", "{}/other.py", "torch.nn", "os.path")), HOSTILE
        )
    )
    if not draw(st.integers(0, 5)):
        # A model that can be checked, so that what comes behind the first door is reached; names stay what they are.
        place, name = "{}/net.py", ":model"
        files = {"net.py": "\n".join((LINES[0], draw(st.sampled_from((LINES[4], LINES[15]))))).encode()}
    return Given(("check", f"{place}{name}", "--trial", draw(st.sampled_from(("0", "1"))), "--input", "2,4"), files)


SUBJECT = "--arg --input --batch --loss --optimizer --clip --device --dtype --seed"
KNOWN = {
    "check": f"{SUBJECT} --trial --select --ignore --fail-on --output-format --output-file --color",
    "show": "--session --points --output-format --output-file --plot --color",
    "run": "--clip --on-alarm --probe-every --overhead --every --journal --cure",
    "report": "--output-format --output-file --color",
    "explain": "",
    "rules": "--output-format",
    "activations": "",
    "lab": "",
    "nonsense": "",
}
OPTIONS = {command: tuple(names.split()) for command, names in KNOWN.items()}
VALUES = st.one_of(
    st.sampled_from(
        (
            "0",
            "-1",
            "1e999",
            "nan",
            "9" * 5000,
            "adam:1e-3",
            "adam:" + "9" * 400,
            "sgd:0.1,momentum=x",
            "norm:1",
            "norm:-1",
        )
    ),
    st.sampled_from(
        (
            "value:-1,1",
            "skip:5/100:stop",
            "depth=3",
            "config.a.b=1",
            "config=" + "(" * 300,
            "2,4",
            "2,4:long",
            "2,4:0-9",
            "2,4:9-0",
        )
    ),
    st.sampled_from(
        (
            "cpu",
            "cuda:99",
            "float32",
            "text",
            "json",
            "{}/none/x",
            "{}",
            "{}/net.py:f",
            "SG101",
            "mse_loss",
            "a=[" * 200,
        )
    ),
    HOSTILE,
)


@st.composite
def options(draw: st.DrawFn) -> Given:
    command = draw(st.sampled_from(sorted(OPTIONS)))
    known = OPTIONS[command]
    names = st.one_of(st.sampled_from(known), HOSTILE.map(lambda word: f"--{word}")) if known else HOSTILE
    if not draw(st.integers(0, 9)):
        return Given(
            draw(
                st.sampled_from(
                    (("explain", "SG101"), ("rules",), ("activations", "relu"), ("--help",), ("show", "--help"))
                )
            )
        )
    words = [draw(st.one_of(st.just("{}/net.py:Missing"), st.just("SG101"), HOSTILE))]
    for _ in range(draw(st.integers(0, 3))):
        words += [draw(names), draw(VALUES)]
    if command == "run":
        # No program is started by what is made up.
        words = [*words[1:], "{}/missing.py"]
    return Given((command, *words), {"net.py": b"def f():\n    return 1\n"})
