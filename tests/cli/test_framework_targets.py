"""Targets that come from a framework: a LightningModule with its data, a Trainer of transformers with its set-up."""

from __future__ import annotations

import copy
import importlib
import json

import pytest
import torch

import steadygrad as sg
from steadygrad.cli import main

LIT = """import lightning as L
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset


def loader():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(256, 20, generator=generator)
    return DataLoader(TensorDataset(x, x[:, :4].argmax(1)), batch_size=32, shuffle=True)


class Base(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 4))

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = F.cross_entropy(self.body(x), y)
        self.log("loss", loss, prog_bar=True)
        self.log_dict({"epoch": float(self.current_epoch)})
        return loss

    def configure_optimizers(self):
        self.kept = torch.optim.AdamW(self.parameters(), lr=3e-3)
        return self.kept


class Data(L.LightningDataModule):
    def setup(self, stage):
        self.made = loader()

    def train_dataloader(self):
        return self.made
"""

SCHEDULES = {
    "one": "optimizer",
    "dict": '{"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}',
    "lists": "[optimizer], [schedule]",
}


def lit(folder, body: str, name: str = "lit.py") -> None:
    (folder / name).write_text(LIT + body)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    pytest.importorskip("lightning", reason="lightning is not installed")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def setup_of(capsys, *arguments: str) -> dict:
    main(["check", *arguments, "--output-format", "json"])
    return json.loads(capsys.readouterr().out)["setup"]


def error_of(capsys, *arguments: str) -> str:
    assert main(["check", *arguments]) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return said


@pytest.mark.parametrize("form", SCHEDULES)
def test_a_module_without_forward_brings_its_step_its_batches_and_its_optimizer(folder, capsys, form):
    lit(
        folder,
        f"""
class Net(Base):
    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.25)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
        return {SCHEDULES[form]}

    def train_dataloader(self):
        return loader()
""",
    )
    setup = setup_of(capsys, "lit.py:Net")
    assert setup["loss"] == "training_step"
    assert setup["batch"] == "(32, 20) float32, (32,) int64, fresh ones of DataLoader"
    assert "SGD, learning rate 0.25" in setup["optimizer"]
    assert [one["about"] for one in setup["assumptions"]] == ["file", "file"]


def test_a_module_is_as_it_was_after_its_check(folder, monkeypatch):
    lit(
        folder,
        "\n\nclass Net(Base):\n    def train_dataloader(self):\n        self.seen = 1\n        return loader()\n",
    )
    monkeypatch.syspath_prepend(str(folder))
    module = importlib.import_module("lit").Net()
    names, weights = set(vars(module)), copy.deepcopy(module.state_dict())
    report = sg.check(module)
    assert report.setup.loss == "training_step" and report.setup.batch.endswith("of DataLoader")
    assert set(vars(module)) == names
    assert all(torch.equal(weights[name], now) for name, now in module.state_dict().items())


@pytest.mark.parametrize("given", ["Data", "data", "loader"])
def test_batches_come_from_a_data_module(folder, capsys, given):
    lit(folder, "\n\nclass Net(Base):\n    pass\n\n\ndata = Data()\n")
    assert setup_of(capsys, "lit.py:Net", "--batch", f"lit.py:{given}")["batch"].endswith("of DataLoader")


def test_a_script_with_a_module_and_a_data_module_needs_no_options(folder, capsys):
    lit(folder, "\n\nclass Net(Base):\n    pass\n\n\nnet = Net()\ndata = Data()\n")
    setup = setup_of(capsys, "lit.py")
    assert setup["batch"].endswith("of DataLoader")
    assert setup["assumptions"][0]["words"] == "from lit.py: data"


def test_loaders_in_a_dict_are_drawn_from_together(folder, capsys):
    lit(
        folder,
        """
class Net(Base):
    def training_step(self, batch, batch_idx):
        return super().training_step(batch["a"], 0) + super().training_step(batch["b"], 0)

    def train_dataloader(self):
        return {"a": loader(), "b": loader()}
""",
    )
    assert setup_of(capsys, "lit.py:Net")["batch"].startswith("a (32, 20) float32")


