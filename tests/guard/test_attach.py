"""Attaching, detaching, saving: a guard is as good as not there for whoever copies, pickles or saves the model."""

from __future__ import annotations

import copy
import gc
import io
import math
import pickle
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import steadygrad
from steadygrad import journal
from steadygrad._guard.attach import guard_of
from steadygrad.act import snapshot
from tests.guard.runs import Net, batch


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(24, 16), nn.Tanh(), nn.Dropout(0.2), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 5))


def train(model: nn.Module, optimizer: torch.optim.Optimizer, first: int, last: int) -> list[float]:
    losses = []
    for step in range(first, last):
        x, _, y = batch(step)
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def watched(**options: Any) -> tuple[nn.Module, torch.optim.Optimizer, steadygrad.Guard, list[str]]:
    said: list[str] = []
    model = net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    guard = steadygrad.guard(model, optimizer, say=said.append, **({"every": 1, "probe_every": 0} | options))
    return model, optimizer, guard, said


@pytest.mark.parametrize("every", [1, 2])
def test_a_second_guard_takes_the_place_of_the_first_and_says_so(every: int) -> None:
    model, optimizer, first, _ = watched()
    train(model, optimizer, 0, 3)
    said: list[str] = []
    second = steadygrad.guard(model, optimizer, every=every, probe_every=0, say=said.append)
    assert said == ["this optimizer had a guard, which is detached after 3 steps; the new guard begins at step 1"]
    train(model, optimizer, 3, 8)
    assert (first.steps, second.steps) == (3, 5)
    second.detach()
    assert not optimizer._optimizer_step_pre_hooks and not optimizer._optimizer_step_post_hooks


def test_a_guard_that_is_collected_late_leaves_its_successor_in_place() -> None:
    """As in a notebook, whose name for the first guard is given to the second once that is there."""
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    guard = steadygrad.guard(model, optimizer, quiet=True)
    guard.detach()
    guard = steadygrad.guard(model, optimizer, quiet=True)
    gc.collect()
    assert guard_of(optimizer) is guard
    said: list[str] = []
    third = steadygrad.guard(model, optimizer, say=said.append)
    assert said == ["this optimizer had a guard, which is detached after 0 steps; the new guard begins at step 1"]
    third.detach()
    assert guard_of(optimizer) is None


def test_a_guard_stays_where_the_settings_of_a_second_are_wrong() -> None:
    model, optimizer, first, _ = watched()
    with pytest.raises(steadygrad.SteadygradError, match="every is 0"):
        steadygrad.guard(model, optimizer, every=0)
    train(model, optimizer, 0, 2)
    assert first.steps == 2


def test_a_journal_goes_on_in_another_session_where_its_cell_is_run_again(tmp_path: Path) -> None:
    model, optimizer, _, _ = watched(journal=str(tmp_path / "run.sgj"))
    train(model, optimizer, 0, 3)
    with steadygrad.guard(model, optimizer, probe_every=0, journal=str(tmp_path / "run.sgj"), quiet=True):
        train(model, optimizer, 3, 5)
    runs = [journal.read(tmp_path / "run.sgj", session=number) for number in (1, 2)]
    assert [run.steps for run in runs] == [3, 2] and all(run.finished for run in runs)


def test_detaching_leaves_no_hook() -> None:
    model, optimizer, guard, _ = watched()
    train(model, optimizer, 0, 3)
    guard.detach()
    guard.detach()
    assert not optimizer._optimizer_step_pre_hooks and not optimizer._optimizer_step_post_hooks
    assert not model._forward_hooks and not model._forward_pre_hooks
    train(model, optimizer, 3, 5)
    assert guard.steps == 3


def test_as_a_context_it_detaches_at_the_end() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with steadygrad.guard(model, optimizer, probe_every=0) as guard:
        train(model, optimizer, 0, 4)
    train(model, optimizer, 4, 6)
    assert guard.steps == 4


