"""Count the held-out part for the docs: ``python -m bench.publish``.

Every tier and every peer on the rows of the truth table that nothing was fitted or chosen on. Writes the numbers, with the
revision of the source that made them, to ``bench/held-out.json``; from those alone ``docs/measured-verdict.md``, and the
counts that the lab's experiment on the verdict tells.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import torch

from bench import counts
from bench.corpus.build import chosen, truths
from bench.detect import summary
from bench.judge import TIERS, VERDICTS
from bench.peers import PEERS

NUMBERS = Path(__file__).parent / "held-out.json"
PAGE = Path(__file__).parents[1] / "docs" / "measured-verdict.md"

LAB = Path(__file__).parents[1] / "src" / "steadygrad" / "lab" / "held_out.json"
COUNTED = ("failing", "found", "training", "false_alarms")

SAID = {
    "probe": "probe (one pass)",
    "steptest": "step test (default)",
    "trial": f"trial ({TIERS['trial']} steps)",
}


COSTS = {"all": "all", "trains": "those that train", "fails": "those that fail", "between": "those between"}


def main() -> int:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    rows, truth = chosen("held-out"), truths()
    told = {
        tier: summary(
            rows,
            truth,
            part="held-out",
            tier=tier,
            peers=sorted(PEERS) if tier == "steptest" else (),
            cached=False,
            path=VERDICTS,
        )
        for tier in TIERS
    }
    NUMBERS.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(page(told), encoding="utf-8")
    LAB.write_text(json.dumps(for_the_lab(told), indent=1) + "\n", encoding="utf-8")
    return 0


def page(told: dict[str, dict[str, Any]]) -> str:
    """The page of the docs, in Markdown."""
    default = told["steptest"]
    return "\n".join(
        [
            "# How often the verdict is right, measured",
            "",
            f"`python -m bench.publish` wrote this page, at revision `{default['revision']}` of what makes the verdict. It "
            f"counts verdicts on the held-out part of the truth table: {default['judged']} set-ups that were trained three times "
            "each, of families (kind of architecture × task) on which no threshold was fitted and nothing was chosen. "
            "Each is checked with the batches that it is trained on, a fresh one for every step. "
            '*Found*: a set-up that fails, not called healthy. *False*: one that trains, called "will not train". *Warned*: '
            "one that trains, called anything but healthy. *Cause* and *line*: right, of those found that were broken on "
            "purpose, one change away from a twin that trains. Shares stand with their 95 % intervals (Wilson).",
            "",
            "| | found | false | warned | cause | line | seconds |",
            "|---|---:|---:|---:|---:|---:|---:|",
            *(_tier(SAID[tier], one) for tier, one in told.items()),
            "",
            "## What it costs",
            "",
            "Wall-clock time of a whole check by the step test ÷ that of one plain step (forward, backward, optimizer) of the "
            "same set-up, on batches of 32 and nets so small that a step takes a millisecond or so: most of it is what a check "
            "costs on any net.",
            "",
            "| | rows | median | 95 of 100 are below |",
            "|---|---:|---:|---:|",
            *(
                f"| {COSTS[label]} | {one['rows']} | {one['median']:g} | {one['95 of 100']:g} |"
                for label, one in default["costs"].items()
            ),
            "",
            "## Beside others' rules",
            "",
            'The same rows, by the rules that others publish, each as documented; an alarm counts as "will not train".',
            "",
            "| | found | false | seconds |",
            "|---|---:|---:|---:|",
            *(_peer(f"steadygrad, {SAID[tier]}", one) for tier, one in told.items()),
            *(_peer(name, one) for name, one in default["peers"].items()),
            "",
            *_lead(default),
            "",
            *(f"- {name}: {one['cost']}. {one['reference']}" for name, one in default["peers"].items()),
            "",
            "## By family",
            "",
            *_groups(default["by_family"]),
            "",
            "## By what was broken",
            "",
            *_groups(default["by_cause"]),
            "",
            "## Every mistake",
            "",
            "Of the step test, the gravest of its kind first. A score is the held-out result of one of three trainings, between "
            "the best constant answer (0) and the best known (1); -1 where the loss stopped being finite.",
            "",
            *_mistakes(default["mistakes"]),
        ]
    )


def for_the_lab(told: dict[str, dict[str, Any]]) -> dict[str, dict[str, int]]:
    """What the package carries of the counts, by tier."""
    return {tier: {name: one[name] for name in COUNTED} for tier, one in told.items()}


def _share(one: dict[str, Any], name: str) -> str:
    hits, trials = (one[key] for key in counts.SHARES[name])
    if not trials:
        return "–"
    low, high = one["intervals"][name]
    return f"{hits} of {trials}, {hits / trials:.1%} ({low:.0%} to {high:.0%})"


def _tier(name: str, one: dict[str, Any]) -> str:
    shares = (_share(one, share) for share in ("found", "false_alarms", "warned", "cause_right", "line_right"))
    return f"| {name} | {' | '.join(shares)} | {one['seconds']:.2f} |"


def _peer(name: str, one: dict[str, Any]) -> str:
    return f"| {name} | {_share(one, 'found')} | {_share(one, 'false_alarms')} | {one['seconds']:.2f} |"


def _lead(default: dict[str, Any]) -> list[str]:
    """Which peers find as much or more, and at what price in false alarms."""
    more = {name: one for name, one in default["peers"].items() if one["found"] >= default["found"]}
    fewer = [name for name, one in default["peers"].items() if one["false_alarms"] < default["false_alarms"]]
    first = (
        "No peer finds as many."
        if not more
        else "As many or more are found by "
        + ", ".join(f"{name} (with {one['false_alarms']} false alarms)" for name, one in more.items())
        + "."
    )
    second = f"Fewer false alarms are raised by {', '.join(fewer)}." if fewer else "None raises fewer false alarms."
    return [f"{first} {second}"]


def _mistakes(found: dict[str, list[str]]) -> list[str]:
    return [
        line
        for kind, texts in found.items()
        for line in (f"**{kind.capitalize()}: {len(texts)}**", "", *(f"- {text}" for text in texts), "")
    ]


def _groups(groups: dict[str, dict[str, Any]]) -> list[str]:
    rows = [
        f"| {name} | {one['found']} of {one['failing']} | {one['false_alarms']} of {one['training']} | "
        f"{one['warned']} of {one['training']} |"
        for name, one in groups.items()
    ]
    return ["| | found | false | warned |", "|---|---:|---:|---:|", *rows]


if __name__ == "__main__":
    sys.exit(main())
