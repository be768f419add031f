"""``steadygrad run --only-check``: the script's own set-up is checked at its first step, and the script ends there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from steadygrad.cli import main
from tests.launch.pairs import SCRIPTS, watched

TRAIN = """import argparse
import atexit

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def net(depth, act):
    layers = [layer for _ in range(depth) for layer in (nn.Linear(20, 20), act())]
    return nn.Sequential(*layers, nn.Linear(20, 3))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--depth", type=int, required=True)
    parser.add_argument("--act", default="ReLU")
    parser.add_argument("--epochs", type=int, default=50)
    arguments = parser.parse_args()
    atexit.register(print, "atexit ran")
    torch.manual_seed(0)
    x = torch.randn(256, 20)
    loader = DataLoader(TensorDataset(x, x[:, :3].argmax(1)), batch_size=32, shuffle=True, num_workers=1)
    model = net(arguments.depth, getattr(nn, arguments.act))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    try:
        for _ in range(arguments.epochs):
            for xs, ys in loader:
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(xs), ys).backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                print("stepped")
    finally:
        print("finally ran")


if __name__ == "__main__":
    main()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__init__.py").write_text("")
    for place in ("train.py", "pkg/train.py"):
        (tmp_path / place).write_text(TRAIN)
    return tmp_path


@pytest.mark.long
@pytest.mark.parametrize("program", [["train.py"], ["-m", "pkg.train"]])
def test_a_script_is_checked_at_its_first_step_and_ends_there(folder: Path, program: list[str]) -> None:
    ran = watched([*program, "--depth", "2"], folder, options=["--only-check", "--output-format", "json"])
    report = json.loads(ran.stdout)
    assert ran.code == 0 and report["verdict"] == "healthy"
    assert report["setup"]["batch"] == "(32, 20) float32, (32,) int64"
    assert report["setup"]["loss"] == "cross_entropy"
    assert report["setup"]["optimizer"] == "Adam, learning rate 0.001, clip norm:1"
    assert "stepped" not in ran.stderr and "Traceback" not in ran.stderr
    assert ran.stderr.splitlines()[-2:] == ["finally ran", "atexit ran"]
    assert not (folder / "runs").exists()


@pytest.mark.long
def test_a_sick_set_up_is_exit_code_1(folder: Path) -> None:
    sick = ["train.py", "--depth", "14", "--act", "Sigmoid"]
    ran = watched(sick, folder, options=["--only-check", "--output-format", "concise"])
    assert ran.code == 1 and "train.py:10:" in ran.stdout and "SG102" in ran.stdout
    ran = watched(sick, folder, options=["--only-check", "--fail-on", "never", "--output-file", "report.txt"])
    assert ran.code == 0 and ran.stdout == "" and "SG102" in (folder / "report.txt").read_text()


@pytest.mark.long
@pytest.mark.parametrize("arguments", [[], ["--depth", "2", "--epochs", "0"]])
def test_a_script_that_takes_no_step_is_exit_code_2(folder: Path, arguments: list[str]) -> None:
    ran = watched(["train.py", *arguments], folder, options=["--only-check"])
    assert ran.code == 2 and ran.stdout == "" and "Traceback" not in ran.stderr
    assert "without an optimizer step, so there was nothing to check" in ran.stderr


@pytest.mark.long
def test_a_script_that_catches_the_end_takes_no_step_either(folder: Path) -> None:
    caught = TRAIN.replace(
        "                optimizer.step()\n", "                try:\n                    optimizer.step()\n"
    )
    caught = caught.replace(
        '                print("stepped")', "                except BaseException:\n                    continue"
    )
    (folder / "train.py").write_text(caught + '    print("went on")\n')
    ran = watched(["train.py", "--depth", "2", "--epochs", "1"], folder, options=["--only-check"])
    assert ran.code == 0 and "went on" in ran.stderr and "Sequential" in ran.stdout


@pytest.mark.long
@pytest.mark.parametrize("script", ["two_models.py", pytest.param("spawned.py", marks=pytest.mark.long)])
def test_what_cannot_be_followed_is_one_sentence(folder: Path, script: str) -> None:
    ran = watched([str(SCRIPTS / script)], folder, options=["--only-check"])
    assert ran.code == 2 and ran.stdout == ""
    assert ran.stderr.splitlines()[-1].startswith("steadygrad: error: the ")


def frameworks(*names: str) -> None:
    for name in names:
        pytest.importorskip(name, reason=f"{name} is not installed")


@pytest.mark.long
@pytest.mark.parametrize(
    ("script", "needs", "optimizer"),
    [
        ("with_lightning.py", ("lightning",), "Adam, learning rate 0.01, clip norm:0.5"),
        ("with_trainer.py", ("transformers", "accelerate"), "clip norm:1"),
    ],
)
def test_a_trainer_is_ended_at_its_first_step(
    folder: Path, script: str, needs: tuple[str, ...], optimizer: str
) -> None:
    frameworks(*needs)
    ran = watched([str(SCRIPTS / script)], folder, options=["--only-check", "--output-format", "json"])
    assert ran.code == 0 and "Traceback" not in ran.stderr, ran.stderr
    assert optimizer in json.loads(ran.stdout)["setup"]["optimizer"]


@pytest.mark.long
def test_a_module_of_parts_is_checked_with_its_own_step_and_trainer(folder: Path) -> None:
    frameworks("lightning")
    (folder / "lit.py").write_text(
        """import lightning as L
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Parts(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(20, 32), nn.Linear(32, 3)

    def training_step(self, batch, batch_idx):
        x, y = batch
        self.log("rate", self.optimizers().param_groups[0]["lr"])
        return nn.functional.cross_entropy(self.head(torch.relu(self.body(x))), y) * self.trainer.max_epochs

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=1e-2)


x = torch.randn(256, 20)
quiet = dict(logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False)
trainer = L.Trainer(max_epochs=3, accelerator="cpu", **quiet)
trainer.fit(Parts(), DataLoader(TensorDataset(x, x[:, :3].argmax(1)), batch_size=32))
"""
    )
    ran = watched(["lit.py"], folder, options=["--only-check", "--output-format", "json"])
    setup = json.loads(ran.stdout)["setup"]
    assert (setup["model"], setup["loss"]) == ("Parts", "training_step")
    assert setup["batch"] == "(32, 20) float32, (32,) int64, fresh ones of DataLoader"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--only-check", "--journal", "x.sgj"], "--journal does nothing with --only-check"),
        (["--only-check", "--no-check"], "contradict each other"),
        (["--fail-on", "never"], "--fail-on is of a check; give --only-check with it"),
        (["--only-check", "--output-format", "poem"], "unknown output format 'poem'"),
    ],
)
def test_options_that_do_not_go_together_are_refused(folder: Path, monkeypatch, capsys, options, words) -> None:
    monkeypatch.chdir(folder)
    assert main(["run", *options, "train.py"]) == 2
    assert words in capsys.readouterr().err


def test_check_of_a_script_that_makes_its_model_in_main_names_the_command(folder: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(folder)
    (folder / "train.py").write_text(TRAIN.replace("def net(", "def _stack(").replace("net(arg", "_stack(arg"))
    assert main(["check", "train.py"]) == 2
    assert "inside of main; next: steadygrad run --only-check train.py [ARGS]" in capsys.readouterr().err
