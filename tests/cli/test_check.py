"""``steadygrad check`` as a user types it: targets, options, exit codes, formats, files, ignores."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from steadygrad.cli import main

HEAD = "import torch\nfrom torch import nn\nfrom torch.nn import functional as F\n\n\n"

SICK = (
    HEAD
    + """class Net(nn.Module):
    def __init__(self, depth=12):
        super().__init__()
        self.fcs = nn.ModuleList(nn.Linear(16, 16) for _ in range(depth))
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        for fc in self.fcs:
            x = torch.sigmoid(fc(x))
        return self.head(x)
"""
)

WELL = HEAD + "def build():\n    return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))\n"

DATA = HEAD + "def batch():\n    x = torch.randn(32, 16)\n    return x, x[:, :4].argmax(1)\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name, text in [("sick.py", SICK), ("well.py", WELL), ("data.py", DATA)]:
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> int:
    return main(["check", *arguments])


def report_of(capsys, *arguments: str):
    capsys.readouterr()
    run(*arguments, "--output-format", "json")
    return json.loads(capsys.readouterr().out)


def test_exit_codes(folder, capsys):
    assert run("well.py", "--batch", "data.py:batch") == 0
    assert run("sick.py") == 1
    assert run("sick.py", "--exit-zero") == 0
    assert run("sick.py", "--fail-on", "never") == 0
    assert run("nope.py") == 2
    shrunk = ["sick.py:Net", "--arg", "depth=6", "--batch", "data.py:batch", "--optimizer", "adam:0.003"]
    levels = {f["severity"] for f in report_of(capsys, *shrunk)["findings"]}
    assert levels == {"warning"}
    assert run(*shrunk) == 0
    assert run(*shrunk, "--fail-on", "warning") == 1


def test_targets(folder, capsys):
    (folder / "package").mkdir()
    (folder / "package" / "__init__.py").write_text("")
    (folder / "package" / "nets.py").write_text(WELL + "\n\nmodel = build()\n")
    for target in ["well.py", "well.py:build", "package.nets:build", "package.nets:model"]:
        assert report_of(capsys, target)["setup"]["model"] == "Sequential", target


def test_what_a_function_may_return(folder, capsys):
    whole = "model, (torch.randn(32, 16), torch.randint(0, 4, (32,))), F.cross_entropy, opt"
    named = '{"model": model, "batch": (torch.randn(32, 16), torch.randint(0, 4, (32,))), "loss_fn": F.cross_entropy}'
    for returned in (whole, named):
        build = "def setup():\n    model = nn.Linear(16, 4)\n    opt = torch.optim.SGD(model.parameters(), lr=0.5)\n"
        (folder / "set_up.py").write_text(HEAD + build + f"    return {returned}\n")
        setup = report_of(capsys, "set_up.py")["setup"]
        assert setup["batch"].startswith("x (32, 16)") or "(32, 16)" in setup["batch"]
        assert ("SGD, learning rate 0.5" in setup["optimizer"]) == (returned is whole)
        assert setup["loss"] == "cross_entropy"


def test_a_module_with_a_training_step(folder, capsys):
    (folder / "lit.py").write_text(
        HEAD
        + """class Lit(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(16, 4)

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, batch_idx):
        x, y = batch
        return {"loss": F.cross_entropy(self(x), y)}

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.25)
"""
    )
    setup = report_of(capsys, "lit.py", "--batch", "data.py:batch")["setup"]
    assert "SGD, learning rate 0.25" in setup["optimizer"]
    assert "training_step" in setup["loss"]


def test_options_reach_the_subject(folder, capsys):
    report = report_of(
        capsys,
        "sick.py:Net",
        "--arg",
        "depth=3",
        "--input",
        "24,16",
        "--optimizer",
        "sgd:0.1,momentum=0.9",
        "--loss",
        "MSELoss",
        "--dtype",
        "float64",
        "--seed",
        "7",
        "--trial",
        "3",
    )
    setup = report["setup"]
    assert "24 × 16" in setup["batch"]
    assert setup["optimizer"] == "SGD, learning rate 0.1, momentum 0.9"
    assert setup["loss"] == "MSELoss" and setup["seed"] == 7
    assert report["trace"]["dtype"] == "float64"
    assert report["trial"]["steps"] == 3
    assert report_of(capsys, "sick.py", "--trial", "0")["trial"] is None


def test_token_ids(folder, capsys):
    (folder / "words.py").write_text(
        HEAD + "model = nn.Sequential(nn.Embedding(50, 8), nn.Flatten(), nn.Linear(48, 3))\n"
    )
    for shape in ("8,6:long", "8,6:0-50"):
        assert report_of(capsys, "words.py", "--input", shape)["trunk"]["end"] == "output of 0"


def test_assumptions_are_named(folder, capsys):
    run("well.py")
    out = capsys.readouterr().out
    assert "AdamW" in out and "assumed" in out
    run("well.py", "--input", "8,16", "--loss", "cross_entropy", "--optimizer", "sgd:0.1")
    assert "AdamW" not in capsys.readouterr().out


def test_selecting_and_ignoring(folder, capsys):
    def codes(*arguments):
        return [f["code"] for f in report_of(capsys, "sick.py", "--trial", "0", *arguments)["findings"]]

    assert codes() == ["SG102"]
    assert codes("--select", "SG2") == []
    assert codes("--select", "saturated-activation") == ["SG102"]
    assert codes("--ignore", "SG102") == []
    assert codes("--ignore", "SG2,SG3") == ["SG102"]


@pytest.mark.long
def test_a_comment_on_the_line_ignores(folder, capsys):
    line = "x = torch.sigmoid(fc(x))"
    (folder / "sick.py").write_text(SICK.replace(line, f"{line}  # steadygrad: ignore[SG102]"))
    assert run("sick.py") == 0
    report = report_of(capsys, "sick.py")
    assert report["findings"] == [] and report["verdict"] == "healthy"
    assert "SG102" in report["ignored"][0] and "comment on line" in report["ignored"][0]
    (folder / "sick.py").write_text(SICK.replace(line, f"{line}  # steadygrad: ignore[SG305]"))
    report = report_of(capsys, "sick.py")
    assert [f["code"] for f in report["findings"]] == ["SG102"]
    assert any("ignores nothing" in note for note in report["notes"])


def test_settings_from_the_file(folder, capsys):
    def written(text):
        (folder / "pyproject.toml").write_text(text)
        return run("sick.py", "--trial", "0"), capsys.readouterr().out

    assert written('[tool.steadygrad]\nfail-on = "never"\n')[0] == 0
    assert written('[tool.steadygrad]\nignore = ["SG102"]\n')[0] == 0
    assert written('[tool.steadygrad.per-file-ignores]\n"sick.py" = ["SG1"]\n')[0] == 0
    assert written('[tool.steadygrad.per-file-ignores]\n"other.py" = ["SG1"]\n')[0] == 1
    assert written('[tool.steadygrad.per-module-ignores]\n"head" = ["SG1"]\n')[0] == 1
    assert "SG102 sick.py" not in written('[tool.steadygrad]\noutput-format = "json"\n')[1]
    (folder / "pyproject.toml").write_text('[tool.steadygrad]\nfail-on = "never"\n')
    assert run("sick.py", "--trial", "0", "--fail-on", "error") == 1, "an option wins over the file"


@pytest.mark.long
@pytest.mark.parametrize(
    ("form", "sign"),
    [
        ("text", "error[SG102]"),
        ("concise", "sick.py:14:17: error SG102"),
        ("json", '"version": 1'),
        ("github", "::error "),
        ("html", "<"),
    ],
)
def test_formats_on_the_terminal_in_a_file_and_from_a_saved_report(folder, capsys, form, sign):
    assert run("sick.py", "--output-format", form) == 1
    printed = capsys.readouterr().out
    assert sign in printed
    assert run("sick.py", "--output-format", form, "--output-file", "report.out") == 1
    assert capsys.readouterr().out == ""
    assert sign in (folder / "report.out").read_text()
    assert run("sick.py", "--output-format", "json", "--output-file", "saved.json") == 1
    assert main(["report", "saved.json", "--output-format", form]) == 0
    assert sign in capsys.readouterr().out


def test_quiet_says_only_what_was_found(folder, capsys):
    run("well.py", "--batch", "data.py:batch", "--quiet")
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err == ""
    run("sick.py", "--quiet")
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 1 and "SG102" in captured.out


def test_colour_is_asked_for_or_not(folder, capsys, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    run("sick.py", "--trial", "0", "--color", "always")
    assert "\x1b[" in capsys.readouterr().out
    run("sick.py", "--trial", "0", "--color", "never")
    assert "\x1b[" not in capsys.readouterr().out
    run("sick.py", "--trial", "0")
    assert "\x1b[" not in capsys.readouterr().out, "not a terminal"


def test_what_the_users_file_prints_does_not_spoil_the_report(folder, capsys):
    (folder / "sick.py").write_text(
        SICK.replace("def forward(self, x):\n", "def forward(self, x):\n        print('mine')\n")
    )
    run("sick.py", "--output-format", "json")
    captured = capsys.readouterr()
    json.loads(captured.out)
    assert "mine" in captured.err


@pytest.mark.long
def test_the_package_runs_as_a_module(folder):
    run = subprocess.run(
        [sys.executable, "-m", "steadygrad", "check", "sick.py", "--quiet"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 1 and "SG102" in run.stdout, run.stderr


@pytest.mark.long
def test_the_same_command_prints_the_same(folder, capsys):
    def told():
        report = report_of(capsys, "sick.py")
        del report["cost"]
        return report

    assert told() == told()


def test_nothing_is_written_beside_the_users_files(folder, capsys):
    run("sick.py")
    names = {path.name for path in Path.cwd().iterdir()} - {"__pycache__"}
    assert names == {"sick.py", "well.py", "data.py"}
