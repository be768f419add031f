"""A Lightning module: KIND automatic, accumulation, manual or resume."""

from __future__ import annotations

import logging
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader

import steadygrad as sg
from tests.integrations.programs.common import BAD, OPTIONS, STEPS, Batches, arguments, finish, net

how, journal, result = arguments()
kind = sys.argv[4]
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
warnings.simplefilter("ignore")
guards: list[Any] = []


class Automatic(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = net()

    def training_step(self, given: Any, index: int) -> Tensor:
        x, y = given
        return F.mse_loss(self.net(x), y)

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.parameters(), lr=1e-3)
        if how == "line" and watching:
            guards.append(sg.guard(self.net, optimizer, journal=journal, **OPTIONS))
        return optimizer


class Manual(Automatic):
    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, given: Any, index: int) -> None:  # type: ignore[override]
        x, y = given
        optimizer: Any = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(F.mse_loss(self.net(x), y))
        self.clip_gradients(optimizer, gradient_clip_val=20.0, gradient_clip_algorithm="norm")
        optimizer.step()


def fit(module: Any, epochs: int, length: int, bad: int, folder: str, start: str | None = None) -> Any:
    callbacks: list[Any] = []
    if how == "callback" and watching:
        callbacks.append(sg.integrations.lightning.SteadygradCallback(journal=journal, check=False, **OPTIONS))
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        default_root_dir=folder,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=callbacks,
        gradient_clip_val=None if kind == "manual" else 20.0,
        accumulate_grad_batches=4 if kind == "accumulation" else 1,
    )
    trainer.fit(module, DataLoader(Batches(length, bad), batch_size=None), ckpt_path=start)
    return trainer


watching = kind != "resume"
with tempfile.TemporaryDirectory() as folder:
    if kind == "resume":
        saved = str(Path(folder) / "first.ckpt")
        fit(Automatic(), 1, STEPS, -1, folder).save_checkpoint(saved)
        watching = True
        module: Any = Automatic()
        fit(module, 2, STEPS, BAD, folder, saved)
    elif kind == "accumulation":
        module = Automatic()
        fit(module, 1, 4 * STEPS, 4 * BAD, folder)
    else:
        module = Manual() if kind == "manual" else Automatic()
        fit(module, 1, STEPS, BAD, folder)
for guard in guards:
    guard.detach()
finish(module, result)
