"""The cause is named where it begins: the clamp and not the time, the power and not the sum, the mask and not the attention."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import steadygrad as sg
from steadygrad.steptest.own_targets import loss_of_mean_answer

Batches = Callable[[int], tuple[Tensor, Tensor]]


def classes(features: int = 8, answers: int = 3, *, steps: int = 0) -> Batches:
    """Fresh batches of which the greatest of the first few features is to be told."""

    def batch(number: int) -> tuple[Tensor, Tensor]:
        draw = torch.Generator().manual_seed(number)
        x = torch.randn(32, *([steps] if steps else []), features, generator=draw)
        return x, (x.sum(1) if steps else x)[:, :answers].argmax(1)

    return batch


class Loop(nn.Module):
    """A recurrence written by hand, with something done to its state at every step."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.take, self.keep, self.head = nn.Linear(8, 16), nn.Linear(16, 16), nn.Linear(16, 3)
        self.fault = fault

    def forward(self, x: Tensor) -> Tensor:
        state = torch.zeros(len(x), 16)
        for step in range(x.shape[1]):
            state = torch.tanh(self.take(x[:, step]) + self.keep(state))
            if self.fault == "clamp":
                state = torch.clamp(state, min=30.0)
            elif self.fault == "relu":
                state = torch.relu(state - 30.0)
            elif self.fault == "round":
                state = torch.round(state * 0.01) / 0.01
            else:
                state = state * 1e-4
        return self.head(state)


@pytest.mark.parametrize(
    ("fault", "code", "text"),
    [
        ("clamp", "SG103", "torch.clamp(state, min=30.0)"),
        ("relu", "SG103", "torch.relu(state - 30.0)"),
        ("round", "SG107", "torch.round(state * 0.01)"),
        ("scale", "SG101", "state * 1e-4"),
    ],
)
def test_what_ends_the_gradient_in_one_step_of_a_loop_is_not_called_forgetting(
    fault: str, code: str, text: str
) -> None:
    torch.manual_seed(0)
    first = sg.check(Loop(fault), classes(steps=10), F.cross_entropy).findings[0]
    assert first.severity == "error" and first.code == code
    assert first.location is not None and first.location.text == text


