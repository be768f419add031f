"""Faults that come from around a training script: one sick rank, a full disk, a kill, a signal, no memory for a look.

Each is a function that runs it, in processes of its own, and gives what was seen and what was wrong.
"""

from __future__ import annotations

import random
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

import steadygrad
from bench.faults.training import Net, Script, classes, fingerprint
from steadygrad.journal import read

Seen = tuple[str, list[str]]
AT, STEPS = 120, 200
LOST = 2.0
"""Seconds of a killed run that may be missing: a transaction a second, and the quarter until rows are judged."""


def _child(kind: str, folder: str, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "ignore", "-m", "bench.faults.child", kind, folder, *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _integrity(path: Path) -> str:
    with sqlite3.connect(path) as held:
        return str(held.execute("PRAGMA integrity_check").fetchone()[0])


def _ended_by(number: signal.Signals, seconds: float) -> Seen:
    with tempfile.TemporaryDirectory() as folder:
        child = _child("endless", folder)
        assert child.stdout is not None
        assert child.stdout.readline() == "begins\n"
        time.sleep(seconds)
        at = time.time()
        child.send_signal(number)
        lines = child.communicate()[0].splitlines()
        told = [(int(step), float(when)) for step, when in (line.split() for line in lines if line.count(" ") == 1)]
        due = max((step for step, when in told if when < at - LOST), default=0)
        path = Path(folder, "run.sgj")
        whole, run = _integrity(path), read(path)
        wrong = [] if child.returncode == -number else [f"exit code {child.returncode}"]
        wrong += [] if whole == "ok" else [whole]
        wrong += [] if run.steps >= due else [f"the journal ends at {run.steps}, the run was past {due}"]
        last = told[-1][0] if told else 0
        return f"ended at step {last:,}; the journal opens, has {run.steps:,} steps, integrity {whole}", wrong


def kill_9() -> Seen:
    """The process is gone at once."""
    return _ended_by(signal.SIGKILL, 2.5 + random.random())


def sigterm() -> Seen:
    """As a cluster ends a job; a script that does nothing about it ends by it."""
    return _ended_by(signal.SIGTERM, 2.5 + random.random())


def full_disk() -> Seen:
    """No room from step 100 on: it is told once, alarms are told still, and the training is what it would have been."""
    with tempfile.TemporaryDirectory() as folder:
        bare, child = _child("full_disk", folder, "bare"), _child("full_disk", folder)
        (plain, _), (out, said) = bare.communicate(), child.communicate()
        told = [line for line in said.splitlines() if "journal" in line]
        wrong = [] if child.returncode == 0 else [f"exit code {child.returncode}: {said[-300:]}"]
        wrong += [] if _line(out, "weights") == _line(plain, "weights") else ["the training is not what it was"]
        wrong += [] if len(told) == 1 else [f"told {len(told)} times: {told}"]
        wrong += [] if _line(out, "alarm").split()[1:] in (["SG206", "300"], ["SG201", "300"]) else ["no alarm"]
        return f"{_line(out, 'alarm')}; told: {told[0][:90] if told else '-'}", wrong


def memory() -> Seen:
    """The deep look that an alarm asks for has no memory: it says so, the alarm stands, the training goes on."""
    with tempfile.TemporaryDirectory() as folder:
        bare, child = _child("memory", folder, "bare"), _child("memory", folder)
        (plain, _), (out, said) = bare.communicate(), child.communicate()
        wrong = [] if child.returncode == 0 else [f"exit code {child.returncode}: {said[-300:]}"]
        wrong += [] if _line(out, "weights") == _line(plain, "weights") else ["the training is not what it was"]
        wrong += [] if "alarm SG203 6 the batch contains NaN" in out else [f"alarms: {_line(out, 'alarm')}"]
        wrong += [] if "look 6 no look" in out else [f"looks: {_line(out, 'look')}"]
        return f"{_line(out, 'alarm')}; {_line(out, 'look')[:90]}", wrong


def _line(out: str, word: str) -> str:
    return next((line for line in out.splitlines() if line.startswith(word)), "")


def _port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def _rank(rank: int, port: int, folder: str, policy: str, ill: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    torch.manual_seed(0)
    model = Net()
    wrapped = nn.parallel.DistributedDataParallel(model)

    def batch(step: int) -> Any:
        x, y = classes(2 * step + rank)
        if step == AT and rank == 1:
            x = x * 300 if ill == "large" else torch.where(x > 4, torch.nan, x)
        return x, y

    script = Script(wrapped, torch.optim.Adam(wrapped.parameters(), lr=1e-3), STEPS, batch)
    guard = steadygrad.guard(wrapped, script.optimizer, on_alarm=policy, say=lambda line: None)
    script.run(fingerprints=False)
    guard.detach()
    told = [f"{a.code} at {a.step} on rank {a.rank} in {a.parameter}" for a in guard.alarms]
    ended = "stopped" if script.stopped is not None else "ran"
    Path(folder, f"{rank}").write_text("\n".join([fingerprint(model, script.optimizer), ended, *told]))
    dist.destroy_process_group()


def sick_rank(policy: str = "skip", ill: str = "large") -> Seen:
    """One process of two gets an ill batch: it is named, and both decide the same."""
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(_rank, (_port(), folder, policy, ill), nprocs=2)
        first, second = (Path(folder, str(rank)).read_text().splitlines() for rank in (0, 1))
    wrong = [] if first[:2] == second[:2] else ["the ranks have parted"]
    codes = ("SG203",) if ill == "nan" else ("SG206", "SG201")
    named = any(f"{code} at {AT} on rank 1" in first[2] for code in codes) if len(first) == 3 else False
    wrong += [] if named else [f"alarms: {first[2:]}"]
    return f"{first[1]}, {'; '.join(first[2:])}", wrong


FAULTS: dict[str, Callable[[], Seen]] = {
    "sick-rank": sick_rank,
    "sick-rank-warn": lambda: sick_rank("warn"),
    "sick-rank-stop": lambda: sick_rank("stop", "nan"),
    "sick-rank-rollback": lambda: sick_rank("rollback"),
    "full-disk": full_disk,
    "kill-9": kill_9,
    "sigterm": sigterm,
    "memory-in-look": memory,
}


def show(names: Sequence[str]) -> int:
    """A line for each; gives how many are wrong."""
    bad = 0
    for name in names:
        words, wrong = FAULTS[name]()
        bad += bool(wrong)
        print(f"{name:20s} {'WRONG' if wrong else 'right'}  {words}", flush=True)
        for one in wrong:
            print(f"{'':27s} {one}")
    return bad
