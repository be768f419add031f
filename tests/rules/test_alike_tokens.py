"""Tokens and nodes that become alike with depth are told at the layer where they do; those that stay apart are not."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import steadygrad as sg
from steadygrad.probe.layout import FIRST, SECOND, Layout
from steadygrad.probe.positions import apart, take

WIDTH = 32


class Attending(nn.Module):
    """Layers of attention with one head; ``fused``: by torch's call, else by two products."""

    def __init__(self, layers: int = 6, *, skip: bool = False, norm: bool = True, fused: bool = True) -> None:
        super().__init__()
        self.embed, self.place = nn.Linear(8, WIDTH), nn.Parameter(torch.randn(16, WIDTH))
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) if norm else nn.Identity() for _ in range(layers))
        self.qkv = nn.ModuleList(nn.Linear(WIDTH, 3 * WIDTH) for _ in range(layers))
        self.head, self.skip, self.fused = nn.Linear(WIDTH, 4), skip, fused

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x) + self.place
        for norm, qkv in zip(self.norms, self.qkv, strict=True):
            q, k, v = qkv(norm(x)).chunk(3, -1)
            mixed = self.mixed(q, k, v)
            x = x + mixed if self.skip else mixed
        out: Tensor = self.head(x)
        return out.transpose(1, 2)

    def mixed(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if self.fused:
            return F.scaled_dot_product_attention(q, k, v)
        weights = (q @ k.transpose(1, 2) / WIDTH**0.5).softmax(-1)
        out: Tensor = weights.matmul(v)
        return out


class Convolving(nn.Module):
    """Graph convolutions over one graph whose nodes are the rows of the input."""

    def __init__(self, graph: Tensor, layers: int, *, skip: bool = False) -> None:
        super().__init__()
        self.skip = skip
        self.register_buffer("graph", graph)
        widths = [8, *[WIDTH] * layers]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        for layer in self.layers:
            nn.init.kaiming_normal_(layer.get_parameter("weight"))
        self.head = nn.Linear(WIDTH, 4)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            mixed = torch.relu(self.graph @ layer(x))
            x = x + mixed if self.skip and x.shape == mixed.shape else mixed
        out: Tensor = self.head(x)
        return out


def tokens() -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(64, 16, 8, generator=draw)
    return x, (x @ torch.randn(8, 4, generator=draw)).argmax(-1)


def graph(nodes: int = 128) -> Tensor:
    """A random graph: each node beside four others and itself, scaled by the degrees of both ends."""
    draw = torch.Generator().manual_seed(0)
    links = torch.eye(nodes)
    for node in range(nodes):
        links[node, torch.randint(0, nodes, (4,), generator=draw)] = 1
    links = (links + links.t()).clamp(max=1)
    degree = links.sum(1)
    return links / (degree[:, None] * degree).sqrt()


def warned(report: sg.Report) -> list[str]:
    return [one.code for one in report.findings if one.severity != "info"]


CALLS = {True: "F.scaled_dot_product_attention(q, k, v)", False: "weights.matmul(v)"}


@pytest.mark.long
@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("fused", [True, False])
def test_attention_without_skips_is_told_where_the_tokens_become_alike(fused: bool, norm: bool) -> None:
    torch.manual_seed(0)
    report = sg.check(Attending(fused=fused, norm=norm), tokens(), F.cross_entropy, optimizer="adam:1e-3")
    assert warned(report) == ["SG111"]
    finding = report.findings[0]
    assert finding.location is not None and finding.location.text.strip().endswith(CALLS[fused])
    assert finding.evidence[1].value < 1e-3 < finding.evidence[0].value


def test_the_same_with_skips_is_healthy() -> None:
    torch.manual_seed(0)
    report = sg.check(Attending(skip=True), tokens(), F.cross_entropy, optimizer="adam:1e-3")
    assert report.verdict is sg.Verdict.HEALTHY and warned(report) == []
    known = [one.positions_apart for one in report.trace.operations if one.positions_apart is not None]
    assert min(known) > 1e-2


def test_without_steps_it_is_information() -> None:
    torch.manual_seed(0)
    report = sg.check(Attending(), tokens(), F.cross_entropy, trial=0)
    assert [(one.code, one.severity) for one in report.findings] == [("SG111", "info")]


@pytest.mark.parametrize(
    ("layers", "skip", "found"),
    [(24, False, ["SG111"]), (2, False, []), (8, True, [])],
    ids=["deep", "shallow", "skips"],
)
def test_the_nodes_of_a_graph_become_alike_with_depth(layers: int, skip: bool, found: list[str]) -> None:
    torch.manual_seed(0)
    x = torch.randn(128, 8)
    y = (x @ torch.randn(8, 4)).argmax(1)
    report = sg.check(Convolving(graph(), layers, skip=skip), (x, y), F.cross_entropy, optimizer="adam:3e-3")
    assert warned(report) == found


@pytest.mark.long
def test_a_net_that_mixes_no_tokens_is_not_told_of_them() -> None:
    torch.manual_seed(0)
    hidden = [layer for _ in range(12) for layer in (nn.Linear(8, 8), nn.Sigmoid())]
    x, y = tokens()
    report = sg.check(nn.Sequential(*hidden, nn.Linear(8, 4), nn.Flatten(0, 1)), (x, y.flatten()), F.cross_entropy)
    assert "SG111" not in [one.code for one in report.findings]
    assert report.verdict is sg.Verdict.WILL_NOT_TRAIN


def test_directions_are_compared_whatever_their_lengths() -> None:
    same = torch.randn(1, 1, 8) * torch.rand(4, 6, 1).add(0.1)
    unrelated = torch.randn(4, 32, 512, generator=torch.Generator().manual_seed(0))
    found = apart([take("linear", same, FIRST), take("linear", unrelated, FIRST), None])
    assert found[0] is not None and found[0] < 1e-12
    assert found[1] == pytest.approx(1 - 1 / 32, abs=0.02)
    assert found[2] is None


def test_positions_lie_beside_the_samples_wherever_these_are() -> None:
    x = torch.randn(5, 7, 9)
    first, second = take("linear", x, FIRST), take("linear", x.transpose(0, 1), SECOND)
    assert first is not None and second is not None and torch.equal(first, second)
    assert take("conv1d", x, FIRST) is None
    assert take("linear", x[:, :2], FIRST) is None
    assert take("linear", x, Layout(0, 5)) is None and take("linear", x, None) is None


def test_positions_of_zeros_alone_have_no_direction() -> None:
    padded = torch.randn(4, 8, 8)
    whole = apart([take("linear", padded[:, :6], FIRST)])[0]
    padded[:, 6:] = 0
    (found,) = apart([take("linear", padded, FIRST)])
    assert found == pytest.approx(whole, rel=1e-5)
    assert apart([take("linear", torch.zeros(4, 8, 8), FIRST)]) == [None]
