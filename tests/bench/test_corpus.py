"""The truth table: what it spans, the law of its labels, its split, and a build that nothing breaks."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from torch import nn

from bench.corpus import law, store
from bench.corpus.build import TRUTH, build, chosen, main, truths
from bench.corpus.edges import Edge, edges
from bench.corpus.losses import LOSSES
from bench.corpus.make import make, sets, task_of
from bench.corpus.models.parts import ACTIVATIONS
from bench.corpus.objective import BATCHES, constant_loss
from bench.corpus.row import Row, options
from bench.corpus.rows import every
from bench.corpus.rows.bases import BASES, NEWER, base
from bench.corpus.split import PARTS, part_of
from bench.corpus.tasks import TASKS
from bench.corpus.train import Truth, train

ROWS = list(every().values())
STARTS = (*BASES, *NEWER)
GENERATED = [row for row in ROWS if row.model not in ("suite", "file")]


def spread(name: str) -> set[object]:
    """Values of a builder's parameter over all rows."""
    return {value for row in GENERATED for key, value in row.parameters if key == name}


def test_what_the_table_spans():
    assert len(GENERATED) >= 900
    assert {"sgd", "momentum", "adam", "adamw", "rmsprop", "adafactor"} <= {row.optimizer for row in GENERATED}
    rates = [row.rate for row in GENERATED]
    assert max(rates) / min(rates) >= 1e6
    assert {1, 512} <= {row.batch for row in GENERATED}
    assert {2, 1000} <= spread("depth") and max(spread("depth")) == 1000
    assert set(ACTIVATIONS) <= spread("activation") and len(ACTIVATIONS) >= 9
    assert {0.0, 1.0} <= {row.inputs for row in GENERATED}
    assert "bfloat16" in {row.dtype for row in GENERATED}
    assert {"mlp", "conv", "residual", "recurrent", "loop", "encoder", "decoder", "translator", "mixer"} | {
        "autoencoder", "gan", "vae", "graph", "deepset", "bag", "unet",
        "pinn", "siren", "triplet", "siamese", "contrast", "qnet", "sage", "gat", "tagger", "tabular", "experts",
        "squeeze", "inception", "vit", "tcn",
    } <= {row.model for row in GENERATED}  # fmt: skip


def test_every_initialiser_of_torch_is_there():
    of_torch = {name for name in vars(nn.init) if name.endswith("_") and not name.startswith("_")}
    assert of_torch == spread("init") - {"default"}


ONE_CHANGE = ({"flaw", "amount"}, {"last", "amount"}, {"init", "gain"}, {"skip", "place"}, {"case", "which"})
"""Parameters that say one thing together."""


def test_a_broken_row_is_one_change_away_from_its_twin():
    broken = [row for row in ROWS if row.twin]
    assert len(broken) >= 300
    for row in broken:
        twin = every()[row.twin]
        assert row.cause, row.name
        changed = [
            name
            for name in (
                "model",
                "task",
                "loss",
                "batch",
                "inputs",
                "dtype",
                "steps",
                "seed",
                "optimizer",
                "rate",
                "optimizer_options",
            )
            if getattr(row, name) != getattr(twin, name)
        ]
        told = {name for name, _ in dict(row.parameters).items() ^ dict(twin.parameters).items()}
        assert len(changed) + bool(told) == 1, row.name
        assert len(told) <= 1 or any(told <= together for together in ONE_CHANGE), row.name


def test_the_line_at_fault_stands_in_the_source():
    files = [*Path("bench/corpus/models").glob("*.py"), Path("bench/corpus/losses.py")]
    source = "".join(path.read_text() for path in files)
    assert [row.name for row in GENERATED if row.line and row.line not in source] == []


def test_no_family_stands_in_two_parts():
    parts = {part: chosen(part) for part in PARTS}
    families = [{row.family for row in rows} for rows in parts.values()]
    assert all(families) and sum(map(len, families)) == len(set.union(*families))
    keys = [{row.key for row in rows} for rows in parts.values()]
    assert sum(map(len, keys)) == len(set.union(*keys)) == len(ROWS)


