"""Training before and after a cure: the losses of a plain loop bit for bit, the same data and seeds, no mark on the subject."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from steadygrad.clip import Clip, ClipBeforeStep
from steadygrad.cures.cured import Cured
from steadygrad.cures.evaluate import Options
from steadygrad.cures.plan import cure_subject
from steadygrad.errors import BatchError, SubjectError, UserCodeError
from steadygrad.proof import Proof, Stream, prove_subject, stream_for, train
from steadygrad.record import from_jsonable, to_jsonable
from steadygrad.record.proof import Arm, LayerUpdate, Run
from steadygrad.report.proof import render
from steadygrad.subject.subject import Subject, make_subject


class Net(nn.Module):
    def __init__(self, depth: int = 8, dropout: float = 0.0):
        super().__init__()
        self.fcs = nn.ModuleList(nn.Linear(8, 8) for _ in range(depth))
        self.norm = nn.BatchNorm1d(8)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        for fc in self.fcs:
            x = torch.sigmoid(fc(x))
        return self.head(self.dropout(self.norm(x)))


def data(count: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(count, 8, generator=torch.Generator().manual_seed(0))
    return x, x[:, :3].argmax(1)


def batches(count: int = 3) -> list[tuple[torch.Tensor, torch.Tensor]]:
    x, y = data(16 * count)
    return list(zip(x.split(16), y.split(16), strict=True))


def subject_of(seed: int, make=Net, optimizer=torch.optim.Adam, **options) -> Subject:
    torch.manual_seed(seed)
    model = make()
    return make_subject(
        model, data(), F.cross_entropy, optimizer=optimizer(model.parameters(), **{"lr": 1e-2, **options}), seed=seed
    )


OPTIMIZERS = {
    "sgd": (torch.optim.SGD, {"momentum": 0.9, "weight_decay": 1e-3}),
    "adam": (torch.optim.Adam, {}),
    "adamw-amsgrad": (torch.optim.AdamW, {"amsgrad": True}),
    "rmsprop": (torch.optim.RMSprop, {}),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_losses_are_those_of_a_plain_loop(name: str) -> None:
    kind, options = OPTIMIZERS[name]
    subject = subject_of(3, lambda: Net(dropout=0.3), kind, **options)
    model, optimizer = copy.deepcopy((subject.model, subject.optimizer))
    torch.manual_seed(3)
    losses = []
    for step in range(7):
        x, y = batches()[step % 3]
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        losses.append(float(loss.detach()))
        optimizer.step()
    run = train(subject, stream_for(subject, batches(), 7).at, 7, 3)
    assert run.losses == tuple(losses)
    model.eval()
    right = torch.cat([model(x).argmax(1) == y for x, y in batches()])
    assert run.accuracy is not None
    # Ten batches at most, as many as there were steps: 3 batches over 7 steps weigh 3, 2 and 2 times.
    share = torch.cat([right[:16].repeat(3), right[16:32].repeat(2), right[32:].repeat(2)]).float().mean()
    assert run.accuracy == pytest.approx(float(share))


def test_an_optimizer_that_looks_several_times_is_given_its_closure() -> None:
    options = {"optimizer": torch.optim.LBFGS, "lr": 0.5, "max_iter": 4}
    subject, twin = subject_of(0, **options), subject_of(0, **options)
    model, optimizer = twin.model, twin.optimizer
    x, y = data()
    losses = []

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        return float(loss.detach())

    for _ in range(3):
        losses.append(optimizer.step(closure))
    assert train(subject, stream_for(subject, None, 3).at, 3, 0).losses == tuple(losses)


def test_a_clip_registered_with_the_optimizer_is_in_the_training() -> None:
    clipped, free = subject_of(0, optimizer=torch.optim.SGD), subject_of(0, optimizer=torch.optim.SGD)
    clipped.optimizer.register_step_pre_hook(ClipBeforeStep(Clip.norm(1e-6)))
    runs = [train(one, stream_for(one, None, 5).at, 5, 0) for one in (clipped, free)]
    assert runs[0].losses[0] == runs[1].losses[0] and abs(runs[0].losses[4] - runs[0].losses[0]) < 1e-5
    assert abs(runs[1].losses[4] - runs[1].losses[0]) > 1e-3


def test_training_leaves_no_mark() -> None:
    subject = subject_of(0, lambda: Net(dropout=0.2))
    F.cross_entropy(subject.model(data()[0]), data()[1]).backward()
    subject.optimizer.step()
    before = copy.deepcopy((subject.model.state_dict(), subject.optimizer.state_dict()))
    gradients = [p.grad.clone() for p in subject.model.parameters()]
    random, x = torch.get_rng_state(), subject.batch[0].clone()
    train(subject, stream_for(subject, None, 5).at, 5, 1)
    assert torch.equal(torch.get_rng_state(), random) and torch.equal(subject.batch[0], x)
    assert all(torch.equal(p.grad, g) for p, g in zip(subject.model.parameters(), gradients, strict=True))
    assert all(torch.equal(value, before[0][key]) for key, value in subject.model.state_dict().items())
    assert str(subject.optimizer.state_dict()) == str(before[1])
    assert all(module.training for module in subject.model.modules())


@pytest.fixture(scope="module")
def cured() -> Cured:
    return cure_subject(subject_of(0), Options(only=("fold",)))


@pytest.fixture(scope="module")
def proof(cured: Cured) -> Proof:
    return prove_subject(subject_of, cured, steps=25, seeds=3, batches=batches())


@pytest.mark.long
def test_three_seeds_are_three_trainings_of_each_arm(proof: Proof) -> None:
    assert [run.seed for run in proof.before.runs] == [run.seed for run in proof.after.runs] == [0, 1, 2]
    for arm in (proof.before, proof.after):
        assert len({run.losses for run in arm.runs}) == 3 and all(len(run.losses) == 25 for run in arm.runs)
        assert arm.accuracy == sorted(run.accuracy for run in arm.runs)[1]
    assert proof.data == "3 batches in order, again from the start"
    assert proof.cure == "folded initialisation" and proof.proven and not proof.seeds_alike


@pytest.mark.long
def test_the_arm_before_is_the_subject_as_it_is_given(proof: Proof) -> None:
    for run in proof.before.runs:
        subject = subject_of(run.seed)
        assert train(subject, stream_for(subject, batches(), 25).at, 25, run.seed).losses == run.losses


@pytest.mark.long
def test_the_same_seeds_prove_the_same(cured: Cured, proof: Proof) -> None:
    assert prove_subject(subject_of, cured, steps=25, seeds=3, batches=batches()) == proof


def test_every_weight_has_its_first_update(proof: Proof) -> None:
    for arm in (proof.before, proof.after):
        names = [update.name for update in arm.runs[0].updates]
        assert names == [f"fcs.{i}.weight" for i in range(8)] + ["head.weight"]
        assert [update.ratio for update in arm.slowest(3)] == sorted(u.ratio for u in arm.runs[0].updates)[:3]


def test_the_cured_model_and_optimizer_stay_as_they_are(cured: Cured) -> None:
    before = copy.deepcopy((cured.model.state_dict(), cured.optimizer.state_dict()))
    prove_subject(subject_of, cured, steps=3, batches=batches())
    assert all(torch.equal(value, before[0][key]) for key, value in cured.model.state_dict().items())
    assert str(cured.optimizer.state_dict()) == str(before[1])


def test_without_batches_the_one_batch_is_said_to_be_it(cured: Cured) -> None:
    found = prove_subject(subject_of, cured, steps=2)
    assert found.data == "the one batch, (32, 8) float32, (32,) int64, again and again"


def test_seeds_that_make_no_difference_are_told(cured: Cured) -> None:
    found = prove_subject(lambda _: subject_of(0), cured, steps=2, seeds=2)
    assert found.seeds_alike and "sets its own seed" in render(found, width=80, color="never")


def test_nothing_taken_proves_nothing() -> None:
    def healthy(seed: int) -> Subject:
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 3))
        return make_subject(model, data(), F.cross_entropy, optimizer=torch.optim.Adam(model.parameters(), 1e-2))

    found = prove_subject(healthy, cure_subject(healthy(0)), steps=3)
    assert (found.cure, found.proven) == ("", False)
    assert found.before.runs == found.after.runs


def test_a_regression_has_no_accuracy() -> None:
    model = nn.Linear(8, 1)
    subject = make_subject(model, (data()[0], torch.randn(32, 1)), F.mse_loss)
    assert train(subject, stream_for(subject, None, 2).at, 2, 0).accuracy is None


def test_a_training_ends_at_a_loss_that_is_not_finite() -> None:
    subject = subject_of(0, lambda: nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 3)), torch.optim.SGD, lr=1e30)
    run = train(subject, stream_for(subject, None, 20).at, 20, 0)
    assert len(run.losses) < 20 and not math.isfinite(run.losses[-1])


def test_a_function_of_the_step_gives_both_arms_the_same() -> None:
    seen = []

    def drawn(step: int) -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.randn(8, 8)
        seen.append((step, x))
        return x, x[:, :3].argmax(1)

    subject = subject_of(0, lambda: Net(dropout=0.5))
    stream = stream_for(subject, drawn, 3)
    train(subject, stream.at, 3, 0), train(subject_of(1), stream.at, 3, 1)
    for step in range(3):
        first, *others = [x for at, x in seen if at == step]
        assert len(others) >= 2 and all(torch.equal(first, other) for other in others)


def test_batches_are_drawn_as_far_as_there_are_steps() -> None:
    def endless():
        while True:
            yield data()

    assert stream_for(subject_of(0), endless(), 4).words == "4 batches in order"


@pytest.mark.parametrize(
    ("given", "part"),
    [([], "empty"), (3, "are int"), ((data()), "batch 0 is Tensor"), ([data()[0]], "expected (x, y)")],
    ids=["empty", "a number", "one batch alone", "x alone"],
)
def test_batches_that_are_none(given, part: str) -> None:
    with pytest.raises(BatchError, match=part.replace("(", r"\(").replace(")", r"\)")):
        stream_for(subject_of(0), given, 3)


def test_what_batches_and_models_raise_is_their_own() -> None:
    def broken():
        yield data()
        raise KeyError("mine")

    with pytest.raises(UserCodeError) as told:
        stream_for(subject_of(0), broken(), 3)
    assert isinstance(told.value.__cause__, KeyError)
    wrong = Stream(lambda _: (torch.randn(4, 5), torch.zeros(4).long()), "wrong")
    with pytest.raises(UserCodeError, match="while it was trained") as told:
        train(subject_of(0), wrong.at, 3, 0)
    assert isinstance(told.value.__cause__, RuntimeError)


@pytest.mark.parametrize(("steps", "seeds"), [(0, 1), (1, 0), (-3, 1)])
def test_fewer_than_one(cured: Cured, steps: int, seeds: int) -> None:
    with pytest.raises(SubjectError, match="expected 1 or more"):
        prove_subject(subject_of, cured, steps=steps, seeds=seeds)


def arm(name: str, *losses: tuple[float, ...]) -> Arm:
    runs = tuple(Run(seed, row, None, (LayerUpdate("w", 0.1),)) for seed, row in enumerate(losses))
    return Arm(name, "SGD", runs)


def compared(before: Arm, after: Arm, cure: str = "a cure") -> Proof:
    return Proof(before, after, 2, 0.5, "data", cure, "words")


PROVEN = {
    "below in every run": ([(1.0, 0.9), (1.0, 0.8)], [(1.0, 0.2), (1.0, 0.3)], True),
    "runs overlap": ([(1.0, 0.9), (1.0, 0.25)], [(1.0, 0.2), (1.0, 0.3)], False),
    "before stops being finite": ([(1.0, math.inf)], [(1.0, 0.3)], True),
    "after stops being finite": ([(1.0, 0.9)], [(1.0, math.nan)], False),
    "one seed after stops being finite": ([(1.0, 0.9)] * 2, [(1.0, math.nan), (1.0, 0.1)], False),
    "after never fell": ([(1.0, 9.0)], [(1.0, 1.0)], False),
}


@pytest.mark.parametrize("name", PROVEN)
def test_when_a_cure_is_proven(name: str) -> None:
    before, after, proven = PROVEN[name]
    assert compared(arm("before", *before), arm("after", *after)).proven is proven
    assert not compared(arm("before", *before), arm("after", *after), cure="").proven


def test_steps_to_a_loss() -> None:
    one = arm("after", (1.0, 0.6, 0.4), (1.0, 0.5, 0.3), (1.0, 0.4, 0.3))
    assert [one.steps_to(loss) for loss in (1.0, 0.5, 0.3, 0.1)] == [0, 1, 2, None]
    assert one.last == 0.3


def test_a_proof_comes_back_from_its_json(proof: Proof) -> None:
    assert from_jsonable(Proof, to_jsonable(proof)) == proof
