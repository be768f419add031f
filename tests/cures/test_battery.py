"""Every cure on every kind of model: the original is untouched, the result is whole, old checkpoints load."""

from __future__ import annotations

import contextlib
import functools
import inspect
import io
import itertools
import pickle
from copy import deepcopy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import steadygrad as sg
from steadygrad import cures
from steadygrad._check import check_subject
from steadygrad.cures.cured import Cured
from steadygrad.cures.editable_copy import EditableCopy, editable_copy_of
from steadygrad.cures.evaluate import treat
from steadygrad.errors import CannotCureError
from steadygrad.record import Candidate, CheckRecord, Tried
from steadygrad.subject.subject import Subject, make_subject
from tests.cures.kinds import KINDS, Functional, Kind
from tests.families import always


def subject_of(kind: Kind) -> Subject:
    torch.manual_seed(0)
    model = kind.make()
    x, y = kind.batch()
    dtype = next(model.parameters()).dtype
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    return make_subject(model, (x.to(dtype), y), F.cross_entropy, optimizer=optimizer)


@functools.cache
def checked(kind: Kind) -> tuple[Subject, CheckRecord]:
    """A subject and its report, once for all tests, which leave it as it was."""
    subject = subject_of(kind)
    return subject, check_subject(subject, trial=10)


def candidates(subject: Subject, report: Any) -> list[Candidate]:
    copy = editable_copy_of(subject, report.trace)
    return [candidate for cure in cures.load() for candidate in cure.module.propose(copy, report)]


def snapshot(subject: Subject) -> tuple[Any, ...]:
    model = subject.model
    return (
        {name: value.clone() for name, value in model.state_dict().items()},
        [(module, module.training, sorted(vars(module))) for module in model.modules()],
        [parameter.grad for parameter in model.parameters()],
        deepcopy(subject.optimizer.state_dict()),
        torch.get_rng_state(),
    )


def same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return (
        one[0].keys() == other[0].keys()
        and all(torch.equal(one[0][key], other[0][key]) for key in one[0])
        and one[1] == other[1]
        and one[2] == other[2]
        and str(one[3]) == str(other[3])
        and torch.equal(one[4], other[4])
    )


def scripts(model: nn.Module) -> bool:
    try:
        torch.jit.script(model)
    except Exception:
        return False
    return True


def exports(model: nn.Module, x: torch.Tensor) -> bool:
    try:
        torch.export.export(model, (x,))
    except Exception:
        return False
    return True


def pickles(model: nn.Module) -> bool:
    """Parametrised modules (weight norm) say that they do not."""
    try:
        pickle.dumps(model)
    except RuntimeError:
        return False
    return True


def whole(copy: EditableCopy, subject: Subject) -> None:
    """The treated model runs, copies, pickles, keeps signature, dtype, device and mode, and its optimizer holds it."""
    model, original = copy.model, deepcopy(subject.model)
    x = subject.batch[0]
    assert list(inspect.signature(model.forward).parameters) == list(inspect.signature(original.forward).parameters)
    assert model.training == original.training
    assert {p.dtype for p in model.parameters()} == {p.dtype for p in original.parameters()}
    assert {p.device for p in model.parameters()} == {p.device for p in original.parameters()}
    torch.manual_seed(0)
    output = model(x)
    assert output.shape == original(x).shape
    assert output.dtype == original(x).dtype
    twins = [deepcopy(model)]
    if pickles(original):
        twins.append(pickle.loads(pickle.dumps(model)))  # noqa: S301
    for twin in twins:
        twin.load_state_dict(model.state_dict())
        twin.eval(), model.eval()
        assert torch.equal(twin(x), model(x))
        model.train(original.training)
    held = {id(p) for group in copy.optimizer.param_groups for p in group["params"]}
    assert held == {id(p) for p in model.parameters() if p.requires_grad}
    copy.optimizer.zero_grad()
    F.cross_entropy(model(x), subject.batch[1]).backward()
    copy.optimizer.step()