@pytest.mark.parametrize("row", STARTS, ids=lambda row: row.family)
def test_the_split_follows_from_the_name_of_the_family_alone(row):
    number = int.from_bytes(hashlib.sha256(row.family.encode()).digest()[:1], "big")
    expected = "calibration" if number < 115 else "test" if number < 166 else "held-out"
    assert part_of(row.family) == part_of(row.but(rate=1.0, batch=7).family) == expected


def test_the_suite_on_which_the_rules_were_written_is_calibration():
    assert {part_of(row.family) for row in ROWS if row.model == "suite"} == {"calibration"}


@pytest.mark.parametrize(
    ("scores", "label"),
    [
        ((0.75, 0.9, 1.0), "trains"),
        ((0.74, 0.9, 1.0), "between"),
        ((0.25, 0.0, -1.0), "fails"),
        ((0.26, 0.0, 0.0), "between"),
        ((1.0, 1.0, 0.0), "between"),
    ],
)
def test_the_law_of_the_label(scores, label):
    assert law.label(scores) == label


def test_one_lucky_look_decides_nothing():
    assert law.settled([0.0, 0.0, 0.95, 0.0]) == 0.0
    assert not law.solved([0.95, 0.95]) and not law.solved([0.95, 0.2, 0.95]) and law.solved([0.0, 0.9, 0.9, 0.9])


class Constant(nn.Module):
    """Answers the same whatever it sees."""

    def __init__(self, answer: torch.Tensor):
        super().__init__()
        self.answer = answer

    def forward(self, x):
        return self.answer.expand(len(x), *self.answer.shape)


@pytest.mark.parametrize(
    "row",
    [row for row in STARTS if TASKS[row.task].metric == "accuracy" or TASKS[row.task].loss != "own"],
    ids=lambda r: r.family,
)
def test_an_answer_that_ignores_the_input_scores_nothing(row):
    data, task = sets(row), task_of(row)
    if task.metric == "accuracy":
        counted = data.held_y[data.held_y >= 0]
        answer = nn.functional.one_hot(counted.reshape(-1).mode().values, task.outputs).float()
        answer = answer.view(-1, *[1] * (data.held_y.ndim - 1)).expand(-1, *data.held_y.shape[1:])
    else:
        answer = data.held_y.mean(0)
    assert law.score(task, Constant(answer), data.held_x, data.held_y) == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("row", STARTS, ids=lambda row: row.family)
def test_what_is_held_out_is_not_trained_on(row):
    data = sets(row)
    if TASKS[row.task].whole:
        assert not ((data.y >= 0) & (data.held_y >= 0)).any()
        return
    made = make(row)
    batch = made.batches(3)
    x = batch if isinstance(batch, torch.Tensor) else batch[0]
    assert len(x) <= row.batch
    if x.is_floating_point() and x[0].numel() > 8:
        seen = {tuple(one.flatten().tolist()) for one in x}
        assert not seen & {tuple(one.flatten().tolist()) for one in data.held_x}


OWN_LOSS = [row for row in STARTS if (row.loss or TASKS[row.task].loss) == "own"]


@pytest.mark.parametrize("row", OWN_LOSS, ids=lambda row: row.family)
def test_a_model_with_its_own_loss_returns_it_while_it_trains_and_is_scored_in_evaluation(row):
    made, data = make(row), sets(row)
    assert made.loss_fn is None and made.model(made.batch)["loss"].requires_grad
    assert law.DIVERGED <= law.score(task_of(row), made.model, data.held_x, data.held_y) < law.TRAINS


@pytest.mark.parametrize(("task", "answer"), [("oscillator", "cos(4 t)"), ("heat", "exp(-0.1 pi^2 t) sin(pi x)")])
def test_the_exact_answer_leaves_nothing_of_an_equation(task, answer):
    class Exact(nn.Module):
        def forward(self, x):
            if answer.startswith("cos"):
                return torch.cos(4 * x)
            return torch.exp(-0.1 * torch.pi**2 * x[:, 1:]) * torch.sin(torch.pi * x[:, :1])

    made, data = make(base("pinn", task)), sets(base("pinn", task))
    before = float(made.model(made.batch)["loss"].detach())
    made.model.net = Exact()
    assert float(made.model(made.batch)["loss"].detach()) < 1e-9 < before
    assert law.score(task_of(base("pinn", task)), made.model, data.held_x, data.held_y) == pytest.approx(1.0)


