"""Losses and optimizers of the truth table, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.corpus.row import Row

Loss = Callable[[Tensor, Tensor], Tensor]


def squared_to_one_hot(output: Tensor, target: Tensor) -> Tensor:
    """Mean squared distance of the outputs from the one-hot answer."""
    return F.mse_loss(output, F.one_hot(target, output.shape[1]).to(output.dtype))


def squared_after_sigmoid(output: Tensor, target: Tensor) -> Tensor:
    """The loss of early nets: squared distance of sigmoid outputs from the one-hot answer."""
    return F.mse_loss(torch.sigmoid(output), F.one_hot(target, output.shape[1]).to(output.dtype))


def log_of_softmax(output: Tensor, target: Tensor) -> Tensor:
    """Softmax, then its logarithm, by hand: infinite as soon as a probability underflows."""
    probability = torch.softmax(output, dim=1)
    return F.nll_loss(torch.log(probability), target)


def overlap(probability: Tensor, target: Tensor) -> Tensor:
    """1 − Dice's coefficient of all pixels of the batch together (Milletari et al. 2016)."""
    inside = target.to(probability.dtype)
    return 1 - (2 * (probability * inside).sum() + 1) / (probability.sum() + inside.sum() + 1)


def dice(output: Tensor, target: Tensor) -> Tensor:
    return overlap(torch.softmax(output, 1)[:, 1], target)


def dice_of_mask(output: Tensor, target: Tensor) -> Tensor:
    """Of the mask that the probabilities round to, which has no slope."""
    return overlap(torch.round(torch.softmax(output, 1)[:, 1]), target)


def distillation(output: Tensor, target: Tensor, temperature: float = 4.0, power: int = 2) -> Tensor:
    """Divergence from a teacher's softened answers, times the temperature squared (Hinton et al. 2015)."""
    told, wanted = F.log_softmax(output / temperature, 1), F.softmax(target / temperature, 1)
    return F.kl_div(told, wanted, reduction="batchmean") * temperature**power


LOSSES: dict[str, Loss] = {
    "cross-entropy": F.cross_entropy,
    "summed": partial(F.cross_entropy, reduction="sum"),
    "smoothed": partial(F.cross_entropy, label_smoothing=0.1),
    "margin": F.multi_margin_loss,
    "one-hot": squared_to_one_hot,
    "sigmoid-one-hot": squared_after_sigmoid,
    "log-softmax-by-hand": log_of_softmax,
    "mse": F.mse_loss,
    "mse-summed": partial(F.mse_loss, reduction="sum"),
    "l1": F.l1_loss,
    "huber": F.smooth_l1_loss,
    "bce": F.binary_cross_entropy_with_logits,
    "dice": dice,
    "dice-of-mask": dice_of_mask,
    "distillation": distillation,
    "distillation-hot": partial(distillation, temperature=50.0),
    "distillation-unscaled": partial(distillation, temperature=50.0, power=0),
}
""" "own" is no name here: such a model returns its loss itself."""

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "momentum": partial(torch.optim.SGD, momentum=0.9),
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "adafactor": torch.optim.Adafactor,
    "adagrad": torch.optim.Adagrad,
}


def optimizer_of(row: Row, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    more: dict[str, Any] = dict(row.optimizer_options)
    return OPTIMIZERS[row.optimizer](parameters, lr=row.rate, **more)