@pytest.mark.long
@pytest.mark.parametrize("kind", always(KINDS, "LSTM", "residual", name=lambda kind: kind.name))
def test_every_cure_leaves_the_original_and_a_whole_result(kind: Kind) -> None:
    subject, report = checked(kind)
    before = snapshot(subject)
    applied = []
    for candidate in candidates(subject, report):
        copy = editable_copy_of(subject, report.trace)
        try:
            changes = treat(copy, candidate.edits)
        except CannotCureError:
            assert same(before, snapshot(subject)), candidate.name
            continue
        applied.append(candidate.name)
        assert same(before, snapshot(subject)), candidate.name
        state = {name: value.clone() for name, value in subject.model.state_dict().items()}
        tried = Tried(candidate, None, None, None, None, None, None, tuple(changes), taken=True)
        cured = Cured((tried,), report, report, "", 0, 0.0, model=copy.model, optimizer=copy.optimizer)
        new = copy.model.state_dict()
        assert set(new) - set(state) <= {key for change in changes for key in change.added}, candidate.name
        copy.model.load_state_dict(cured.translate(state))
        whole(copy, subject)
        torch.set_rng_state(before[4])  # The lines above drew numbers of their own.
        assert same(before, snapshot(subject)), candidate.name
    assert len(applied) >= 2, applied


SCRIPTED = [
    kind for kind in KINDS if kind.name in ("functional", "Sequential", "blocks", "widths that change", "residual")
]


@pytest.mark.long
@pytest.mark.parametrize("kind", always(SCRIPTED, "residual", name=lambda kind: kind.name))
def test_what_scripted_or_exported_still_does(kind: Kind) -> None:
    subject, report = checked(kind)
    scripted, exported = scripts(subject.model), exports(subject.model, subject.batch[0])
    assert scripted or exported
    for candidate in candidates(subject, report):
        copy = editable_copy_of(subject, report.trace)
        try:
            treat(copy, candidate.edits)
        except CannotCureError:
            continue
        assert scripts(copy.model) or not scripted, candidate.name
        assert exports(copy.model, subject.batch[0]) or not exported, candidate.name


@pytest.mark.long
@given(
    st.integers(3, 9),
    st.integers(4, 24),
    st.integers(16, 40),
    st.sampled_from(["relu", "batch-norm-before", "residual-span-1"]),
)
@settings(max_examples=12, deadline=None)
def test_any_shape(depth: int, width: int, rows: int, name: str) -> None:
    torch.manual_seed(depth)
    model = nn.Sequential(
        *[m for _ in range(depth) for m in (nn.Linear(width, width), nn.Sigmoid())], nn.Linear(width, 3)
    )
    state = {key: value.clone() for key, value in model.state_dict().items()}
    batch = torch.randn(rows, width), torch.randint(0, 3, (rows,))
    subject = make_subject(model, batch, F.cross_entropy)
    report = check_subject(subject, trial=0)
    copy = editable_copy_of(subject, report.trace)
    candidate = next(c for c in candidates(subject, report) if c.name == name)
    treat(copy, candidate.edits)
    assert copy.model(batch[0]).shape == (rows, 3)
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())


@pytest.mark.long
def test_an_error_of_the_models_own_leaves_no_mark() -> None:
    calls = itertools.count()  # What a check cannot put back.

    class Failing(Functional):
        def forward(self, x):
            if next(calls) > 40:
                raise ValueError("tired")
            return super().forward(x)

    torch.manual_seed(0)
    model = Failing()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    batch = torch.randn(24, 16), torch.randint(0, 4, (24,))
    with contextlib.suppress(ValueError, sg.SteadygradError):
        sg.cure(model, batch, F.cross_entropy)
    assert next(calls) > 40
    with pytest.raises(ValueError, match="tired"):
        sg.cure(model, batch, F.cross_entropy)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.long
def test_saved_and_loaded_weights_only() -> None:
    torch.manual_seed(0)
    model = Functional(20)
    batch = torch.randn(32, 16), torch.randint(0, 4, (32,))
    cured = sg.cure(model, batch, F.cross_entropy, only="batch-norm-before")
    buffer = io.BytesIO()
    torch.save(cured.model.state_dict(), buffer)
    buffer.seek(0)
    cured.model.load_state_dict(torch.load(buffer, weights_only=True))