class Rounded(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(8, 16), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.round(torch.tanh(self.first(x)) * 0.01) / 0.01
        return self.head(torch.relu(hidden))


def test_a_rectifier_that_is_fed_with_zeros_is_not_to_blame() -> None:
    torch.manual_seed(0)
    report = sg.check(Rounded(), classes(), F.cross_entropy)
    assert [one.code for one in report.findings] == ["SG107"]


class Kept(nn.Module):
    """A skip whose share is set to nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(8, 16), nn.Linear(16, 16), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        first = torch.relu(self.first(x))
        hidden = torch.round(first * 0.01) / 0.01
        return self.head(self.second(hidden) + 0.0 * first)


def test_a_product_with_zero_is_no_underflow() -> None:
    torch.manual_seed(0)
    assert "SG108" not in [one.code for one in sg.check(Kept(), classes(), F.cross_entropy).findings]


class Powers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(16, 16) for _ in range(2))
        self.head = nn.Linear(16, 1)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = x + torch.relu(layer(x))
            x = torch.pow(x, 4.0)
        return self.head(x)


class Overflowing(nn.Module):
    """None of its powers is beyond float32; their sum is."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(16, 256)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.pow(3.5 + 0.05 * torch.tanh(self.layer(x)), 68.0)
        return x.sum(1, keepdim=True)


@pytest.mark.parametrize(
    ("model", "code", "text"),
    [
        (Powers, "SG205", "torch.pow(x, 4.0)"),
        (Overflowing, "SG203", "torch.pow(3.5 + 0.05 * torch.tanh(self.layer(x)), 68.0)"),
    ],
)
def test_large_numbers_are_told_where_they_are_made(model: type[nn.Module], code: str, text: str) -> None:
    def batch(number: int) -> tuple[Tensor, Tensor]:
        x = torch.randn(32, 16, generator=torch.Generator().manual_seed(number))
        return x, x[:, :1]

    torch.manual_seed(0)
    report = sg.check(model(), batch, F.mse_loss)
    assert report.verdict is sg.Verdict.WILL_NOT_TRAIN
    first = report.findings[0]
    assert first.code == code and first.location is not None and first.location.text == text


class Causal(nn.Module):
    """Attention in which each token sees itself and those before it."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.head = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 3)
        self.weights = torch.empty(0)

    def forward(self, x: Tensor) -> Tensor:
        logits = self.query(x) @ self.key(x).mT / 8**0.5
        later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
        self.weights = torch.softmax(logits.masked_fill(later, torch.finfo(logits.dtype).min), dim=-1)
        return self.head((self.weights @ x).mean(1))


def test_attention_is_measured_over_the_keys_that_are_open() -> None:
    torch.manual_seed(0)
    model = Causal()
    x = torch.randn(256, 16, 8)
    report = sg.check(model, (x, x[:, -1, :3].argmax(1)), F.cross_entropy, trial=0)
    (seen,) = [one.attention_entropy for one in report.trace.operations if one.name == "softmax"]
    model(x)
    weights = model.weights.detach().double()
    entropy = -(weights * weights.clamp_min(1e-300).log()).sum(-1)[:, 1:]
    share = (entropy / torch.arange(2, 17).log()).mean()
    assert seen == pytest.approx(float(share), abs=0.05)
    assert seen > 0.8


def test_relu6_is_a_rectifier_and_a_clamp_has_a_derivative() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.act, self.head = nn.Linear(8, 64), nn.ReLU6(), nn.Linear(64, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.act(self.layer(x)).clamp(max=0.2))

    torch.manual_seed(0)
    x, y = classes()(0)
    seen = {one.name: one.saturation for one in sg.check(Net(), (x, y), F.cross_entropy, trial=0).trace.operations}
    assert seen["relu6"] is not None and "hardtanh" not in seen
    clamp = seen["clamp"]
    assert clamp is not None and 0.1 < clamp.saturated_share < 0.6


class Writer(nn.Module):
    """A decoder that reads its own last word, and makes its loss itself."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.head = nn.Embedding(20, 16), nn.Linear(16, 20)

    def forward(self, input_ids: Tensor, labels: Tensor) -> Any:
        before = torch.cat([torch.zeros_like(labels[:, :1]), labels[:, :-1]], 1)
        logits = self.head(self.words(before))
        return SimpleNamespace(loss=F.cross_entropy(logits.flatten(0, 1), labels.flatten()), logits=logits)


def sentences(number: int) -> dict[str, Tensor]:
    start = torch.randint(20, (32, 1), generator=torch.Generator().manual_seed(number))
    words = (start + torch.arange(24)) % 20
    return {"input_ids": words[:, :12], "labels": words[:, 12:]}


def test_the_mean_answer_of_a_loss_of_its_own_is_the_one_that_torch_would_compute() -> None:
    torch.manual_seed(0)
    model, batch = Writer(), sentences(0)
    found = loss_of_mean_answer(lambda net, given: (net(**given).loss, None), model, batch)
    logits = model(**batch).logits.flatten(0, 1).detach()
    by_hand = F.cross_entropy(logits.mean(0).expand_as(logits), batch["labels"].flatten())
    assert found == pytest.approx(float(by_hand), rel=1e-5)


def test_a_decoder_that_learns_its_language_first_is_healthy() -> None:
    torch.manual_seed(0)
    model = Writer()
    report = sg.check(model, sentences, optimizer=torch.optim.AdamW(model.parameters(), lr=1e-2))
    assert report.verdict is sg.Verdict.HEALTHY, report.findings


class Squashed(nn.Module):
    def __init__(self, answers: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(40, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Linear(128, answers))

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.net(x))


@pytest.mark.long
def test_a_squash_too_many_that_is_learned_through_slowly_is_a_warning() -> None:
    centres = torch.randn(30, 40, generator=torch.Generator().manual_seed(0))

    def batch(number: int) -> tuple[Tensor, Tensor]:
        draw = torch.Generator().manual_seed(1 + number)
        y = torch.randint(30, (64,), generator=draw)
        return centres[y] + 1.2 * torch.randn(64, 40, generator=draw), y

    torch.manual_seed(0)
    model = Squashed(30)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    first = sg.check(model, batch, F.cross_entropy, optimizer=optimizer).findings[0]
    assert (first.code, first.severity) == ("SG303", "warning")
    assert first.location is not None and first.location.text == "torch.sigmoid(self.net(x))"


def test_weights_that_are_replaced_are_told_however_the_loss_comes_down() -> None:
    def batch(number: int) -> tuple[Tensor, Tensor]:
        x = torch.randn(64, 8, generator=torch.Generator().manual_seed(number))
        return x, (x[:, 0] > 0).long()

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 64), nn.Tanh(), nn.Linear(64, 2))
    report = sg.check(model, batch, F.cross_entropy, optimizer=torch.optim.Adam(model.parameters(), lr=1.0))
    assert "SG204" in [one.code for one in report.findings if one.severity != "info"]


class Hidden(nn.Module):
    """Its first layers stand in a plain list, of which the model knows nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = [nn.Linear(24, 20), nn.Linear(20, 20)]
        self.out = nn.Linear(20, 4)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.out(x)


def test_layers_in_a_list_are_looked_at_for_what_the_model_takes() -> None:
    torch.manual_seed(0)
    first = sg.check(Hidden()).findings[0]
    assert first.code == "SG107" and "no module has them as parameters" in first.message
