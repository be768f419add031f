"""torch's anomaly mode over ten training steps: an alarm is its error, or a loss that isn't finite."""

from __future__ import annotations

import math
import warnings

import torch

from bench.corpus.case import objective
from bench.peers.watch import Subject

NAME = "anomaly-mode"
REFERENCE = "docs.pytorch.org/docs/stable/autograd.html#anomaly-detection (torch.autograd.detect_anomaly)"
COST = "10 training steps with anomaly mode on"

STEPS = 10


def judge(subject: Subject) -> str | None:
    made = subject.fresh()
    made.model.train()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with torch.autograd.set_detect_anomaly(True):
            for step in range(STEPS):
                made.optimizer.zero_grad()
                loss, _ = objective(made, made.batches(step))
                if not math.isfinite(float(loss.detach())):
                    return f"loss is {float(loss.detach())} at step {step}"
                try:
                    loss.backward()
                except RuntimeError as error:
                    if "nan" not in str(error):
                        raise
                    return str(error).partition("\n")[0]
                made.optimizer.step()
    return None
