"""A loop with Accelerate that accumulates over two batches; ``callback`` is a guard of what ``prepare`` gives."""

from __future__ import annotations

from typing import Any

import torch
from accelerate import Accelerator
from torch.nn import functional as F

import steadygrad as sg
from tests.integrations.programs.common import BAD, OPTIONS, STEPS, Batches, as_a_program, fingerprint, net


def main(how: str, kind: str, journal: str) -> str:
    model = net()
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    guard: Any = sg.guard(model, optimizer, journal=journal, **OPTIONS) if how == "line" else None
    prepared: Any = accelerator.prepare(model, optimizer)
    wrapped, accelerated = prepared
    if how == "callback":
        guard = sg.guard(wrapped, accelerated, journal=journal, **OPTIONS)
    batches = Batches(2 * STEPS, 2 * BAD)
    for number in range(2 * STEPS):
        with accelerator.accumulate(wrapped):
            x, y = batches[number]
            loss = F.mse_loss(wrapped(x), y)
            accelerator.backward(loss)
            if accelerator.sync_gradients:
                accelerator.clip_grad_norm_(wrapped.parameters(), 20.0)
            accelerated.step()
            accelerated.zero_grad()
    if guard is not None:
        guard.detach()
    return fingerprint(model)


if __name__ == "__main__":
    as_a_program(main)
