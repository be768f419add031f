"""Add to the truth table, show it, check it: ``python -m bench.table``.

``show``: what the table holds. ``add FILE``: copy a set-up file to ``corpus/added/``, train it, record the truth, and say
which verdict it got. ``check --sample N``: train a random sample of the recorded rows again and compare the labels.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from bench import counts
from bench.corpus import from_file, law, store
from bench.corpus.build import TRUTH, truths
from bench.corpus.edges import edges
from bench.corpus.row import Row
from bench.corpus.rows import every
from bench.corpus.split import PARTS, part_of
from bench.corpus.train import Truth, train
from bench.judge import judge, revision


def add(path: Path, *, truth: Path = TRUTH, added: Path | None = None) -> str:
    """Add a set-up file; what became of it, in words. Raises ``SetupFileError`` and leaves nothing where it is none."""
    folder = added or from_file.ADDED
    if not path.is_file():
        raise from_file.SetupFileError(f"there is no file {path}")
    row = from_file.row_of(path)
    there = folder / path.name
    if there.exists() and there.read_bytes() != path.read_bytes():
        raise from_file.SetupFileError(f"another set-up is called {path.name}; rename the file")
    folder.mkdir(parents=True, exist_ok=True)
    if not there.exists():
        shutil.copyfile(path, there)
    result = truths(truth).get(row.key)
    if result is None:
        result = train(row)
        if result.label == "crashed":
            there.unlink()
            raise from_file.SetupFileError(f"{path} raised when it was trained: {result.error}")
        store.append(truth, asdict(result))
    said = judge(row, "steptest", revision())
    return told(row, result, said.verdict, f"{said.codes[0]} {said.message}" if said.codes else said.message)


def told(row: Row, truth: Truth, verdict: str, ground: str) -> str:
    scores = " ".join(f"{score:.2f}" for score in truth.scores)
    took = f"{max(truth.steps)} steps at most, {truth.seconds:.1f} s"
    right = {
        ("trains", counts.WILL_NOT_TRAIN): "a false alarm",
        ("trains", counts.AT_RISK): "a warning on a set-up that trains",
        ("fails", counts.HEALTHY): "missed",
    }.get((truth.label, verdict), "neither right nor wrong" if truth.label == "between" else "right")
    return "\n".join(
        [
            f"{row.name} ({part_of(row.family)}): {truth.label}; held-out scores {scores} (0 chance, 1 best; {took})",
            f"verdict: {verdict}" + (f" ({ground})" if ground else "") + f": {right}",
        ]
    )


def holdings(*, truth: Path = TRUTH) -> str:
    """Rows and labels by part, near misses, and what the trainings took."""
    rows, known = every(), truths(truth)
    there = [rows[key] for key in known if key in rows]
    lines = [f"{'':12s}" + "".join(f"{word:>10s}" for word in ("rows", "trained", *law.LABELS))]
    for part in (*PARTS, "all"):
        inside = [row for row in rows.values() if part in ("all", part_of(row.family))]
        labels = [known[row.key].label for row in inside if row.key in known]
        figures = (len(inside), len(labels), *(labels.count(label) for label in law.LABELS))
        lines.append(f"{part:12s}" + "".join(f"{figure:10d}" for figure in figures))
    found = edges(there, known)
    numbers = Counter(edge.number for edge in found)
    told = ", ".join(f"{count} in {name}" for name, count in numbers.most_common())
    seconds = sorted(known[row.key].seconds for row in there if known[row.key].seconds) or [0.0]
    lines += [
        f"near misses, one trains and its neighbour fails: {len(found)} pairs ({told})",
        f"processor time of a row's three trainings: mean {sum(seconds) / len(seconds):.1f} s, "
        f"median {seconds[len(seconds) // 2]:.1f} s, greatest {seconds[-1]:.0f} s; all {sum(seconds) / 3600:.1f} h",
    ]
    return "\n".join(lines)


def sample(number: int, seed: int, *, truth: Path = TRUTH) -> list[tuple[Truth, Truth]]:
    """Recorded and repeated results of a random sample of rows."""
    known, rows = truths(truth), every()
    keys = sorted(key for key in known if key in rows and known[key].label != "crashed")
    chosen = random.Random(seed).sample(keys, min(number, len(keys)))
    pairs = []
    for key in chosen:
        pairs.append((known[key], train(rows[key])))
        before, after = pairs[-1]
        same = "same" if before.label == after.label else "DIFFERS"
        scores = [" ".join(f"{score:.2f}" for score in one.scores) for one in pairs[-1]]
        print(f"{same:8s} {before.label:8s} {after.label:8s} {scores[0]} | {scores[1]}  {before.name}", flush=True)
    return pairs


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.table", description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("show", help="say what the table holds")
    adding = commands.add_parser("add", help="train a set-up file, record the truth, say which verdict it got")
    adding.add_argument("file", type=Path)
    checking = commands.add_parser("check", help="train a random sample again and compare labels")
    checking.add_argument("--sample", type=int, default=20)
    checking.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    try:
        if given.command == "show":
            print(holdings())
            return 0
        if given.command == "add":
            print(add(given.file))
            return 0
        pairs = sample(given.sample, given.seed)
    except (from_file.SetupFileError, store.CorruptTableError) as error:
        print(error, file=sys.stderr)
        return 2
    same = sum(before.label == after.label for before, after in pairs)
    print(f"{same} of {len(pairs)} labels the same")
    return 0 if same >= 0.95 * len(pairs) else 1


if __name__ == "__main__":
    sys.exit(main())
