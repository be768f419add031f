"""The page of the verdict says what was counted, and nothing else."""

from __future__ import annotations

import json

import pytest

from bench import counts
from bench.corpus.build import chosen, truths
from bench.judge import TIERS
from bench.peers import PEERS
from bench.publish import LAB, NUMBERS, PAGE, for_the_lab, page

TOLD = json.loads(NUMBERS.read_text(encoding="utf-8"))


def test_the_page_is_made_of_the_numbers() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(TOLD)
    assert json.loads(LAB.read_text(encoding="utf-8")) == for_the_lab(TOLD)


@pytest.mark.parametrize("tier", TIERS)
def test_every_trained_row_of_the_held_out_part_was_counted(tier: str) -> None:
    known, told = truths(), TOLD[tier]
    labels = [known[row.key].label for row in chosen("held-out") if row.key in known]
    assert told["part"] == "held-out"
    assert told["judged"] == len(labels) - labels.count("crashed")
    assert (told["failing"], told["training"]) == (labels.count("fails"), labels.count("trains"))
    for name, (hits, trials) in counts.SHARES.items():
        low, high = told["intervals"][name]
        assert told[trials] == 0 or low <= told[hits] / told[trials] <= high


def test_every_peer_was_asked_of_the_same_rows() -> None:
    told = TOLD["steptest"]
    assert set(told["peers"]) == set(PEERS)
    assert {one["judged"] for one in told["peers"].values()} == {told["judged"]}


def test_ours_finds_more_than_any_peer_that_raises_no_more_false_alarms() -> None:
    ours = TOLD["steptest"]
    for name, peer in ours["peers"].items():
        if peer["false_alarms"] <= ours["false_alarms"]:
            assert peer["found"] < ours["found"], name
