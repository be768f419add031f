"""Train the truth table: ``python -m bench.corpus.build [--part PART] [--family NAME] [--processes N] [--smoke]``.

Rows that have a result under the same key and law are passed over, and those that trained under the law before, so an
interrupted build goes on where it stopped; each result is written as soon as it is there. Rows come in the order of their
keys, which is no order at all, each behind its twin, so that a half-built table is a random half of the pairs; the cases
come last. A set-up that raises is written down as crashed, and so is one that takes its process with it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path

import torch

from bench.corpus import law, store
from bench.corpus.row import Row
from bench.corpus.rows import every
from bench.corpus.split import CASES, PARTS, part_of
from bench.corpus.train import Truth, train

TRUTH = Path(__file__).parent / "truth.jsonl"

SMOKE_FAMILIES = ("mlp/wine", "bag/documents", "graph/blocks")
SMOKE_EACH = 4


def truths(path: Path = TRUTH) -> dict[str, Truth]:
    """Results under today's law and the one before, by key; of two for one key the later. Raises ``CorruptTableError``."""
    found = {}
    for told in store.read(path):
        if told.get("law") in (law.REVISION, law.HELD_ALONE):
            lists = {name: tuple(value) for name, value in told.items() if isinstance(value, list)}
            one = Truth(**{**told, **lists})
            found[told["key"]] = one if one.held else replace(one, held=one.scores)
    return found


def chosen(part: str | None = None, family: str | None = None, *, smoke: bool = False) -> list[Row]:
    """Rows of a part and family; for a smoke run the first few of three cheap families."""
    rows = [row for row in _in_order() if part in (None, part_of(row.family)) and family in (None, row.family)]
    if not smoke:
        return rows
    return [row for name in SMOKE_FAMILIES for row in [r for r in rows if r.family == name][:SMOKE_EACH]]


def _in_order() -> list[Row]:
    """All rows by key, each behind its twin; the cases last."""
    rows = every()
    by_key = sorted(rows.values(), key=lambda row: (row.model == CASES, row.key))
    return list({one.key: one for row in by_key for one in (rows.get(row.twin, row), row)}.values())


def build(
    rows: Iterable[Row],
    path: Path = TRUTH,
    *,
    processes: int = 1,
    work: Callable[[Row], Truth] = train,
    say: Callable[[str], None] = print,
) -> int:
    """Train the rows that have no result yet; how many were trained. Ctrl-C ends it with every result so far written."""
    known = truths(path)
    todo = [row for row in rows if row.key not in known or _is_open(known[row.key])]
    say(f"{len(todo)} rows to train, {len(known)} there")
    began, done = time.perf_counter(), 0
    for truth in _worked(todo, work, processes):
        store.append(path, asdict(truth))
        done += 1
        pace = (time.perf_counter() - began) / done
        told = " ".join(f"{score:.2f}" for score in truth.scores) or truth.error
        say(
            f"{done:5d}/{len(todo)}  {truth.label:8s} {told:24s} {truth.seconds:6.1f} s  {truth.name}"
            f"  ({pace * (len(todo) - done) / 60:.0f} min left)"
        )
    store.keep_the_last(path)
    return done


def _is_open(truth: Truth) -> bool:
    """Whether the law before may have been too strict with it."""
    return truth.law != law.REVISION and truth.label in ("between", "fails")


def _one_thread() -> None:
    torch.set_num_threads(1)


def _worked(rows: list[Row], work: Callable[[Row], Truth], processes: int) -> Iterator[Truth]:
    if processes == 1:
        _one_thread()
        yield from map(work, rows)
        return
    left = iter(rows)
    running: dict[Future[Truth], Row] = {}
    pool = _pool(processes)
    try:
        while True:
            running |= {pool.submit(work, row): row for row in islice(left, processes - len(running))}
            if not running:
                return
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            broken: list[Row] = []
            for future in ended:
                row = running.pop(future)
                try:
                    yield future.result()
                except BrokenProcessPool:
                    broken.append(row)
            if broken:
                # One row took its process with it, and the pool with that: each is tried again alone to find which.
                broken += running.values()
                running = {}
                pool.shutdown(wait=False, cancel_futures=True)
                yield from (_alone(row, work) for row in broken)
                pool = _pool(processes)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _alone(row: Row, work: Callable[[Row], Truth]) -> Truth:
    with _pool(1) as pool:
        try:
            return pool.submit(work, row).result()
        except BrokenProcessPool:
            return Truth(row.key, row.name, row.family, "crashed", error="the process ended while the row was trained")


def _pool(processes: int) -> ProcessPoolExecutor:
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(max_workers=processes, mp_context=spawn, initializer=_one_thread)


def counts(rows: Iterable[Row], known: dict[str, Truth]) -> str:
    """How many rows have each label, in words."""
    labels = [known[row.key].label for row in rows if row.key in known]
    return ", ".join(f"{labels.count(label)} {label}" for label in law.LABELS)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.corpus.build", description=__doc__.partition("\n")[0])
    parser.add_argument("--part", choices=PARTS)
    parser.add_argument("--family", help='as in "mlp/digits"')
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--smoke", action="store_true", help="a dozen cheap rows")
    parser.add_argument("--output", type=Path, default=TRUTH)
    given = parser.parse_args(arguments)
    rows = chosen(given.part, given.family, smoke=given.smoke)
    if not rows:
        parser.error(f"no rows of family {given.family!r} in part {given.part or 'any'}; families: {_families()}")
    try:
        with store.alone(given.output):
            build(rows, given.output, processes=given.processes)
    except (store.CorruptTableError, store.BusyTableError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "interrupted; every row that was finished is written, and the next run goes on from there", file=sys.stderr
        )
        return 130
    print(counts(rows, truths(given.output)))
    return 0


def _families() -> str:
    return ", ".join(sorted({row.family for row in every().values()}))


if __name__ == "__main__":
    sys.exit(main())
