"""The peers: other tools' rules, each in a file of its own, as published, with a reference and its cost.

None installs beside the torch of today (TensorFlow 1 and 2, a cloud service), so each is written afresh from the rule it
documents. A peer says nothing, or raises an alarm with its reason; an alarm counts as "will not train".
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from bench.corpus.row import Row
from bench.judge import Judgement, digest
from bench.peers import (
    anomaly_mode,
    autotrainer,
    deepdiagnosis,
    fixed_thresholds,
    layer_ratio,
    lr_finder,
    sagemaker,
    thedeepchecker,
    total_norm,
)
from bench.peers.watch import Subject


@dataclass(frozen=True)
class Peer:
    """A rule, where it comes from, and what it costs."""

    judge: Callable[[Subject], str | None]
    reference: str
    cost: str


PEERS: dict[str, Peer] = {
    module.NAME: Peer(module.judge, module.REFERENCE, module.COST)
    for module in (
        autotrainer,
        deepdiagnosis,
        thedeepchecker,
        sagemaker,
        fixed_thresholds,
        total_norm,
        layer_ratio,
        anomaly_mode,
        lr_finder,
    )
}


def revision() -> str:
    """Of the peers' source."""
    return digest(Path(__file__).parent, (file.name for file in Path(__file__).parent.glob("*.py")))


@lru_cache(maxsize=1)
def _subject(row: Row) -> Subject:
    return Subject(row)


def ask(row: Row, name: str, now: str) -> Judgement:
    """What a peer says of a row. Peers asked one after the other of the same row share its short run."""
    subject = _subject(row)
    subject.spent = subject.charged = 0.0
    began = time.process_time()
    try:
        alarm = PEERS[name].judge(subject)
    except Exception as error:
        return Judgement(row.key, name, now, "crashed", message=f"{type(error).__name__}: {error}"[:300])
    seconds = round(time.process_time() - began - subject.spent + subject.charged, 3)
    return Judgement(row.key, name, now, "will not train" if alarm else "healthy", message=alarm or "", seconds=seconds)