def test_copies_and_pickles_of_model_and_optimizer_are_bare() -> None:
    model, optimizer, guard, _ = watched()
    train(model, optimizer, 0, 3)
    twin = copy.deepcopy(model)
    again = pickle.loads(pickle.dumps(model))  # noqa: S301
    buffer = io.BytesIO()
    torch.save(model, buffer)
    buffer.seek(0)
    loaded = torch.load(buffer, weights_only=False)
    x = batch(0)[0]
    for one in (twin, again, loaded):
        torch.manual_seed(1)
        expected = model(x)
        torch.manual_seed(1)
        assert torch.equal(one(x), expected)
        assert b"steadygrad" not in pickle.dumps(one)
    other = copy.deepcopy(optimizer)
    assert not other._optimizer_step_pre_hooks
    assert guard.steps == 3


def test_state_dicts_are_as_without_a_guard() -> None:
    model, optimizer, _, _ = watched()
    train(model, optimizer, 0, 2)
    assert set(model.state_dict()) == set(net().state_dict())
    optimizer.load_state_dict(optimizer.state_dict())
    train(model, optimizer, 2, 4)


def test_its_state_goes_on_after_a_restart(tmp_path: Path) -> None:
    clip = steadygrad.Clip.quantile(0.9)
    model, optimizer, guard, _ = watched(clip=clip)
    train(model, optimizer, 0, 130)
    guard.flush()
    torch.save({"guard": guard.state_dict()}, tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)["guard"]
    model2, optimizer2, guard2, _ = watched(clip=clip)
    model2.load_state_dict(model.state_dict())
    optimizer2.load_state_dict(optimizer.state_dict())
    guard2.load_state_dict(state)
    assert guard2.steps == 130
    assert guard2.clipped_share == guard.clipped_share > 0
    x, _, y = batch(130)
    F.cross_entropy(model2(x), y).backward()
    first = next(model2.parameters())
    assert first.grad is not None
    first.grad *= 100
    optimizer2.step()
    guard2.flush()
    assert [alarm.code for alarm in guard2.alarms] == ["SG206"], "it knows the medians from before"
    assert guard2.alarms[0].step == 131


def test_a_foreign_state_is_refused() -> None:
    _, _, guard, _ = watched()
    for state in ({}, {"version": 2, "lanes": []}, {"version": 1, "lanes": []}, []):
        with pytest.raises(steadygrad.SteadygradError, match=r"state|optimizers"):
            guard.load_state_dict(state)  # type: ignore[arg-type]


def test_a_snapshot_goes_back_to_the_bit() -> None:
    torch.manual_seed(0)
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def go(first: int, last: int) -> list[float]:
        losses = []
        for step in range(first, last):
            x, token, y = batch(step)
            loss = F.cross_entropy(model(x, token), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    go(0, 10)
    kept = snapshot.take([model], [optimizer], [10])
    expected = go(10, 20)
    weights = [p.detach().clone() for p in model.parameters()]
    snapshot.restore(kept, [optimizer])
    assert go(10, 20) == expected
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), weights, strict=True))


def test_a_snapshot_before_the_first_step_takes_new_state_away() -> None:
    model = net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    kept = snapshot.take([model], [optimizer], [0])
    first = train(model, optimizer, 0, 3)
    snapshot.restore(kept, [optimizer])
    assert not optimizer.state
    assert train(model, optimizer, 0, 3) == first


def test_every_step_is_read_unless_asked_otherwise() -> None:
    for every, steps in ((1, list(range(1, 31))), (7, [1, 8, 15, 22, 29])):
        model = net()
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        guard = steadygrad.guard(model, optimizer, probe_every=0, overhead=1e-6, every=every)
        train(model, optimizer, 0, 30)
        guard.flush()
        assert [step for step, _, _ in guard.optimizers[0].state.trail] == steps


def test_an_error_of_the_guard_never_stops_training(monkeypatch: pytest.MonkeyPatch) -> None:
    model, optimizer, guard, said = watched()
    monkeypatch.setattr(guard.optimizers[0].watch.ring, "read", lambda *_: 1 / 0)
    train(model, optimizer, 0, 5)
    assert len(said) == 1 and "stands aside (ZeroDivisionError" in said[0]
    assert guard.looking.given() == [], "and keeps nothing of the run"