def test_a_module_without_forward_and_batches_asks_for_a_batch(folder, capsys):
    lit(folder, "\n\nclass Net(Base):\n    pass\n")
    said = error_of(capsys, "lit.py:Net")
    assert "Net has no forward and no train_dataloader" in said and "--batch file.py:name" in said


def test_manual_optimization_is_one_sentence(folder, capsys):
    lit(
        folder,
        """
class Net(Base):
    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
""",
    )
    assert "steps its optimizers by hand" in error_of(capsys, "lit.py:Net")


def test_a_step_that_needs_its_trainer_is_sent_to_the_run(folder, capsys):
    lit(
        folder,
        """
class Net(Base):
    def training_step(self, batch, batch_idx):
        return super().training_step(batch, 0) / self.trainer.max_epochs
""",
    )
    said = error_of(capsys, "lit.py:Net", "--batch", "lit.py:loader")
    assert "uses its trainer" in said and "steadygrad run --only-check" in said


TRAINER = """import torch
from torch.utils.data import Dataset
from transformers import BertConfig, BertForSequenceClassification, BatchEncoding, Trainer, TrainingArguments

config = BertConfig(
    vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
    max_position_embeddings=32,
)
ids = torch.randint(3, 50, (128, 12), generator=torch.Generator().manual_seed(0))
labels = (ids[:, 1] > 25).long()
batch = BatchEncoding({"input_ids": ids[:16], "attention_mask": torch.ones_like(ids[:16]), "labels": labels[:16]})


class Data(Dataset):
    def __len__(self):
        return len(ids)

    def __getitem__(self, at):
        return {"input_ids": ids[at], "labels": labels[at]}


def build_model():
    return BertForSequenceClassification(config)


arguments = TrainingArguments(
    "out", per_device_train_batch_size=16, learning_rate=2e-3, max_grad_norm=0.5, report_to=[], use_cpu=True
)
"""


@pytest.fixture
def trains(tmp_path, monkeypatch):
    pytest.importorskip("transformers", reason="transformers is not installed")
    pytest.importorskip("accelerate", reason="accelerate is not installed")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.long
def test_a_tokenised_batch_with_labels_is_the_models_whole_input(trains, capsys):
    (trains / "model.py").write_text(TRAINER)
    setup = setup_of(capsys, "model.py:build_model", "--batch", "model.py:batch")
    assert setup["loss"] == "the model's own"
    assert setup["batch"].startswith("input_ids (16, 12) int64, attention_mask (16, 12) int64, labels (16,) int64")


@pytest.mark.parametrize("target", ["train.py", "train.py:trainer"])
def test_a_trainer_gives_its_model_its_batches_its_optimizer_and_its_clip(trains, capsys, target):
    (trains / "train.py").write_text(
        TRAINER + "trainer = Trainer(model=build_model(), args=arguments, train_dataset=Data())\n"
    )
    setup = setup_of(capsys, target, "--trial", "3")
    assert setup["batch"] == "input_ids (16, 12) int64, labels (16,) int64, fresh ones of DataLoader"
    assert "AdamW, learning rate 0.002" in setup["optimizer"] and "clip norm:0.5" in setup["optimizer"]
    assert "trainer with the optimizer of create_optimizer" in setup["assumptions"][0]["words"]


def test_a_trainer_with_a_loss_of_its_own_is_sent_to_the_run(trains, capsys):
    (trains / "train.py").write_text(
        TRAINER
        + "class Own(Trainer):\n    def compute_loss(self, model, inputs, **more):\n        return model(**inputs).loss * 2\n\n\n"
        + "trainer = Own(model=build_model(), args=arguments, train_dataset=Data())\n"
    )
    said = error_of(capsys, "train.py")
    assert "has a loss of its own (compute_loss)" in said and "steadygrad run --only-check train.py" in said
