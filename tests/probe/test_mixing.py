"""Which models mix the samples of a batch that must be let alone, and at which call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import steadygrad as sg

SAMPLES, TIME, FEATURES = 12, 5, 6


class Layered(nn.Module):
    """Whatever is made of sequences by ``layer``, and a head on the last of it."""

    def __init__(self, layer: nn.Module, forward: Callable[[nn.Module, Tensor], Tensor], width: int = FEATURES) -> None:
        super().__init__()
        self.layer = layer
        self.head = nn.Linear(width, 3)
        self._forward = forward

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self._forward(self.layer, x))


def encoder(**options: Any) -> nn.Module:
    return nn.TransformerEncoderLayer(FEATURES, 2, 8, dropout=0.0, **options)


def attended(layer: nn.Module, x: Tensor) -> Tensor:
    return layer(x, x, x)[0][:, -1]


SICK: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "lstm": (lambda: Layered(nn.LSTM(FEATURES, FEATURES), lambda layer, x: layer(x)[0][:, -1]), "lstm"),
    "gru, two directions": (
        lambda: Layered(nn.GRU(FEATURES, 3, bidirectional=True), lambda layer, x: layer(x)[0][:, 0]),
        "gru",
    ),
    "rnn": (lambda: Layered(nn.RNN(FEATURES, FEATURES), lambda layer, x: layer(x)[0].mean(1)), "rnn_tanh"),
    "attention": (lambda: Layered(nn.MultiheadAttention(FEATURES, 2), attended), "multi_head_attention_forward"),
    "encoder": (lambda: Layered(encoder(), lambda layer, x: layer(x)[:, 0]), "multi_head_attention_forward"),
    "softmax over the samples": (
        lambda: Layered(nn.Identity(), lambda _, x: F.softmax(x.mean(1), dim=0)),
        "softmax",
    ),
}


@pytest.mark.parametrize("name", SICK)
def test_what_runs_along_the_samples_is_named(name: str) -> None:
    make, call = SICK[name]
    report = checked(make())
    mixing = report.trace.mixing
    assert mixing is not None and mixing.name == call
    assert mixing.shape[0] == SAMPLES
    assert [one.code for one in report.findings if one.severity == "error"] == ["SG311"]
    assert mixing.location is not None and mixing.location.path == __file__


def transposed(layer: nn.Module, x: Tensor) -> Tensor:
    return layer(x.transpose(0, 1))[0][-1]


class Graph(nn.Module):
    """Nodes are the rows; a matrix that does not depend on them mixes them, as it is meant to."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("edges", torch.rand(SAMPLES, SAMPLES).softmax(1))
        self.first, self.second = nn.Linear(TIME * FEATURES, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.edges @ F.relu(self.first(self.edges @ x.flatten(1))))


