"""``steadygrad cure``, ``lr`` and ``prove`` as a user types them: prints, exit codes, JSON, pictures, no mark on disk."""

from __future__ import annotations

import io
import json
import re
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from steadygrad.cli import main
from steadygrad.record import CureRecord, from_jsonable
from steadygrad.record.proof import ProofRecord
from steadygrad.record.rates import RateSearchRecord
from tests.cli.nets import SICK, setup
from tests.families import always


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def run(*arguments: str) -> Done:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(list(arguments))
    return Done(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("net") / "net.py"
    path.write_text(SICK)
    return path


@pytest.fixture(scope="module")
def cured(net: Path) -> Done:
    return run("cure", str(net), "--only", "fold,relu", "--output-format", "json")


@pytest.fixture(scope="module")
def proof(net: Path) -> Done:
    options = ["--batches", f"{net}:batches", "--steps", "30", "--seeds", "3", "--only", "fold"]
    pictures = ["--plot", str(net.parent / "curves.png"), "--output-format", "json"]
    return run("prove", str(net), *options, *pictures)


def without(body: Any, *names: str) -> Any:
    """The JSON value without these keys, at any depth."""
    if isinstance(body, dict):
        return {key: without(value, *names) for key, value in body.items() if key not in names}
    return [without(value, *names) for value in body] if isinstance(body, list) else body


def test_cure_prints_what_was_tried_and_the_change(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = run("cure", str(net), "--only", "fold")
    assert (done.code, done.err) == (0, "")
    head, first = done.out.splitlines()[:2]
    assert re.split(r"  +", head) == ["tried", "verdict", "decades", "spread", "10 steps", "changes"]
    assert first.startswith("folded") and "healthy" in first and "numbers only" in first
    assert "taken: folded initialisation, the least intrusive that heals" in done.out
    assert "verdict    will not train → healthy" in done.out
    # However long the folder's name, and so wherever the line was broken.
    assert f"{net}:9:34nn.Linear(8,8)" in "".join(done.out.split())
    assert all(len(line) <= 80 and line == line.rstrip() for line in done.out.splitlines())


@pytest.mark.long
def test_cure_as_json_is_the_record(cured: Done) -> None:
    body = cured.json
    record = from_jsonable(CureRecord, body)
    assert (body["version"], body["taken"]) == (1, "folded-initialisation")
    assert record.taken is not None and record.taken.candidate.name == body["taken"]
    assert [change["words"] for change in body["changes"]] == [change.words for change in record.changes]
    assert record.before.verdict.value == "will not train" and record.after.verdict.value == "healthy"
    assert [finding["code"] for finding in body["before"]["findings"]][:1] == ["SG102"]


@pytest.mark.long  # Said of the function itself in tests/cures.
def test_the_same_seed_gives_the_same_plan(net: Path, cured: Done) -> None:
    again = run("cure", str(net), "--only", "fold,relu", "--output-format", "json")
    timed = ("seconds", "cost")
    assert without(again.json, *timed) == without(cured.json, *timed)


@pytest.mark.long
def test_only_takes_the_least_intrusive_of_those_named(cured: Done) -> None:
    assert cured.json["tried"][0]["candidate"]["name"] == "folded-initialisation"
    assert {one["candidate"]["name"] for one in cured.json["tried"]} <= {"folded-initialisation", "relu"}


@pytest.mark.long
def test_what_does_not_cure_exits_with_one(net: Path) -> None:
    done = run("cure", str(net), "--only", "clip-norm", "--output-format", "json")
    assert done.code == 1 and done.json["taken"] is None and done.json["before"] == done.json["after"]
    assert done.json["words"].startswith("not cured: the best seen was gradient norm clipped at 1")


def test_a_cure_that_has_no_place_in_the_model_is_no_error(net: Path) -> None:
    done = run("cure", str(net), "--only", "pre-norm")
    assert done.code == 1 and "no cure fits this model within the options given" in done.out


def test_a_healthy_model_needs_none(tmp_path: Path) -> None:
    (tmp_path / "well.py").write_text(setup("nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4))"))
    done = run("cure", str(tmp_path / "well.py"))
    assert done.code == 0 and done.out.startswith("nothing to cure: the model is healthy as set up")


def test_a_spent_budget_is_told(net: Path) -> None:
    done = run("cure", str(net), "--budget", "1e-9s", "--output-format", "json")
    assert done.code == 1 and done.json["tried"] == []
    assert "the budget ended before the first try" in done.json["words"]


def test_keep_rules_groups_out(net: Path) -> None:
    done = run("cure", str(net), "--keep", "numbers,activation,architecture,optimizer", "--output-format", "json")
    assert done.code == 1 and done.json["tried"] == []


def test_lr_prints_each_rate_and_the_chosen_one(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = run("lr", str(net), "--steps", "12")
    assert (done.code, done.err) == (0, "")
    rows = done.out.splitlines()
    assert rows[0].split() == ["rate", "first", "loss", "last", "loss", "fall"]
    assert re.match(r"learning rate \S+: smallest rate that reaches 85", rows[-1])
    assert all(len(row) <= 80 for row in rows)


def test_lr_as_json_is_the_record(net: Path) -> None:
    done = run("lr", str(net), "--steps", "12", "--output-format", "json")
    found = from_jsonable(RateSearchRecord, done.json)
    assert found.rate in [one.rate for one in found.tried]
    assert [one["rate"] for one in done.json["tried"]] == sorted(one["rate"] for one in done.json["tried"])
    assert (
        from_jsonable(RateSearchRecord, run("lr", str(net), "--steps", "12", "--output-format", "json").json) == found
    )


def test_lr_without_a_rate_exits_with_one(tmp_path: Path) -> None:
    (tmp_path / "flat.py").write_text(setup(loss="lambda output, y: 0 * output.sum() + 1"))
    done = run("lr", str(tmp_path / "flat.py"), "--steps", "3")
    assert done.code == 1 and "makes the loss fall in 3 steps" in done.out


@pytest.mark.long
def test_prove_as_json_is_the_record(proof: Done) -> None:
    body = proof.json
    record = from_jsonable(ProofRecord, body)
    assert (proof.code, body["proven"], record.proven) == (0, True, True)
    assert [run["seed"] for run in body["after"]["runs"]] == [0, 1, 2]
    assert all(len(run["losses"]) == 30 for arm in ("before", "after") for run in body[arm]["runs"])
    assert body["before"]["steps_to_target"] is None and 0 < body["after"]["steps_to_target"] < 30
    assert body["after"]["accuracy"] > 0.8 > 0.5 > body["before"]["accuracy"]
    assert body["data"] == "3 batches in order, again from the start"
    names = [update["name"] for update in body["after"]["runs"][0]["updates"]]
    assert names == [*(f"fcs.{i}.weight" for i in range(12)), "head.weight"]


@pytest.mark.long
def test_prove_draws_a_png(net: Path, proof: Done) -> None:
    from matplotlib import image

    assert proof.code == 0
    drawn = image.imread(net.parent / "curves.png")
    assert drawn.shape[:2] == (600, 1050)
    red, green, blue = (drawn[..., channel] for channel in range(3))
    assert ((red > 0.7) & (green < 0.3)).sum() > 300 and ((green > 0.5) & (red < 0.3) & (blue < 0.3)).sum() > 300


@pytest.mark.long
def test_prove_draws_svg_and_prints_curves_and_table(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    svg = net.parent / "curves.svg"
    done = run("prove", str(net), "--steps", "20", "--only", "fold", "--plot", str(svg))
    assert done.code == 0
    assert ElementTree.parse(svg).getroot().tag.endswith("svg")
    assert done.err == f"drawn into {svg}\n"
    assert "before" in done.out and "(loss)" in done.out and "> (step)" in done.out
    for row in ("optimizer", "loss, first", "loss after 20 steps", "steps to a loss of", "accuracy", "smallest update"):
        assert any(line.startswith(row) for line in done.out.splitlines()), row
    told = " ".join(done.out.splitlines()[-3:])
    assert "proven: folded initialisation · 20 steps · 1 seed · data: the one batch, (48, 8) float32" in told
    assert all(len(line) <= 80 and line == line.rstrip() for line in done.out.splitlines())


@pytest.mark.long
def test_prove_says_where_seeds_make_no_difference(tmp_path: Path) -> None:
    path = tmp_path / "seeded.py"
    path.write_text(SICK.replace("    model = Net()", "    torch.manual_seed(0)\n    model = Net()"))
    done = run("prove", str(path), "--steps", "5", "--seeds", "2", "--only", "clip-norm")
    assert "before, the 2 seeds gave one and the same training: the target sets its own seed" in " ".join(
        done.out.split()
    )


@pytest.mark.long
def test_curves_need_plotille_and_say_so(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plotille", None)
    done = run("prove", str(net), "--steps", "2", "--only", "clip-norm")
    assert "pip install 'steadygrad[plot]' draws the curves here" in done.out
    assert done.code == 1 and "not proven: nothing was taken" in done.out


KINDS = {
    "control flow on numbers": setup(
        before="class Branching(Net):\n    def forward(self, x):\n"
        "        return super().forward(x) if x.sum() < 1e9 else x[:, :4]",
        model="Branching()",
    ),
    "shapes that depend on data": setup(
        before="class Picking(Net):\n    def forward(self, x):\n        kept = x[x[:, 0] > -1e9]\n"
        "        return super().forward(kept)",
        model="Picking()",
    ),
    "whole numbers in": setup(
        model="nn.Sequential(nn.Embedding(9, 8), nn.Flatten(), nn.Linear(24, 4))",
        batch="(torch.arange(48).reshape(16, 3) % 9, torch.arange(16) % 4)",
    ),
    "an optimizer with a closure": setup(optimizer="torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=3)"),
    "some layers frozen": setup(before="class Half(Net):\n    pass", model="Half().requires_grad_(True)").replace(
        "    return model", "    model.fcs[0].requires_grad_(False)\n    return model"
    ),
    "a batch of NaN": setup(batch="(torch.full((16, 8), float('nan')), torch.arange(16) % 4)"),
    "one sample": setup(batch="data(1)"),
    "bfloat16": setup(model="Net().bfloat16()", batch="(data(48)[0].bfloat16(), data(48)[1])"),
}


@pytest.mark.long
@pytest.mark.parametrize("name", always(KINDS, "whole numbers in", "one sample"))
def test_every_kind_of_model_gets_an_answer(name: str, tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text(KINDS[name])
    for command in (
        ["cure", "--only", "fold"],
        ["lr", "--steps", "3"],
        ["prove", "--only", "clip-norm", "--steps", "3"],
    ):
        done = run(command[0], str(path), *command[1:])
        assert done.code in (0, 1) and done.err == "" and done.out, (command, done)
    assert path.read_text() == KINDS[name]


@pytest.mark.long
def test_nothing_is_written(net: Path, cured: Done, proof: Done) -> None:
    assert net.read_text() == SICK
    names = {path.name for path in net.parent.iterdir()} - {"__pycache__"}
    assert names <= {"net.py", "curves.png", "curves.svg"}


def test_cures_lists_every_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    from steadygrad import cures

    monkeypatch.setenv("COLUMNS", "80")
    done = run("cures")
    assert [line.split()[0] for line in done.out.splitlines() if line[:1] != " "] == [c.name for c in cures.load()]
    assert all(len(line) <= 80 for line in done.out.splitlines())
    rows = run("cures", "--output-format", "json").json
    assert [(row["name"], row["group"], row["safety"]) for row in rows] == [
        (cure.name, cure.group, cure.safety) for cure in cures.load()
    ]
    assert run("cures", "--output-format", "markdown").out.count("\n") == len(rows) + 2


def test_help_tells_the_exit_codes() -> None:
    for command in ("cure", "lr", "prove"):
        assert "Exit code: 0" in run(command, "--help").out
