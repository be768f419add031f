"""Verdicts counted against what training did: ``python -m bench.detect --part PART [--tier TIER]``.

For the rows of a part of the split that have been trained: failing ones found (not called healthy) and missed, false
alarms ("will not train" though it trains), warnings on what trains, right causes and lines where a set-up was broken on
purpose, each with a 95 % Wilson interval, by family and by cause; a confusion table; the ten gravest mistakes; and the
peers on the same rows, by their own rules. What was judged before, by the same source, is not asked again.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from bench import counts
from bench.corpus import store
from bench.corpus.build import TRUTH, chosen, truths
from bench.corpus.row import Row
from bench.corpus.split import PARTS
from bench.corpus.train import Truth
from bench.judge import TIERS, VERDICTS, Judgement, judge, judge_all, known, revision
from bench.peers import PEERS, ask
from bench.peers import revision as peers_revision


def cases(
    rows: Iterable[Row], truth: dict[str, Truth], said: dict[tuple[str, str], Judgement], by: str
) -> list[counts.Case]:
    """Trained rows of which ``by`` has said something."""
    return [
        counts.Case(row, truth[row.key], said[row.key, by], row.twin in truth and truth[row.twin].label == "trains")
        for row in rows
        if (row.key, by) in said
    ]


def judgements(
    rows: list[Row], tier: str, peers: Iterable[str], *, cached: bool, path: Path
) -> dict[tuple[str, str], Judgement]:
    """What the tier and the peers say of the rows, by key and by whom."""
    now, theirs = revision(), peers_revision()
    judges = {tier: partial(judge, tier=tier, now=now), **{name: partial(ask, name=name, now=theirs) for name in peers}}
    revisions = {by: now if by in TIERS else theirs for by in judges}
    if cached:
        return known(path, revisions)
    return judge_all(rows, judges, revisions, path=path, say=lambda text: print(text, file=sys.stderr, flush=True))


def summary(
    rows: list[Row], truth: dict[str, Truth], *, part: str, tier: str, peers: Iterable[str], cached: bool, path: Path
) -> dict[str, Any]:
    """Everything that is shown, as data."""
    trained = [row for row in rows if row.key in truth and truth[row.key].label != "crashed"]
    said = judgements(trained, tier, peers, cached=cached, path=path)
    ours = cases(trained, truth, said, tier)
    others = {name: cases(trained, truth, said, name) for name in peers}
    return {
        "part": part,
        "tier": tier,
        "revision": revision(),
        "rows": len(rows),
        "trained": len(trained),
        "judged": len(ours),
        **counts.as_data(counts.count(ours)),
        "costs": counts.costs(ours),
        "confusion": counts.confusion(ours),
        "by_family": {name: counts.as_data(one) for name, one in counts.grouped(ours, "family").items()},
        "by_cause": {name: counts.as_data(one) for name, one in counts.grouped(ours, "cause").items()},
        "worst": [counts.explained(case) for case in counts.worst(ours)],
        "mistakes": counts.mistakes(ours),
        "peers": {
            name: {
                "reference": PEERS[name].reference,
                "cost": PEERS[name].cost,
                "judged": len(one),
                **counts.as_data(counts.count(one)),
            }
            for name, one in others.items()
        },
    }


def in_words(told: dict[str, Any]) -> str:
    """The summary as text."""
    lines = [
        f"{told['part']}, {told['tier']}: {told['judged']} of {told['rows']} rows judged ({told['trained']} trained), "
        f"revision {told['revision']}",
        "",
        *(_share(told, name) for name in counts.SHARES),
        f"between: {told['between']}; checks that raised: {told['crashed']}; {told['seconds']:.2f} s a verdict",
        "",
        _row("training did \\ said", *told["confusion"]["trains"]),
        *(_row(label, *row.values()) for label, row in told["confusion"].items()),
    ]
    for title, group in (("family", "by_family"), ("cause built in", "by_cause")):
        lines += ["", _row(title, "failing", "found", "training", "false", "warned", "cause", "line")]
        lines += [_row(name, *_figures(one)) for name, one in told[group].items()]
    if told["peers"]:
        lines += ["", _row("beside the peers", "failing", "found", "training", "false", "warned", "seconds", "")]
        for name, one in (("steadygrad " + told["tier"], told), *told["peers"].items()):
            lines.append(_row(name, *_figures(one)[:5], f"{one['seconds']:.2f}", ""))
        lines += [f"  {name}: {one['cost']}. {one['reference']}" for name, one in told["peers"].items()]
    lines += ["", "gravest mistakes", *(f"  {number}. {text}" for number, text in enumerate(told["worst"], 1))]
    return "\n".join(lines)


def _figures(one: dict[str, Any]) -> list[str]:
    right = [f"{one[f'{what}_right']}/{one[f'{what}_known']}" for what in ("cause", "line")]
    return [str(one[name]) for name in ("failing", "found", "training", "false_alarms", "warned")] + right


def _share(told: dict[str, Any], name: str) -> str:
    hits, trials = counts.SHARES[name]
    low, high = told["intervals"][name]
    first = f"{name.replace('_', ' '):14s} {told[hits]} of {told[trials]}"
    if not told[trials]:
        return first
    return f"{first:28s} {told[hits] / told[trials]:7.1%}  (95 %: {low:.1%} to {high:.1%})"


def _row(first: str, *rest: object) -> str:
    return f"{first:28s}" + "".join(f"{cell!s:>15s}" for cell in rest)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.detect", description=__doc__.partition("\n")[0])
    parser.add_argument("--part", choices=PARTS, required=True)
    parser.add_argument("--tier", choices=TIERS, default="steptest")
    parser.add_argument("--output-format", choices=("text", "json"), default="text")
    parser.add_argument("--peers", nargs="*", choices=sorted(PEERS), help="those to show; all when not given")
    parser.add_argument("--cached", action="store_true", help="count what was judged before; ask nobody")
    parser.add_argument("--truth", type=Path, default=TRUTH)
    parser.add_argument("--verdicts", type=Path, default=VERDICTS)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    peers = sorted(PEERS) if given.peers is None else given.peers
    try:
        told = summary(
            *(chosen(given.part), truths(given.truth)),
            part=given.part,
            tier=given.tier,
            peers=peers,
            cached=given.cached,
            path=given.verdicts,
        )
    except store.CorruptTableError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; what was judged is kept", file=sys.stderr)
        return 130
    print(json.dumps(told, indent=1, ensure_ascii=False) if given.output_format == "json" else in_words(told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
