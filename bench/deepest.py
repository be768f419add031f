"""Ten thousand layers of tanh, folded, then trained for as long as one cares to wait: ``python -m bench.deepest [SECONDS]``.

Prints the loss on one batch of digits as it falls. The depth is far beyond any use; it
shows that nothing is lost on the way.
"""

from __future__ import annotations

import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

from bench.cures import WIDTH, digits
from steadygrad._check import check_subject
from steadygrad.cures.candidates import candidates_for
from steadygrad.cures.editable_copy import editable_copy_of
from steadygrad.cures.evaluate import Options, treat
from steadygrad.subject.subject import make_subject

DEPTH = 10_000
RATE = 3e-3 / DEPTH
"""The search finds 3e-5 at 100 layers and 3e-6 at 1,000 (``bench/cures.jsonl``); here it would take longer than the training."""


def main(seconds: float) -> None:
    torch.manual_seed(0)
    torch.set_flush_denormal(True)
    model = nn.Sequential(
        *[m for _ in range(DEPTH) for m in (nn.Linear(WIDTH, WIDTH), nn.Tanh())], nn.Linear(WIDTH, 10)
    )
    x, y, _, _ = digits("mlp")
    batch = x[:64], y[:64]
    subject = make_subject(model, batch, F.cross_entropy, optimizer=torch.optim.Adam(model.parameters(), lr=RATE))
    before = check_subject(subject, trial=0)
    copy = editable_copy_of(subject, before.trace)
    (candidate,) = candidates_for(copy, before, Options(only=("folded-initialisation",)))
    treat(copy, candidate.edits)
    after = check_subject(copy.subject, trial=0)
    assert before.trunk is not None
    assert after.trunk is not None
    print(f"{DEPTH} layers: {before.trunk.decades:.1f} decades before, {after.trunk.decades:.2f} folded", flush=True)
    began, step, first = time.perf_counter(), 0, 0.0
    while time.perf_counter() - began < seconds:
        copy.optimizer.zero_grad()
        loss = F.cross_entropy(copy.model(batch[0]), batch[1])
        loss.backward()
        copy.optimizer.step()
        first = first or float(loss.detach())
        if step % 20 == 0:
            print(
                f"step {step:4d}  loss {float(loss.detach()):.4f}  fall {1 - float(loss.detach()) / first:.1%}",
                flush=True,
            )
        step += 1


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 600.0)