def test_the_values_of_transitions_are_those_of_bellmans_equation():
    x, value = TASKS["transitions"].data()
    state, action, reward, onward = x.split([6, 3, 1, 6], 1)
    # Steps into one state are told apart from others by its features, which the noise blurs little.
    for step in range(0, 200, 20):
        there = (state - onward[step]).norm(dim=1) < 0.6
        assert value[step] == pytest.approx(float(reward[step] + 0.8 * value[there].max()), abs=1e-4)
    assert set(action.sum(1).tolist()) == {1.0}


def test_a_digit_of_a_held_out_triplet_is_in_none_that_is_trained_on():
    for task in ("triplets", "pairs"):
        data = sets(base({"triplets": "triplet", "pairs": "siamese"}[task], task))
        trained, held = ({tuple(one.tolist()) for one in x.flatten(0, 1)} for x in (data.x, data.held_x))
        assert not trained & held and len(held) > 100


def test_a_loss_of_a_mask_has_no_slope_and_a_perfect_mask_loses_nothing():
    target = torch.zeros(2, 4, 4, dtype=torch.long)
    target[:, 1:3, 1:3] = 1
    output = torch.randn(2, 2, 4, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    LOSSES["dice-of-mask"](output, target).backward()
    assert not output.grad.any()
    LOSSES["dice"](output, target).backward()
    assert output.grad.any()
    perfect = 50.0 * nn.functional.one_hot(target, 2).permute(0, 3, 1, 2).float()
    assert float(LOSSES["dice"](perfect, target)) == pytest.approx(0.0, abs=1e-6)


SMOKE = (base("mlp", "wine"), base("graph", "blocks"))


@pytest.mark.long
def test_smoke_rows_train_and_their_broken_likes_do_not():
    for row in SMOKE:
        assert train(row).label == "trains"
        assert train(row.broken("SG106", rate=1e-6)).label == "fails"


@pytest.mark.long
def test_a_training_is_repeated_to_the_digit():
    once, again = train(SMOKE[0]), train(SMOKE[0])
    assert (once.scores, once.steps) == (again.scores, again.steps)


def stand_in(row: Row) -> Truth:
    return Truth(row.key, row.name, row.family, "trains", *[(1.0, 1.0, 1.0)] * 3, (20, 20, 20), 0.1)


def interrupted_at(key: str):
    def work(row: Row) -> Truth:
        if row.key == key:
            raise KeyboardInterrupt
        return stand_in(row)

    return work


def test_an_interrupted_build_goes_on_where_it_stopped(tmp_path):
    path, rows = tmp_path / "truth.jsonl", chosen("test")[:6]
    with pytest.raises(KeyboardInterrupt):
        build(rows, path, work=interrupted_at(rows[3].key), say=lambda _: None)
    assert set(truths(path)) == {row.key for row in rows[:3]}
    assert build(rows, path, work=stand_in, say=lambda _: None) == 3
    assert build(rows, path, work=stand_in, say=lambda _: None) == 0
    assert [told["key"] for told in store.read(path)] == [row.key for row in rows]


def test_what_failed_under_the_law_before_is_trained_again(tmp_path):
    path, rows = tmp_path / "truth.jsonl", chosen("test")[:4]
    for row, told in zip(rows, ("trains", "fails", "between", "crashed"), strict=True):
        store.append(path, {**asdict(replace(stand_in(row), label=told, law=law.HELD_ALONE, held=(), learned=()))})
    assert truths(path)[rows[0].key].held == (1.0, 1.0, 1.0)
    assert build(rows, path, work=stand_in, say=lambda _: None) == 2
    assert [told["key"] for told in store.read(path)] == [row.key for row in rows]
    assert [told["law"] for told in store.read(path)] == [law.HELD_ALONE, law.REVISION, law.REVISION, law.HELD_ALONE]


@pytest.mark.parametrize(
    ("held", "learned", "learnable", "scores"),
    [
        ((0.1, 0.9), (), 1.0, (0.1, 0.9)),
        ((0.1, 0.9), (0.6, 0.3), 0.75, (0.8, 0.9)),
        ((-1.0, 0.1), (-1.0, -3.0), 1.0, (-1.0, 0.1)),
    ],
)
def test_a_score_is_the_greater_of_what_is_learned_and_what_holds(held, learned, learnable, scores):
    assert law.scores(held, learned, learnable) == scores


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (SMOKE[0], lambda y: torch.special.entr(torch.bincount(y) / len(y)).sum()),
        (base("mlp", "friedman"), lambda y: y.var(unbiased=False)),
    ],
)
def test_the_constant_answer_is_the_best_one(row, expected):
    made = make(row)
    y = torch.cat([made.batches(step)[1] for step in range(BATCHES)])
    assert constant_loss(made) == pytest.approx(float(expected(y)), rel=1e-3)