def test_a_parameter_that_comes_later_is_watched_from_then_on() -> None:
    model, optimizer, guard, _ = watched()
    layer = model[0]
    assert isinstance(layer, nn.Linear)
    layer.weight.requires_grad_(False)
    train(model, optimizer, 0, 60)
    layer.weight.requires_grad_(True)
    train(model, optimizer, 60, 120)
    guard.flush()
    assert guard.alarms == []


def test_a_group_that_is_added_is_watched() -> None:
    model = net()
    head = nn.Linear(5, 2)
    whole = nn.Sequential(model, head)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    guard = steadygrad.guard(whole, optimizer, every=1, probe_every=0)
    for step in range(5):
        if step == 2:
            optimizer.add_param_group({"params": list(head.parameters())})
        x, _, y = batch(step)
        optimizer.zero_grad()
        F.cross_entropy(whole(x), y % 2).backward()
        optimizer.step()
    guard.flush()
    assert "1.weight" in guard.optimizers[0].columns.names
    guard.detach()


def test_a_roll_back_to_before_a_group_was_added_leaves_it_watched() -> None:
    model = net()
    head = nn.Linear(5, 2)
    whole = nn.Sequential(model, head)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    guard = steadygrad.guard(whole, optimizer, probe_every=0, on_alarm="rollback", snapshot_every=10)
    at_ten: list[Tensor] = []
    for step in range(1, 40):
        if step == 15:
            optimizer.add_param_group({"params": list(head.parameters())})
        x, _, y = batch(step)
        optimizer.zero_grad()
        F.cross_entropy(whole(x), y % 2).backward()
        if step == 18:
            head.bias.grad *= math.nan  # type: ignore[operator]
        optimizer.step()
        if step == 10:
            at_ten = [p.detach().clone() for p in model.parameters()]
        if step == 18:
            assert all(torch.equal(a, b) for a, b in zip(model.parameters(), at_ten, strict=True))
    assert [action.kind for action in guard.actions] == ["rollback"]
    guard.flush()
    assert not guard.optimizers[0].off
    assert "1.weight" in guard.optimizers[0].columns.names
    guard.detach()


def test_the_summary_has_the_numbers() -> None:
    model, optimizer, guard, _ = watched(clip=steadygrad.Clip.norm(1e-3))
    train(model, optimizer, 0, 10)
    guard.flush()
    assert guard.summary() | {"journal": None} == {
        "steps": 10,
        "alarms": {},
        "actions": {},
        "clipped_share": 1.0,
        "interval": 1,
        "looks": 0,
        "journal": None,
    }
    assert repr(guard) == "<guard: 10 steps, clipped 100%, 0 alarms>"


ACTIONS: dict[str, Any] = {
    "skip": "skipped step 121",
    "lower": "lowered the learning rate to 0.5× its schedule",
    "clip": "clips by norm:",
    "rollback": "rolled back to the weights after step 100",
}


@pytest.mark.parametrize("kind", ACTIONS)
def test_an_action_does_what_it_says(kind: str) -> None:
    model, optimizer, guard, said = watched(on_alarm=kind, snapshot_every=50)
    train(model, optimizer, 0, 120)
    before = [p.detach().clone() for p in model.parameters()]
    x, _, y = batch(120)
    optimizer.zero_grad()
    F.cross_entropy(model(x), y).backward()
    weight = list(model.parameters())[2]
    assert weight.grad is not None
    weight.grad *= 1000 if kind != "rollback" else math.inf
    gradients = [p.grad for p in model.parameters()]
    optimizer.step()
    assert guard.actions[0].kind == kind
    assert ACTIONS[kind] in guard.actions[0].message
    assert ACTIONS[kind] in guard.alarms[0].action
    assert all(a is b for a, b in zip((p.grad for p in model.parameters()), gradients, strict=True))
    unmoved = all(torch.equal(a, b) for a, b in zip(model.parameters(), before, strict=True))
    assert unmoved == (kind == "skip")
    if kind == "lower":
        assert guard.optimizers[0].rate_factor == 0.5
        assert optimizer.param_groups[0]["lr"] == 1e-3, "a schedule sees the rate that it set"
    if kind == "clip":
        assert weight.grad.norm() < 10
    if kind == "rollback":
        assert all(bool(torch.isfinite(p).all()) for p in model.parameters())
    assert len(said) == 1


