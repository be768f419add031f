"""Counting verdicts against the truth; peers beside ours; adding a set-up."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest
from scipy.stats import binomtest

from bench import counts
from bench.corpus import from_file, store
from bench.corpus.build import chosen, truths
from bench.corpus.row import Row
from bench.corpus.rows.bases import base
from bench.corpus.train import Truth, train
from bench.detect import main
from bench.judge import Judgement, judge_all
from bench.peers import PEERS, ask
from bench.table import add

ROW = base("mlp", "wine")


def case(
    label: str, verdict: str, *, code: str = "SG101", row: Row = ROW, twin: bool = True, **said: Any
) -> counts.Case:
    score = {"trains": 1.0, "fails": 0.0, "between": 0.5}[label]
    truth = Truth(row.key, row.name, row.family, label, (score,) * 3)
    codes = () if verdict == "healthy" else (code,)
    return counts.Case(row, truth, Judgement(row.key, "steptest", "", verdict, codes, **said), twin)


BROKEN = ROW.broken("SG101", "SG105", line="x * self.amount", parameters={"flaw": "scaled"})


def test_counts():
    told = counts.count(
        [
            case("fails", "will not train"),
            case("fails", "at risk"),
            case("fails", "healthy"),
            case("fails", "crashed"),
            case("trains", "healthy"),
            case("trains", "at risk"),
            case("trains", "will not train"),
            case("between", "will not train"),
        ]
    )
    assert (told.failing, told.found, told.missed) == (4, 2, 2)
    assert (told.training, told.false_alarms, told.warned) == (3, 1, 2)
    assert (told.between, told.crashed, told.cause_known) == (1, 1, 0)


@pytest.mark.parametrize(
    ("code", "expression", "source", "cause", "line"),
    [
        ("SG105", "x * self.amount", "return x * self.amount", True, True),
        ("SG101", "self.act(norm(layer(x)))", "x = self.act(norm(layer(x)))", True, False),
        ("SG204", "", "", False, False),
    ],
)
def test_right_cause_and_right_line(code, expression, source, cause, line):
    one = case("fails", "will not train", code=code, row=BROKEN, expression=expression, source=source)
    assert (one.cause_known, one.cause_right, one.line_right) == (True, cause, line)
    unknown = case("fails", "will not train", code=code, row=BROKEN, twin=False, expression=expression, source=source)
    assert not (unknown.cause_known or unknown.cause_right or unknown.line_right)


@pytest.mark.parametrize(("hits", "trials"), [(0, 1), (3, 4), (50, 50), (7, 300)])
def test_intervals_are_wilsons(hits, trials):
    expected = binomtest(hits, trials).proportion_ci(method="wilson")
    assert counts.wilson(hits, trials) == pytest.approx((expected.low, expected.high), abs=1e-4)


def test_the_worst_are_false_alarms_then_misses_then_warnings():
    given = [
        case("trains", "at risk"),
        case("fails", "healthy"),
        case("trains", "will not train"),
        case("trains", "healthy"),
    ]
    found = counts.worst(given)
    assert found == [given[2], given[1], given[0]]
    assert "it trains (scores 1.00 1.00 1.00), said 'will not train': SG101" in counts.explained(found[0])
    silent = case("fails", "healthy", quantities={"spread of the output": 0.25})
    assert counts.explained(silent).endswith("it fails (scores 0.00 0.00 0.00), said 'healthy' on spread 0.25")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A truth table of two rows of the test part that cost little."""
    path = tmp_path_factory.mktemp("table") / "truth.jsonl"
    well = base("mlp", "cancer")
    for row in (
        well,
        next(row for row in chosen("test", well.family) if dict(row.parameters).get("flaw") == "shifted"),
    ):
        store.append(path, asdict(train(row)))
    return path