def test_a_set_up_that_raises_does_not_end_the_run(tmp_path):
    path = tmp_path / "truth.jsonl"
    rows = [Row("mlp", "wine", options(width=-3)), SMOKE[0]]
    assert build(rows, path, say=lambda _: None) == 2
    crashed, fine = truths(path).values()
    assert crashed.label == "crashed" and "negative" in crashed.error
    assert fine.label == "trains"


def dies(row: Row) -> Truth:
    if row.rate == 666.0:
        os._exit(1)
    return stand_in(row)


@pytest.mark.long
def test_a_set_up_that_takes_its_process_with_it_does_not_end_the_run(tmp_path):
    path = tmp_path / "truth.jsonl"
    rows = [SMOKE[0], SMOKE[0].but(rate=666.0), SMOKE[1]]
    assert build(rows, path, processes=2, work=dies, say=lambda _: None) == 3
    labels = {key: one.label for key, one in truths(path).items()}
    assert labels == {rows[0].key: "trains", rows[1].key: "crashed", rows[2].key: "trains"}


def test_a_corrupt_line_is_one_clear_sentence(tmp_path, capsys):
    path = tmp_path / "truth.jsonl"
    store.append(path, asdict(stand_in(SMOKE[0])))
    with path.open("a") as file:
        file.write('{"key": "half a li\n')
    assert main(["--smoke", "--output", str(path)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and f"{path}, line 2: not a row" in said and "delete the line" in said


def test_two_builds_of_one_table_do_not_run_side_by_side(tmp_path, capsys):
    path = tmp_path / "truth.jsonl"
    with store.alone(path):
        assert main(["--smoke", "--output", str(path)]) == 2
    assert capsys.readouterr().err == f"{path} is being built; wait until it is done, or give another --output\n"


def test_near_misses_are_neighbours_on_either_side_of_the_edge():
    deep = [SMOKE[0].but(parameters={"depth": depth}) for depth in (4, 8, 12, 16)]
    labels = ("trains", "trains", "fails", "between")
    known = {row.key: replace(stand_in(row), label=label) for row, label in zip(deep, labels, strict=True)}
    other = SMOKE[0].but(parameters={"depth": 12, "activation": "tanh"})
    assert edges([*deep, other], {**known, other.key: stand_in(other)}) == [Edge("depth", deep[1], deep[2])]


def test_an_unknown_family_is_one_clear_sentence(capsys):
    with pytest.raises(SystemExit):
        main(["--family", "mlp/digit"])
    assert "no rows of family 'mlp/digit'" in capsys.readouterr().err


def test_what_is_recorded_follows_the_law():
    recorded = truths()
    assert set(recorded) <= set(every())
    for one in recorded.values():
        assert one.label == "crashed" or one.label == law.label(one.scores), one.name
        assert one.name == every()[one.key].name
    assert len({json.loads(line)["key"] for line in TRUTH.read_text().splitlines()}) == len(
        TRUTH.read_text().splitlines()
    )