class OwnNorm(nn.Module):
    """Statistics over the samples, without running ones."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(TIME * FEATURES, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x.flatten(1))
        return self.second(F.relu((hidden - hidden.mean(0)) / (hidden.std(0) + 1e-5)))


HEALTHY: dict[str, Callable[[], nn.Module]] = {
    "batch_first": lambda: Layered(nn.LSTM(FEATURES, FEATURES, batch_first=True), lambda layer, x: layer(x)[0][:, -1]),
    "time first, as the layer takes it": lambda: Layered(nn.GRU(FEATURES, FEATURES), transposed),
    "encoder, batch_first": lambda: Layered(encoder(batch_first=True), lambda layer, x: layer(x)[:, 0]),
    "encoder, time first": lambda: Layered(encoder(), lambda layer, x: layer(x.transpose(0, 1))[-1]),
    "batch norm": lambda: nn.Sequential(nn.Flatten(), nn.Linear(30, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)),
    "batch norm without running statistics": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(30, 8), nn.BatchNorm1d(8, track_running_stats=False), nn.ReLU(), nn.Linear(8, 3)
    ),
    "dropout": lambda: nn.Sequential(nn.Flatten(), nn.Linear(30, 8), nn.Dropout(0.5), nn.Linear(8, 3)),
    "graph": Graph,
    "its own norm": OwnNorm,
    "softmax over the classes": lambda: Layered(nn.Identity(), lambda _, x: F.softmax(x.mean(1), dim=-1)),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_what_may_mix_and_what_does_not_is_let_alone(name: str) -> None:
    report = checked(HEALTHY[name]())
    assert report.trace.mixing is None
    assert "SG311" not in [one.code for one in report.findings]


@pytest.mark.parametrize("length", [TIME, SAMPLES])
def test_one_sequence_with_a_target_for_each_step_is_no_batch(length: int) -> None:
    class Tagger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.head = nn.LSTM(FEATURES, 8), nn.Linear(8, 3)

        def forward(self, words: Tensor) -> Tensor:
            return self.head(self.lstm(words.view(len(words), 1, -1))[0].view(len(words), -1))

    batch = torch.randn(length, FEATURES), torch.randint(0, 3, (length,))
    assert sg.check(Tagger(), batch, F.cross_entropy).trace.mixing is None


def test_a_language_model_that_has_time_first_is_let_alone() -> None:
    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.lstm, self.head = nn.Embedding(20, 8), nn.LSTM(8, 8), nn.Linear(8, 20)

        def forward(self, words: Tensor) -> Tensor:
            return self.head(self.lstm(self.embed(words))[0])

    def loss(output: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(output.flatten(0, 1), target.flatten())

    words = torch.randint(0, 20, (TIME + 1, SAMPLES))
    assert sg.check(Words(), (words[:-1], words[1:]), loss).trace.mixing is None


def test_a_contrastive_loss_may_hold_samples_against_each_other() -> None:
    def loss(output: Tensor, _: Tensor) -> Tensor:
        one = F.normalize(output, dim=1)
        alike = one @ one.roll(1, 0).T
        return -(F.log_softmax(alike, 0).diagonal() + F.log_softmax(alike, 1).diagonal()).mean()

    model = nn.Sequential(nn.Flatten(), nn.Linear(TIME * FEATURES, 8))
    loader = DataLoader(TensorDataset(*data(64)), batch_size=SAMPLES, shuffle=True)
    assert sg.check(model, loader, loss).trace.mixing is None


@pytest.mark.long
def test_a_loader_that_shuffles_shows_it_for_targets_of_a_whole_sequence() -> None:
    class Tagger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.head = nn.LSTM(FEATURES, 8), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.lstm(x)[0]).transpose(1, 2)

    torch.manual_seed(0)
    x, y = torch.randn(64, TIME, FEATURES), torch.randint(0, 3, (64, TIME))
    shuffled = DataLoader(TensorDataset(x, y), batch_size=SAMPLES, shuffle=True)
    report = sg.check(Tagger(), shuffled, F.cross_entropy)
    assert report.trace.mixing is not None and report.trace.mixing.name == "lstm"
    assert sg.check(Tagger(), (x[:SAMPLES], y[:SAMPLES]), F.cross_entropy).trace.mixing is None


def test_a_view_that_trades_axes_is_named_where_nothing_is_learned() -> None:
    class Tagger(nn.Module):
        def __init__(self, *, turn: bool) -> None:
            super().__init__()
            self.embed, self.head, self.turn = nn.Embedding(20, 16), nn.Linear(16, 7), turn

        def forward(self, words: Tensor) -> Tensor:
            scores = self.head(self.embed(words))
            return scores.transpose(1, 2) if self.turn else scores.view(len(words), 7, -1)

    torch.manual_seed(0)
    words = torch.randint(0, 20, (640, 15))
    loader = DataLoader(TensorDataset(words, words % 7), batch_size=32, shuffle=True)
    for turn in (True, False):
        torch.manual_seed(0)
        model = Tagger(turn=turn)
        report = sg.check(model, loader, F.cross_entropy, optimizer=torch.optim.Adam(model.parameters(), 1e-2))
        found = [(one.code, one.location.column) for one in report.findings if one.location]
        assert found == ([] if turn else [("SG311", 61)]), report


def data(count: int = SAMPLES) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(count, TIME, FEATURES, generator=generator)
    return x, (x.sum((1, 2)) > 0).long()


def checked(model: nn.Module) -> sg.Report:
    return sg.check(model, data(), F.cross_entropy)
