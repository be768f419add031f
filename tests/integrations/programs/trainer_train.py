"""transformers' Trainer with its own clip to 1: KIND plain or resume."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset
from transformers import PrinterCallback, Trainer, TrainingArguments, set_seed

import steadygrad as sg
from tests.integrations.programs.common import BAD, OPTIONS, STEPS, Batches, arguments, finish, net

how, journal, result = arguments()
kind = sys.argv[4]
guards: list[Any] = []


class Regressor(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = net()

    def forward(self, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
        made = self.net(x)
        return {"loss": F.mse_loss(made, labels), "logits": made}


class Rows(Dataset[dict[str, Tensor]]):
    """The samples of all batches, in order."""

    def __init__(self, length: int, bad: int) -> None:
        self.batches = Batches(length, bad)

    def __len__(self) -> int:
        return 16 * len(self.batches)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        x, y = self.batches[index // 16]
        return {"x": x[index % 16], "labels": y[index % 16]}


class Ordered(Trainer):
    def _get_train_sampler(self, *_: Any) -> Any:
        return None


def train(model: nn.Module, steps: int, bad: int, folder: str, *, watched: bool, start: str | None = None) -> None:
    set_seed(0)
    args = TrainingArguments(
        output_dir=folder,
        per_device_train_batch_size=16,
        max_steps=steps,
        learning_rate=1e-3,
        lr_scheduler_type="constant",
        logging_steps=10,
        save_strategy="steps" if kind == "resume" else "no",
        save_steps=STEPS,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
    )
    callbacks: list[Any] = []
    if how == "callback" and watched:
        callbacks = [sg.integrations.transformers.SteadygradCallback(journal=journal, check=False, **OPTIONS)]
    made = Ordered(model=model, args=args, train_dataset=Rows(2 * STEPS, bad), callbacks=callbacks)
    made.remove_callback(PrinterCallback)
    if how == "line" and watched:
        guards.append(sg.guard(model, made.create_optimizer(), journal=journal, **OPTIONS))
    made.train(resume_from_checkpoint=start)


model = Regressor()
with tempfile.TemporaryDirectory() as folder:
    if kind == "resume":
        train(model, STEPS, -1, folder, watched=False)
        model = Regressor()
        train(model, 2 * STEPS, STEPS + BAD, folder, watched=True, start=str(Path(folder) / f"checkpoint-{STEPS}"))
    else:
        train(model, STEPS, BAD, folder, watched=True)
for guard in guards:
    guard.detach()
finish(model, result)