@pytest.mark.long
def test_detect_as_json_and_again_from_what_is_kept(table, capsys, monkeypatch):
    arguments = ["--part", "test", "--tier", "steptest", "--output-format", "json", "--peers", "anomaly-mode"]
    arguments += ["--truth", str(table), "--verdicts", str(table.with_name("verdicts.jsonl"))]
    assert main(arguments) == 0
    told = json.loads(capsys.readouterr().out)
    for key in ("failing", "found", "training", "false_alarms", "warned", "cause_right", "line_right", "between"):
        assert isinstance(told[key], int), key
    assert (told["failing"], told["training"], told["judged"], told["false_alarms"]) == (1, 1, 2, 0)
    assert told["peers"]["anomaly-mode"]["found"] == 0

    def asked_again(*_args: object, **_more: object) -> Judgement:
        raise AssertionError

    monkeypatch.setattr("bench.detect.judge", asked_again)
    monkeypatch.setattr("bench.detect.ask", asked_again)
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out) == told


@pytest.mark.long
def test_detect_as_text(table, capsys):
    verdicts = str(table.with_name("verdicts.jsonl"))
    assert main(["--part", "test", "--truth", str(table), "--verdicts", verdicts, "--peers", "total-norm"]) == 0
    said = capsys.readouterr().out
    assert "found" in said and "steadygrad steptest" in said and "total-norm" in said and "mlp/cancer" in said


def test_judgements_of_another_revision_are_dropped(tmp_path):
    path = tmp_path / "verdicts.jsonl"
    old, other = Judgement(ROW.key, "probe", "old", "healthy"), Judgement(ROW.key, "autotrainer", "old", "healthy")
    for one in (old, other):
        store.append(path, asdict(one))
    said = judge_all(
        [ROW], {"probe": lambda row: Judgement(row.key, "probe", "new", "at risk")}, {"probe": "new"}, path=path
    )
    assert said[ROW.key, "probe"].verdict == "at risk"
    assert [(told["by"], told["revision"]) for told in store.read(path)] == [("autotrainer", "old"), ("probe", "new")]


def test_there_are_seven_peers_each_with_its_reference_and_cost():
    assert len(PEERS) >= 7
    assert all(peer.reference and peer.cost for peer in PEERS.values())


NOT_A_NUMBER = ROW.but(parameters={"flaw": "logged"})
TOO_FAST = ROW.but(rate=10.0)
DEEP = ROW.but(parameters={"depth": 30, "activation": "sigmoid"}, optimizer="sgd", rate=0.01)


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_raises_an_alarm_where_its_rule_must(name):
    row = {"lr-finder": TOO_FAST, "first-last-ratio": DEEP}.get(name, NOT_A_NUMBER)
    said = ask(row, name, "")
    assert said.verdict == "will not train" and said.message, said


@pytest.mark.parametrize("name", ["autotrainer", "fixed-thresholds", "total-norm", "first-last-ratio", "anomaly-mode"])
def test_a_peer_is_silent_where_its_rule_must_be(name):
    assert ask(ROW, name, "").verdict == "healthy"


SETUP = """
import torch
from torch import nn

STEPS = 200


def setup():
    x = torch.randn(300, 4, generator=torch.Generator().manual_seed(1))
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
    return model, (x, (x[:, 0] > 0).long()), nn.functional.cross_entropy, torch.optim.Adam(model.parameters(), {rate})
"""


@pytest.mark.parametrize(("rate", "label"), [(0.01, "trains"), (1e-8, "fails")])
def test_a_set_up_of_ones_own_is_trained_recorded_and_judged(tmp_path, monkeypatch, rate, label):
    monkeypatch.setattr(from_file, "ADDED", tmp_path / "added")
    path = tmp_path / "my_setup.py"
    path.write_text(SETUP.replace("{rate}", str(rate)))
    truth = tmp_path / "truth.jsonl"
    said = add(path, truth=truth)
    assert f"): {label}; held-out scores" in said and "verdict: " in said
    assert [one.label for one in truths(truth).values()] == [label]
    assert add(path, truth=truth) == said
    assert len(store.read(truth)) == 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("x = 1\n", "has no setup()"),
        ("def setup():\n    return 1\n", "returns no"),
        ("def setup():\n    1 / 0\n", "division by zero"),
    ],
)
def test_a_file_that_is_no_set_up_is_told_so_and_not_kept(tmp_path, monkeypatch, text, complaint):
    monkeypatch.setattr(from_file, "ADDED", tmp_path / "added")
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(from_file.SetupFileError) as error:
        add(path, truth=tmp_path / "truth.jsonl")
    assert complaint in str(error.value)
    assert not list((tmp_path / "added").glob("*.py"))
