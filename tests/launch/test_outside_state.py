"""A look runs the forward pass once more; what that changes outside of the model is put back, and nothing of it is heard."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from steadygrad.copies.surroundings import same_surroundings
from tests.launch.pairs import SCRIPTS, pair

calls = 0
written: list[int] = []


class Counting(nn.Module):
    passes = 0

    def forward(self, x: Tensor) -> Tensor:
        global calls
        calls += 1
        Counting.passes += 1
        written.append(calls)
        return x


@pytest.mark.long
@pytest.mark.parametrize(
    "options", [(), ("--no-check", "--probe-every", "1", "--overhead", "1")], ids=["check", "looks"]
)
def test_state_outside_of_the_model_is_that_of_a_bare_run(options: tuple[str, ...], tmp_path: Path) -> None:
    both = pair([str(SCRIPTS / "outside_state.py")], tmp_path, options=options)
    assert both.bare.code == both.watched.code == 0, both.watched.stderr
    assert both.watched.stdout == both.bare.stdout
    assert both.watched.theirs == both.bare.stderr
    assert any("first step: " in line for line in both.watched.ours), "it was looked at"
    # On a busy machine looks may have had their share of the time; none was impossible.
    assert not any("no look" in line and "share of the run" not in line for line in both.watched.ours)


def test_it_is_put_back_by_the_outermost_block_alone() -> None:
    model = Counting()
    with same_surroundings(model):
        with same_surroundings(model):
            model(torch.ones(1))
        assert (calls, Counting.passes, written) == (1, 1, [1])
    assert (calls, Counting.passes, written) == (0, 0, [])


average = torch.zeros(4)


class Averaging(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        average.mul_(0.9).add_(x.mean(0))
        return x * average


def test_a_tensor_that_an_input_with_a_gradient_was_written_into_is_of_no_graph_afterwards() -> None:
    model = Averaging()
    with same_surroundings(model):
        model(torch.ones(3, 4, requires_grad=True)).sum().backward()
        assert average.requires_grad
    assert not average.requires_grad and average.grad_fn is None
    assert average.tolist() == [0.0] * 4


def test_what_a_thread_of_the_program_s_writes_meanwhile_stays() -> None:
    model, go, done = Counting(), threading.Event(), threading.Event()

    def work() -> None:
        go.wait()
        written.append(-1)
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        with same_surroundings(model):
            go.set()
            assert done.wait(30)
        assert written == [-1]
    finally:
        thread.join()
        written.clear()
