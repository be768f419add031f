"""Whatever is given to cure, prove and lr: exit 2, one sentence that says what was wrong and what to do, nothing lost."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from steadygrad.cli import main
from tests.cli.nets import SICK, setup

LOCKED = "import threading\n\n\nclass Locked(Net):\n    def __init__(self):\n        super().__init__()\n        self.lock = threading.Lock()"
RAISING = "class Raising(Net):\n    def forward(self, x):\n        raise KeyError('mine')"
LATE = "class Late(Net):\n    def forward(self, x):\n        if len(x) == 32:\n            raise KeyError('mine')\n        return super().forward(x)"
NO_RATE = (
    "class Fixed(torch.optim.Optimizer):\n    def __init__(self, parameters):\n        super().__init__(parameters, {})\n\n"
    "    def step(self, closure=None):\n        for group in self.param_groups:\n            for p in group['params']:\n"
    "                p.data.sub_(p.grad, alpha=0.01)"
)
DATA = SICK + (
    "\n\ndef empty():\n    return []\n\n\ndef nothing():\n    pass\n\n\ndef raising():\n    1 / 0\n\n\n"
    "def breaking():\n    yield data(8)\n    1 / 0\n\n\ndef wide():\n    return [(torch.randn(8, 9), torch.zeros(8).long())]\n\n\n"
    "def alone():\n    return data(8)\n\n\ndef ending():\n    raise SystemExit(3)\n\n\nCOUNT = 3\n"
)

# name: (text of net.py, arguments with {net} and {tmp}, a part of the sentence)
CURE: dict[str, tuple[str, list[str], str]] = {
    "unknown cure": (SICK, ["--only", "fodl"], "no cure 'fodl', did you mean fold?"),
    "unknown candidate": (SICK, ["--cure", "rellu"], "did you mean relu?"),
    "unknown to all": (SICK, ["--only", "zzz"], "steadygrad cures lists them"),
    "a group for a cure": (SICK, ["--only", "numbers"], "is a group of cures, not a cure; its cures are"),
    "no name at all": (SICK, ["--only", ","], "--only names nothing"),
    "unknown thing to keep": (SICK, ["--keep", "weights"], "keep one of activation, architecture"),
    "unknown group": (SICK, ["--allow", "magic"], "no group 'magic'; groups are set-up, learning rate"),
    "kept and allowed": (SICK, ["--keep", "activation", "--allow", "activation"], "both kept and allowed"),
    "kept and asked for": (
        SICK,
        ["--only", "relu", "--keep", "activation"],
        "relu changes what is to be kept (activation)",
    ),
    "asked for and not allowed": (SICK, ["--only", "fold", "--allow", "clip"], "fold is of the group numbers"),
    "no budget": (SICK, ["--budget", "0"], "expected more than 0"),
    "negative budget": (SICK, ["--budget=-1"], "expected more than 0"),
    "budget in words": (SICK, ["--budget", "soon"], "cannot read --budget 'soon'; write it as 60s or 5m"),
    "budget that is no number": (SICK, ["--budget", "nan"], "expected more than 0"),
    "empty budget": (SICK, ["--budget", ""], "cannot read --budget ''"),
    "unknown format": (SICK, ["--output-format", "yaml"], "'yaml' is not one of 'text', 'json'"),
    "unknown optimizer": (SICK, ["--optimizer", "adamm"], "did you mean Adam"),
    "no file": (SICK, ["--batch", "{tmp}/nope.py:batch"], "no such file"),
    "nothing to train": (setup("Net().requires_grad_(False)"), [], "frozen"),
    "no parameters": (setup("nn.ReLU()", optimizer="None"), [], "no parameters"),
    "not to be copied": (
        setup("Locked()", before=LOCKED),
        [],
        "the model cannot be copied, and a cure works on a copy",
    ),
    "own exception": (setup("Raising()", before=RAISING), [], "raised this"),
    "wrong shapes": (SICK, ["--input", "8,9", "--loss", "cross_entropy"], "raised this on --input"),
}
PROVE: dict[str, tuple[str, list[str], str]] = {
    "no steps": (SICK, ["--steps", "0"], "0 is not in the range x>=1"),
    "steps in words": (SICK, ["--steps", "many"], "not a valid integer"),
    "no seeds": (SICK, ["--seeds", "0"], "0 is not in the range x>=1"),
    "no such batches": (SICK, ["--batches", "{tmp}/nope.py:batches"], "no such file"),
    "no such function": (DATA, ["--batches", "{net}:batchs"], "did you mean 'batches'"),
    "no function named": (DATA, ["--batches", "{net}"], "name a function"),
    "a number for a function": (DATA, ["--batches", "{net}:COUNT"], "is int, expected a function"),
    "empty batches": (DATA, ["--batches", "{net}:empty"], "empty; give at least one (x, y)"),
    "no batches": (DATA, ["--batches", "{net}:nothing"], "gives NoneType; expected a list of batches"),
    "a model for batches": (DATA, ["--batches", "{net}:Net"], "gives Net; expected a list of batches"),
    "one batch alone": (DATA, ["--batches", "{net}:alone"], "batch 0 is Tensor, expected (x, y)"),
    "own exception for batches": (DATA, ["--batches", "{net}:raising"], "when it was asked for batches"),
    "own exception between batches": (DATA, ["--batches", "{net}:breaking"], "when they were drawn"),
    "own exception on wide batches": (DATA, ["--batches", "{net}:wide", "--only", "clip-norm"], "while it was trained"),
    "batches that end the program": (DATA, ["--batches", "{net}:ending"], "ends the program"),
    "own exception while it trains": (
        setup("Late()", before=LATE) + "\n\ndef batches():\n    return [data(32)]\n",
        ["--batches", "{net}:batches", "--only", "clip-norm"],
        "while it was trained",
    ),
    "no folder to draw into": (SICK, ["--plot", "{tmp}/none/curves.png"], "there is no directory"),
    "unknown kind of picture": (SICK, ["--plot", "{tmp}/curves.jpeg"], "name it .png, .svg or .pdf"),
    "picture without a kind": (SICK, ["--plot", "{tmp}/curves"], "name it .png, .svg or .pdf"),
    "a folder to draw into": (SICK, ["--plot", "{tmp}/folder.png"], "it is a directory"),
    "contradiction": (SICK, ["--only", "relu", "--keep", "activation"], "drop one of the two"),
    "not to be copied": (setup("Locked()", before=LOCKED), [], "the model cannot be copied"),
}
LR: dict[str, tuple[str, list[str], str]] = {
    "no steps": (SICK, ["--steps", "0"], "0 is not in the range x>=1"),
    "no rate": (setup(optimizer="Fixed(model.parameters())", before=NO_RATE), [], "Fixed has no learning rate"),
    "optimizer's rate no number": (SICK, ["--optimizer", "adam:fast"], "expected a number"),
    "all frozen": (setup("Net().requires_grad_(False)"), [], "frozen"),
    "own exception": (setup("Raising()", before=RAISING), [], "raised this"),
    "unknown device": (SICK, ["--device", "gpuu"], "--device gpuu"),
}
CASES = {
    f"{command}: {name}": (command, *case)
    for command, cases in (("cure", CURE), ("prove", PROVE), ("lr", LR))
    for name, case in cases.items()
}


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= 25


@pytest.mark.parametrize("name", CASES)
def test_one_sentence(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command, text, arguments, part = CASES[name]
    net = tmp_path / "net.py"
    net.write_text(text)
    (tmp_path / "folder.png").mkdir()
    before = sorted(tmp_path.rglob("*"))
    assert main([command, str(net), *(word.format(net=net, tmp=tmp_path) for word in arguments)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    last = err.splitlines()[-1]
    assert last.startswith("steadygrad: error: ")
    assert part in last
    assert err.count("steadygrad: error:") == 1
    assert "/src/steadygrad/" not in err
    # The traceback is shown where, and only where, the user's own code raised.
    assert ("Traceback" in err) == name.partition(": ")[2].startswith(("own", "wrong shapes"))
    assert net.read_text() == text
    assert sorted(path for path in tmp_path.rglob("*") if "__pycache__" not in str(path)) == before


@pytest.mark.parametrize("arguments", [["cures", "fodl"], ["cure"], ["prove"], ["lr"]], ids=" ".join)
def test_without_a_target_or_such_a_cure(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "did you mean fold?" in line or "Missing argument 'TARGET'" in line


def test_a_picture_without_matplotlib(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    (tmp_path / "net.py").write_text(SICK)
    assert main(["prove", str(tmp_path / "net.py"), "--plot", str(tmp_path / "curves.png")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "steadygrad: error: a picture needs matplotlib; pip install 'steadygrad[plot]'"


def test_the_options_are_read_before_anything_is_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = tmp_path / "net.py"
    net.write_text("raise RuntimeError('this file was run')\n")
    for arguments in (["cure", "--budget", "soon"], ["cure", "--only", "fodl"], ["prove", "--plot", "x.jpeg"]):
        assert main([arguments[0], str(net), *arguments[1:]]) == 2
        assert "this file was run" not in capsys.readouterr().err
