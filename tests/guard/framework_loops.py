"""The loops of ``loops`` as frameworks make them: Accelerate, Lightning, transformers. A guard is made as their users would."""

from __future__ import annotations

import logging
import tempfile
import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from tests.guard.loops import STEPS, Course, Loop, acts, batch, net, raw
from tests.guard.runs import Watch

BOUND = 20.0


def accelerate(watch: Watch, bad: int) -> Course:
    from accelerate import Accelerator

    course, model = Course(), net()
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    watch(model, [optimizer])
    prepared: Any = accelerator.prepare(model, optimizer)
    model, wrapped = prepared
    for number in range(2, 2 * STEPS + 2):
        with accelerator.accumulate(model):
            x, y = batch(number, 2 * bad + 1)
            loss = F.mse_loss(model(x), y)
            accelerator.backward(loss)
            if accelerator.sync_gradients:
                course.norms[0].append(raw(model.parameters()))
                total: Any = accelerator.clip_grad_norm_(model.parameters(), BOUND)
                course.acted.append(acts(float(total), BOUND))
            wrapped.step()
            wrapped.zero_grad()
            course.losses.append(loss.item())
    return course.ended(model, [optimizer])


class Batches(Dataset[tuple[Tensor, Tensor]]):
    """The batch of each step as one sample."""

    def __init__(self, bad: int) -> None:
        self.bad = bad

    def __len__(self) -> int:
        return STEPS

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return batch(index + 1, self.bad)


def _fitted(module: Any, bad: int, **options: Any) -> None:
    import lightning

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = lightning.Trainer(
            max_epochs=1,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            **options,
        )
        trainer.fit(module, DataLoader(Batches(bad), batch_size=None))


def lightning_automatic(watch: Watch, bad: int) -> Course:
    import lightning

    course = Course()

    class Lit(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = net()

        def training_step(self, given: Any, index: int) -> Tensor:
            x, y = given
            loss = F.mse_loss(self.net(x), y)
            course.losses.append(loss.item())
            return loss

        def on_before_optimizer_step(self, optimizer: Any) -> None:
            course.norms[0].append(raw(self.parameters()))
            course.acted.append(acts(course.norms[0][-1], BOUND))

        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.AdamW(self.parameters(), lr=1e-3)
            watch(self, [optimizer])
            return optimizer

    module = Lit()
    _fitted(module, bad, gradient_clip_val=BOUND)
    optimizer: Any = module.optimizers(use_pl_optimizer=False)
    return course.ended(module, [optimizer])


def lightning_manual(watch: Watch, bad: int) -> Course:
    import lightning

    course = Course(norms=[[], []])

    class Lit(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.automatic_optimization = False
            self.first = net()
            self.second = nn.Sequential(nn.Linear(1, 8), nn.ReLU(), nn.Linear(8, 1))

        def training_step(self, given: Any, index: int) -> None:
            x, y = given
            both: Any = self.optimizers()
            made = self.first(x)
            for place, (optimizer, loss) in enumerate(
                zip(both, (F.mse_loss(made, y), F.mse_loss(self.second(made.detach()), y)), strict=True)
            ):
                optimizer.zero_grad()
                self.manual_backward(loss)
                own = [p for group in optimizer.param_groups for p in group["params"]]
                course.norms[place].append(raw(own))
                course.acted.append(acts(course.norms[place][-1], 40.0))
                self.clip_gradients(optimizer, gradient_clip_val=40.0, gradient_clip_algorithm="norm")
                optimizer.step()
                course.losses.append(loss.item())

        def configure_optimizers(self) -> Any:
            made = [torch.optim.Adam(one.parameters(), lr=1e-3) for one in (self.first, self.second)]
            watch(self, made)
            return made

    module = Lit()
    _fitted(module, bad)
    both: Any = module.optimizers(use_pl_optimizer=False)
    return course.ended(module, both)


class Regressor(nn.Module):
    """As ``Trainer`` wants it: targets go in, the loss comes out."""

    def __init__(self) -> None:
        super().__init__()
        self.net = net()

    def forward(self, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
        made = self.net(x)
        return {"loss": F.mse_loss(made, labels), "logits": made}


class Rows(Dataset[dict[str, Tensor]]):
    """The samples of all batches, in order."""

    def __init__(self, bad: int) -> None:
        self.given = [batch(step, bad) for step in range(1, STEPS + 1)]

    def __len__(self) -> int:
        return 16 * STEPS

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        x, y = self.given[index // 16]
        return {"x": x[index % 16], "labels": y[index % 16]}


def trainer(watch: Watch, bad: int) -> Course:
    """With the clip to 1 that is its default; the rate is small, so that it does not act at the end."""
    from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments, set_seed

    course = Course()

    class Ordered(Trainer):
        def _get_train_sampler(self, *_: Any) -> Any:
            return None

    class Losses(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if "grad_norm" in logs:
                course.norms[0].append(float(logs["grad_norm"]))
                course.acted.append(acts(float(logs["grad_norm"]), 1.0))
                course.losses.append(float(logs["loss"]))

    set_seed(0)
    model = Regressor()
    with tempfile.TemporaryDirectory() as folder:
        args = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=16,
            max_steps=STEPS,
            learning_rate=1e-3,
            logging_steps=1,
            save_strategy="no",
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
        )
        made = Ordered(model=model, args=args, train_dataset=Rows(bad), callbacks=[Losses])
        made.remove_callback(PrinterCallback)
        optimizer: Any = made.create_optimizer()
        watch(model, [optimizer])
        made.train()
    return course.ended(model, [optimizer])


LOOPS: tuple[Loop, ...] = (accelerate, lightning_automatic, lightning_manual, trainer)
