"""Whatever is given: exit 2, one sentence that says what was wrong and what to do, no traceback of ours, no half file."""

from __future__ import annotations

from pathlib import Path

import pytest

from steadygrad.cli import main

NET = "import torch\nfrom torch import nn\nfrom torch.nn import functional as F\n"
TINY = NET + "model = nn.Linear(4, 2)\n"
SETUP = TINY + "def setup():\n    return model, (torch.randn(8, 4), torch.randint(0, 2, (8,))), F.cross_entropy\n"


def setup_with(
    model: str = "nn.Linear(4, 2)",
    batch: str = "(torch.randn(8, 4), torch.randint(0, 2, (8,)))",
    loss: str = "F.cross_entropy",
) -> str:
    return NET + f"def setup():\n    return {model}, {batch}, {loss}\n"


# name: (text of net.py or None, arguments with {net} and {tmp}, a part of the sentence)
CASES: dict[str, tuple[str | None, list[str], str]] = {
    "no such file": (None, ["{tmp}/nope.py"], "no such file"),
    "nearly such a file": (TINY, ["{tmp}/nett.py"], "did you mean"),
    "a folder": (None, ["{tmp}/"], "is a folder"),
    "no Python file": (None, ["{tmp}/notes.txt"], "not a Python file"),
    "empty target": (None, [""], "the target is empty"),
    "syntax error": (NET + "def f(:\n", ["{net}"], "is not Python"),
    "missing package": ("import no_such_package_at_all\n", ["{net}"], "not installed"),
    "no such module": (None, ["no_such_module_at_all:Net"], "no module"),
    "ends the program": ("import sys\nsys.exit(3)\n", ["{net}"], "ends the program"),
    "no model": ("x = 1\n", ["{net}"], "no model in"),
    "no such name": (TINY, ["{net}:modl"], "did you mean 'model'"),
    "several models": (
        NET + "class A(nn.Linear): pass\nclass B(nn.Linear): pass\na = A(4, 2)\nb = B(4, 2)\n",
        ["{net}"],
        "several models",
    ),
    "arguments missing": (
        NET + "class A(nn.Module):\n    def __init__(self, depth):\n        super().__init__()\n",
        ["{net}"],
        "--arg depth=",
    ),
    "unknown argument": (
        NET + "class A(nn.Module):\n    def __init__(self, depth=1):\n        super().__init__()\n",
        ["{net}:A", "--arg", "dept=2"],
        "no argument 'dept'",
    ),
    "argument without value": (TINY, ["{net}", "--arg", "depth"], "--arg depth=20"),
    "arguments for an object": (TINY, ["{net}:model", "--arg", "depth=2"], "built already"),
    "a number": ("depth = 3\n", ["{net}:depth"], "is int"),
    "a class of another kind": ("class A: pass\n", ["{net}:A"], "not of torch.nn.Module"),
    "builds a string": ("def setup():\n    return 'net'\n", ["{net}"], "gives str"),
    "builds too much": (NET + "def setup():\n    return (nn.Linear(1, 1),) * 5\n", ["{net}"], "gives 5 things"),
    "unknown key": (NET + "def setup():\n    return {'model': nn.Linear(1, 1), 'depth': 3}\n", ["{net}"], "'depth'"),
    "no parameters": (NET + "model = nn.ReLU()\n", ["{net}"], "no parameters"),
    "all frozen": (NET + "model = nn.Linear(4, 2).requires_grad_(False)\n", ["{net}"], "frozen"),
    "wrong shapes": (TINY, ["{net}", "--input", "8,5"], "raised this on --input"),
    "own exception": (
        NET + "class A(nn.Linear):\n    def forward(self, x):\n        raise KeyError('mine')\nmodel = A(4, 2)\n",
        ["{net}"],
        "raised this",
    ),
    "own exception when imported": ("1 / 0\n", ["{net}"], "raised this when it was imported"),
    "own exception when built": (
        NET + "class A(nn.Module):\n    def __init__(self):\n        1 / 0\n",
        ["{net}:A"],
        "raised this when it was built",
    ),
    "loss not scalar": (setup_with(loss="lambda o, y: o"), ["{net}"], "expected a single number"),
    "loss a float": (setup_with(loss="lambda o, y: F.cross_entropy(o, y).item()"), ["{net}"], "not a tensor"),
    "loss of whole numbers": (setup_with(loss="lambda o, y: o.argmax()"), ["{net}"], "floating-point"),
    "empty batch": (setup_with(batch="(torch.randn(0, 4), torch.randint(0, 2, (0,)))"), ["{net}"], "is empty"),
    "batch of three": (setup_with(batch="(1, 2, 3)"), ["{net}"], "pair (x, y)"),
    "batch of arrays": (
        setup_with(batch="(torch.randn(8, 4).numpy(), torch.zeros(8).long())"),
        ["{net}"],
        "torch.from_numpy",
    ),
    "loss no function": (setup_with(loss="3"), ["{net}"], "expected a function"),
    "unknown loss": (TINY, ["{net}", "--loss", "cross_entrop"], "did you mean cross_entropy"),
    "unknown optimizer": (TINY, ["{net}", "--optimizer", "adamm"], "did you mean"),
    "optimizer without such option": (TINY, ["{net}", "--optimizer", "sgd:0.1,momentun=0.9"], "did you mean momentum"),
    "optimizer's rate no number": (TINY, ["{net}", "--optimizer", "adam:fast"], "expected a number"),
    "optimizer's rate negative": (TINY, ["{net}", "--optimizer", "adam:-1"], "does not take"),
    "input unreadable": (TINY, ["{net}", "--input", "8;4"], "64,3,32,32"),
    "input empty": (TINY, ["{net}", "--input", "0,4"], "1 or more"),
    "input of unknown kind": (TINY, ["{net}", "--input", "8,4:lung"], "unknown kind"),
    "input beyond memory": (TINY, ["{net}", "--input", "1000000000,4000"], "memory"),
    "unknown device": (TINY, ["{net}", "--device", "gpuu"], "--device gpuu"),
    "unknown dtype": (TINY, ["{net}", "--dtype", "float31"], "unknown dtype"),
    "unknown code": (TINY, ["{net}", "--select", "SG199"], "no rule 'SG199'"),
    "unknown ignored name": (TINY, ["{net}", "--ignore", "saturated-activatoin"], "did you mean"),
    "unknown level": (TINY, ["{net}", "--fail-on", "sometimes"], "error, warning, never"),
    "unknown format": (TINY, ["{net}", "--output-format", "yaml"], "unknown output format"),
    "trial negative": (TINY, ["{net}", "--trial", "-3"], "0 or more"),
    "trial no number": (TINY, ["{net}", "--trial", "ten"], "not a valid integer"),
    "unknown option": (TINY, ["{net}", "--colour", "never"], "No such option"),
    "no folder to write to": (TINY, ["{net}", "--output-file", "{tmp}/none/report.txt"], "folder does not exist"),
    "a folder to write": (TINY, ["{net}", "--output-file", "{tmp}"], "cannot write"),
    "no such batch file": (TINY, ["{net}", "--batch", "{tmp}/data.py:batch"], "no such file"),
    "batch without function": (TINY, ["{net}", "--batch", "{net}"], "name a function"),
    "batch function raises": (
        TINY + "def batch():\n    1 / 0\n",
        ["{net}:model", "--batch", "{net}:batch"],
        "asked for a batch",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_one_sentence(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, arguments, part = CASES[name]
    (tmp_path / "notes.txt").write_text("no code\n")
    net = tmp_path / "net.py"
    if text is not None:
        net.write_text(text)
    before = sorted(tmp_path.rglob("*"))
    assert main(["check", *(word.format(net=net, tmp=tmp_path) for word in arguments)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    last = err.splitlines()[-1]
    assert last.startswith("steadygrad: error: ")
    assert part in last
    assert err.count("steadygrad: error:") == 1
    assert "/src/steadygrad/" not in err
    # The traceback is shown where, and only where, the user's own code raised.
    assert ("Traceback" in err) == name.startswith(("own", "wrong shapes", "batch function"))
    assert sorted(path for path in tmp_path.rglob("*") if "__pycache__" not in str(path)) == before


SETTINGS = {
    "unknown setting": ("[tool.steadygrad]\nselct = ['SG101']\n", "did you mean select"),
    "setting of the wrong kind": ("[tool.steadygrad]\ntrial = 'ten'\n", "whole number"),
    "not TOML": ("[tool.steadygrad\n", "cannot read"),
    "no table": ("[tool]\nsteadygrad = 3\n", "expected a table"),
    "unknown code": ("[tool.steadygrad]\nignore = ['SG999']\n", "no rule 'SG999'"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, part = SETTINGS[name]
    (tmp_path / "pyproject.toml").write_text(text)
    (tmp_path / "net.py").write_text(TINY)
    assert main(["check", str(tmp_path / "net.py")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert part in line


REPORTS = {
    "no such file": (None, "no such file"),
    "empty": ("", "not JSON"),
    "half": ('{"version": 1, "verdict": "heal', "not JSON"),
    "a list": ("[]", "no 'version'"),
    "another version": ('{"version": 99}', "this steadygrad reads 1"),
    "nothing else": ('{"version": 1}', "cannot read the report"),
}


@pytest.mark.parametrize("name", REPORTS)
def test_saved_reports(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, part = REPORTS[name]
    path = tmp_path / "report.json"
    if text is not None:
        path.write_text(text)
    assert main(["report", str(path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert part in line


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["explain", "SG119"], "no rule 'SG119', did you mean"),
        (["explain", "saturated-activatoin"], "saturated-activation"),
        (["chekc", "net.py"], "No such command"),
        (["activations", "sigmod"], "did you mean sigmoid"),
    ],
)
def test_other_commands(arguments: list[str], part: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert part in line


def test_the_users_traceback_is_theirs_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = tmp_path / "net.py"
    net.write_text(CASES["own exception"][0] or "")
    assert main(["check", str(net), "--input", "8,4"]) == 2
    err = capsys.readouterr().err
    assert f'File "{net}", line 6, in forward' in err
    assert "KeyError: 'mine'" in err


def test_out_of_memory(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import steadygrad._check

    def exhausted(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(steadygrad._check, "probe_copy", exhausted)
    net = tmp_path / "net.py"
    net.write_text(TINY)
    assert main(["check", str(net)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "memory" in line
