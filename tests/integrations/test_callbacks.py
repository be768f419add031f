"""What a callback adds to a guard: the trainer's loggers, its checkpoints, its way to stop, and the check of the first step."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import steadygrad as sg
from steadygrad.errors import MissingPackageError
from steadygrad.integrations import TRACKERS, optional
from tests.integrations.programs import lightning_fit, trainer_train
from tests.integrations.programs.common import BAD, OPTIONS, STEPS, Batches
from tests.integrations.programs.lightning_fit import Automatic

UNCHECKED = {"check": False, "probe_every": 0, "overhead": 1.0, **OPTIONS}


def of_lightning(**options: Any) -> Any:
    return sg.integrations.lightning.SteadygradCallback(**{**UNCHECKED, **options})


def of_transformers(**options: Any) -> Any:
    return sg.integrations.transformers.SteadygradCallback(**{**UNCHECKED, **options})


def fit(callback: Any, bad: int = -1, start: str | None = None, epochs: int = 1) -> Any:
    module = Automatic(lambda *_: None)
    return lightning_fit.fit(module, Batches(STEPS, bad), "automatic", epochs, callback, start=start)


@pytest.mark.long
def test_lightning_s_checkpoint_holds_what_the_guard_knows(tmp_path: Path) -> None:
    first = of_lightning()
    fit(first).save_checkpoint(tmp_path / "first.ckpt")
    known = first.guard.state_dict()
    second = of_lightning()
    fit(second, start=str(tmp_path / "first.ckpt"), epochs=2)
    assert known["lanes"][0]["step"] == STEPS
    assert second.guard.steps == 2 * STEPS


@pytest.mark.long
def test_the_trainer_s_checkpoint_holds_what_the_guard_knows(tmp_path: Path) -> None:
    trainer_train.train(trainer_train.Regressor(), STEPS, -1, str(tmp_path), of_transformers())
    second = of_transformers()
    start = str(tmp_path / f"checkpoint-{STEPS}")
    trainer_train.train(trainer_train.Regressor(), STEPS + 10, -1, str(tmp_path), second, start=start)
    assert second.guard.steps == STEPS + 10


@pytest.mark.long
def test_a_checkpoint_of_a_run_without_the_callback_is_resumed(tmp_path: Path) -> None:
    trainer_train.train(trainer_train.Regressor(), STEPS, -1, str(tmp_path))
    second = of_transformers()
    start = str(tmp_path / f"checkpoint-{STEPS}")
    trainer_train.train(trainer_train.Regressor(), STEPS + 10, -1, str(tmp_path), second, start=start)
    assert second.guard.steps == 10


def test_stop_ends_lightning_s_fit_without_an_exception(tmp_path: Path) -> None:
    callback = of_lightning(on_alarm="stop", journal=tmp_path / "run.sgj")
    trainer = fit(callback, bad=BAD)
    assert trainer.should_stop and callback.guard.steps == BAD + 1
    assert [action.kind for action in callback.guard.actions] == ["stop"]
    assert (tmp_path / "run.stopped.pt").exists()
    kept = torch.load(tmp_path / "run.stopped.pt", weights_only=True)["model"][0]
    for name, value in trainer.lightning_module.net.state_dict().items():
        assert torch.equal(value, kept[name]), "the bad step was taken"


@pytest.mark.long
def test_stop_ends_the_trainer_s_training_without_an_exception(tmp_path: Path) -> None:
    callback = of_transformers(on_alarm="stop")
    trainer_train.train(trainer_train.Regressor(), STEPS, BAD, str(tmp_path), callback)
    assert callback.guard.steps == BAD + 1
    assert [action.kind for action in callback.guard.actions] == ["stop"]


def test_a_limit_that_stops_ends_the_fit_too() -> None:
    callback = of_lightning(on_alarm="skip:1/100:stop")
    module = Automatic(lambda *_: None)

    class Worse(Batches):
        def __getitem__(self, index: int) -> Any:
            x, y = super().__getitem__(index)
            return (x * 1e4, y * 1e4) if index in (BAD, BAD + 10) else (x, y)

    trainer = lightning_fit.fit(module, Worse(STEPS, -1), "automatic", 1, callback)
    assert [action.kind for action in callback.guard.actions] == ["skip", "stop"]
    assert trainer.global_step == BAD + 11


@pytest.mark.long
@pytest.mark.parametrize("made", [of_lightning, of_transformers])
def test_the_first_step_is_checked_on_a_copy(made: Any, tmp_path: Path) -> None:
    said: list[str] = []
    callback = made(check=True, probe_every=1000, quiet=False, say=said.append)
    if made is of_lightning:
        fit(callback)
    else:
        trainer_train.train(trainer_train.Regressor(), STEPS, -1, str(tmp_path), callback)
    assert said[0].startswith("first step: healthy: in 10 steps on a copy")
    assert callback.guard.looks[0].step == 1


def test_lightning_s_loggers_get_what_the_journal_has(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    import lightning
    from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
    from torch.utils.data import DataLoader

    from tests.integrations.test_trackers import events, kept_numbers

    loggers = [TensorBoardLogger(tmp_path / "tb"), CSVLogger(tmp_path / "csv")]
    trainer = lightning.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=loggers,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[of_lightning(journal=tmp_path / "run.sgj")],
    )
    trainer.fit(Automatic(lambda *_: None), DataLoader(Batches(STEPS, BAD), batch_size=None))
    wanted = kept_numbers(tmp_path / "run.sgj")
    scalars, alarms = events(Path(loggers[0].log_dir))
    with (Path(loggers[1].log_dir) / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(alarms) == 1
    for name, values in wanted.items():
        assert list(scalars[name]) == list(values) == list(range(1, STEPS + 1))
        assert [float(row[name]) for row in rows if row[name]] == list(values.values())


@pytest.mark.long
def test_the_trainer_s_trackers_get_what_the_journal_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tests.integrations.test_trackers import events, kept_numbers

    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "logs"))
    monkeypatch.setattr(trainer_train, "REPORT_TO", ["tensorboard"])
    callback = of_transformers(journal=tmp_path / "run.sgj")
    trainer_train.train(trainer_train.Regressor(), STEPS, BAD, str(tmp_path / "out"), callback)
    scalars, alarms = events(tmp_path / "logs" / "steadygrad")
    assert len(alarms) == 1
    assert {name: list(values) for name, values in scalars.items()} == {
        name: list(values) for name, values in kept_numbers(tmp_path / "run.sgj").items()
    }


@pytest.mark.long
@pytest.mark.parametrize("name", [*TRACKERS, "lightning", "transformers"])
def test_what_is_not_installed_is_named_with_its_extra(name: str) -> None:
    argument = "('logs')" if name == "tensorboard" else "()"
    used = "" if name in ("lightning", "transformers") else f".Tracker{argument}"
    code = (
        "import sys\n"
        "class Gone:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] in ('{name}', 'pytorch_lightning') or name == 'torch.utils.{name}':\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Gone())\n"
        "import steadygrad as sg\n"
        "from steadygrad.errors import MissingPackageError\n"
        "try:\n"
        f"    sg.integrations.{name}{used}\n"
        "except MissingPackageError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert f'is not installed; next: pip install "steadygrad[{name}]"' in done.stdout, done.stderr


def test_a_package_that_fails_by_itself_fails_as_it_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_by_itself.py").write_text("import nothing_of_this_name\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="nothing_of_this_name"):
        optional("broken_by_itself", extra="x")
    with pytest.raises(MissingPackageError):
        optional("nothing_of_this_name", extra="x")