def test_stop_saves_and_raises(tmp_path: Path) -> None:
    model, optimizer, guard, _ = watched(on_alarm="stop", journal=str(tmp_path / "run.sgj"))
    train(model, optimizer, 0, 60)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    next(model.parameters()).register_hook(lambda gradient: gradient * math.nan)
    with pytest.raises(steadygrad.TrainingStopped, match="SG203 non-finite at step 61"):
        train(model, optimizer, 60, 61)
    saved = torch.load(tmp_path / "run.stopped.pt", weights_only=True)
    assert all(torch.equal(saved["model"][0][name], tensor) for name, tensor in before.items())
    assert saved["steps"] == [61]
    with pytest.raises(steadygrad.TrainingStopped):
        train(model, optimizer, 61, 62)
    guard.detach()


def test_after_so_many_skips_it_stops() -> None:
    model, optimizer, guard, _ = watched(on_alarm=steadygrad.OnAlarm("skip", at_most=3, within=20, then="stop"))
    train(model, optimizer, 0, 60)
    next(model.parameters()).register_hook(lambda gradient: gradient * math.nan)
    with pytest.raises(steadygrad.TrainingStopped, match="3 times skip within 20 steps"):
        train(model, optimizer, 60, 70)
    assert guard.steps == 64
    assert [action.kind for action in guard.actions] == ["skip", "skip", "skip", "stop"]
    assert len(guard.alarms) == 1


def test_a_function_is_called_and_what_it_raises_is_the_users() -> None:
    seen: list[str] = []

    def tell(alarm: steadygrad.Alarm) -> str:
        seen.append(alarm.code)
        return "skip"

    model, optimizer, guard, _ = watched(on_alarm=tell)
    train(model, optimizer, 0, 60)
    next(model.parameters()).register_hook(lambda gradient: gradient * math.nan)
    train(model, optimizer, 60, 62)
    assert seen == ["SG203"]
    assert guard.actions[0].kind == "skip"

    def fail(alarm: steadygrad.Alarm) -> None:
        raise KeyError("mine")

    model, optimizer, guard, _ = watched(on_alarm=fail)
    train(model, optimizer, 0, 60)
    next(model.parameters()).register_hook(lambda gradient: gradient * math.nan)
    with pytest.raises(KeyError, match="mine"):
        train(model, optimizer, 60, 61)


def test_a_step_can_be_skipped_inside_of_a_closure() -> None:
    model = nn.Linear(4, 1)
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=3)
    guard = steadygrad.guard(model, optimizer, every=1, probe_every=0, on_alarm="skip", say=lambda _: None)
    x, y = torch.randn(32, 4), torch.randn(32, 1)
    sick = False

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y) * (math.nan if sick else 1.0)
        loss.backward()
        return loss

    for step in range(60):
        sick = step == 58
        optimizer.step(closure)
    assert bool(torch.isfinite(model.weight).all())
    assert [action.kind for action in guard.actions] == ["skip"]


def test_a_guard_goes_with_its_optimizer() -> None:
    kept = []
    for _ in range(3):
        model, optimizer, guard, _ = watched()
        train(model, optimizer, 0, 2)
        kept += [weakref.ref(one) for one in (model, optimizer, guard)]
    del model, optimizer, guard
    gc.collect()
    assert [one() for one in kept] == [None] * 9


def test_a_guard_that_is_forgotten_reads_the_rest_first(tmp_path: Path) -> None:
    """As where a function trains and returns: a journal keeps nothing alive, and the last steps are judged all the same."""
    model, optimizer, guard, said = watched(journal=str(tmp_path / "run.sgj"))
    train(model, optimizer, 0, 20)
    x, _, y = batch(20)
    optimizer.zero_grad()
    (1e4 * F.cross_entropy(model(x), y)).backward()
    optimizer.step()
    kept = [weakref.ref(one) for one in (model, optimizer, guard)]
    del model, optimizer, guard
    gc.collect()
    assert [one() for one in kept] == [None] * 3
    assert [line for line in said if line.startswith("step 21: ")] == said != []
    run = journal.read(tmp_path / "run.sgj")
    assert int(run.series.counts.sum()) == run.steps == 21
    assert [alarm.step for alarm in run.alarms] == [21]
