"""transformers' Trainer with its own clip to 1: plain or resume."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset
from transformers import PrinterCallback, Trainer, TrainingArguments, set_seed

import steadygrad as sg
from tests.integrations.programs.common import BAD, OPTIONS, STEPS, Batches, as_a_program, fingerprint, net

REPORT_TO: list[str] = []


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


def train(
    model: nn.Module, steps: int, bad: int, folder: str, *callbacks: Any, watch: Any = None, start: str | None = None
) -> None:
    set_seed(0)
    args = TrainingArguments(
        output_dir=folder,
        per_device_train_batch_size=16,
        max_steps=steps,
        learning_rate=1e-3,
        lr_scheduler_type="constant",
        logging_steps=10,
        save_strategy="steps",
        save_steps=STEPS,
        report_to=REPORT_TO,
        use_cpu=True,
        disable_tqdm=True,
    )
    made = Ordered(model=model, args=args, train_dataset=Rows(2 * STEPS, bad), callbacks=list(callbacks))
    made.remove_callback(PrinterCallback)
    if watch is not None:
        watch(model, made.create_optimizer())
    made.train(resume_from_checkpoint=start)


def main(how: str, kind: str, journal: str) -> str:
    guards: list[Any] = []

    def watch(model: nn.Module, optimizer: Any) -> None:
        guards.append(sg.guard(model, optimizer, journal=journal, **OPTIONS))

    callbacks = []
    if how == "callback":
        callbacks = [sg.integrations.transformers.SteadygradCallback(journal=journal, check=False, **OPTIONS)]
    own = watch if how == "line" else None
    model = Regressor()
    with tempfile.TemporaryDirectory() as folder:
        if kind == "resume":
            train(model, STEPS, -1, folder)
            model = Regressor()
            start = str(Path(folder) / f"checkpoint-{STEPS}")
            train(model, 2 * STEPS, STEPS + BAD, folder, *callbacks, watch=own, start=start)
        else:
            train(model, STEPS, BAD, folder, *callbacks, watch=own)
    for guard in guards:
        guard.detach()
    return fingerprint(model)


if __name__ == "__main__":
    as_a_program(main)
