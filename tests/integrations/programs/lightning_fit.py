"""A Lightning module: automatic, accumulation, manual or resume."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader

import steadygrad as sg
from tests.integrations.programs.common import BAD, OPTIONS, STEPS, Batches, as_a_program, fingerprint, net

Watch = Callable[[Any, torch.optim.Optimizer], None]


class Automatic(lightning.LightningModule):
    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self.net = net()
        self.watch = watch

    def training_step(self, given: Any, index: int) -> Any:
        x, y = given
        return F.mse_loss(self.net(x), y)

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.parameters(), lr=1e-3)
        self.watch(self.net, optimizer)
        return optimizer


class Manual(Automatic):
    def __init__(self, watch: Watch) -> None:
        super().__init__(watch)
        self.automatic_optimization = False

    def training_step(self, given: Any, index: int) -> None:
        x, y = given
        optimizer: Any = self.optimizers()
        optimizer.zero_grad()
        loss: Tensor = F.mse_loss(self.net(x), y)
        self.manual_backward(loss)
        self.clip_gradients(optimizer, gradient_clip_val=20.0, gradient_clip_algorithm="norm")
        optimizer.step()


def fit(module: Any, batches: Batches, kind: str, epochs: int, *callbacks: Any, start: str | None = None) -> Any:
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = lightning.Trainer(
            max_epochs=epochs,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=list(callbacks),
            gradient_clip_val=None if kind == "manual" else 20.0,
            accumulate_grad_batches=4 if kind == "accumulation" else 1,
        )
        trainer.fit(module, DataLoader(batches, batch_size=None), ckpt_path=start)
    return trainer


def main(how: str, kind: str, journal: str) -> str:
    guards: list[Any] = []

    def watch(model: Any, optimizer: torch.optim.Optimizer) -> None:
        if how == "line":
            guards.append(sg.guard(model, optimizer, journal=journal, **OPTIONS))

    callbacks = []
    if how == "callback":
        callbacks = [sg.integrations.lightning.SteadygradCallback(journal=journal, check=False, **OPTIONS)]
    module = Manual(watch) if kind == "manual" else Automatic(watch)
    if kind == "resume":
        with tempfile.TemporaryDirectory() as folder:
            saved = str(Path(folder) / "first.ckpt")
            fit(Automatic(lambda *_: None), Batches(STEPS, -1), kind, 1).save_checkpoint(saved)
            module = Automatic(watch)
            fit(module, Batches(STEPS, BAD), kind, 2, *callbacks, start=saved)
    else:
        parts = 4 if kind == "accumulation" else 1
        fit(module, Batches(parts * STEPS, parts * BAD), kind, 1, *callbacks)
    for guard in guards:
        guard.detach()
    return fingerprint(module)


if __name__ == "__main__":
    as_a_program(main)
