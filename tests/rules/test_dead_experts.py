"""Experts that no router picks, and entries of a codebook: told where so many choices leave them out, else noted."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import steadygrad as sg
from steadygrad.record import from_jsonable, to_jsonable
from steadygrad.record.routing import Routing

WIDTH, OPTIONS = 16, 8


class Mixture(nn.Module):
    """A router and experts; ``shift`` is a mean in what the router sees, ``every``: all experts run, most of them for nothing."""

    def __init__(self, *, shift: float = 0.0, picked: int = 1, every: bool = False, stacked: bool = False) -> None:
        super().__init__()
        self.router = nn.Linear(WIDTH, OPTIONS)
        self.shift, self.picked, self.every = shift, picked, every
        if stacked:
            self.experts: nn.ParameterList | nn.ModuleList = nn.ParameterList(
                [nn.Parameter(torch.randn(OPTIONS, WIDTH, WIDTH) / WIDTH**0.5)]
            )
        else:
            self.experts = nn.ModuleList(
                nn.Sequential(nn.Linear(WIDTH, 32), nn.ReLU(), nn.Linear(32, WIDTH)) for _ in range(OPTIONS)
            )

    def run(self, at: int, x: Tensor) -> Tensor:
        if isinstance(self.experts, nn.ParameterList):
            return torch.tanh(x @ self.experts[0][at])
        expert: Tensor = self.experts[at](x)
        return expert

    def forward(self, x: Tensor) -> Tensor:
        gates = self.router(x + self.shift).softmax(-1)
        weights, index = gates.topk(self.picked, -1)
        if self.every:
            kept = torch.zeros_like(gates).scatter(1, index, weights)
            return torch.stack([kept[:, at, None] * self.run(at, x) for at in range(OPTIONS)]).sum(0)
        out = torch.zeros_like(x)
        for at in range(OPTIONS):
            mine = (index == at).any(-1)
            if mine.any():
                weight = (weights * (index == at)).sum(-1)[mine, None]
                out = out.index_add(0, mine.nonzero().view(-1), weight * self.run(at, x[mine]))
        return out


class Net(nn.Module):
    def __init__(self, layers: int = 1, **options: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(layers))
        self.mixtures = nn.ModuleList(Mixture(**options) for _ in range(layers))  # type: ignore[arg-type]
        self.head = nn.Linear(WIDTH, 4)

    def forward(self, x: Tensor) -> Tensor:
        for norm, mixture in zip(self.norms, self.mixtures, strict=True):
            x = x + mixture(norm(x))
        out: Tensor = self.head(x)
        return out


def checked(samples: int = 512, trial: int | None = None, **options: float) -> sg.Report:
    torch.manual_seed(0)
    x = torch.randn(samples, WIDTH)
    y = (x @ torch.randn(WIDTH, 4)).argmax(1)
    model = Net(**options)  # type: ignore[arg-type]
    return sg.check(model, (x, y), F.cross_entropy, optimizer="adam:1e-3", trial=trial)


@pytest.mark.parametrize(
    "options", [{}, {"every": True}, {"stacked": True}], ids=["picked alone", "all run", "stacked"]
)
def test_experts_that_are_never_picked_are_told_at_the_router(options: dict[str, float]) -> None:
    report = checked(shift=4.0, **options)
    assert report.verdict is sg.Verdict.AT_RISK
    (finding,) = (one for one in report.findings if one.severity != "info")
    assert finding.code == "SG110"
    assert finding.location is not None and finding.location.text == "gates.topk(self.picked, -1)"
    assert re.fullmatch(
        r"topk never picks [56] of 8 experts in 512 choices and gives \d\d% of them to one: mixtures\.0\.experts\.\d\S*, .* and "
        r"[23] more get a gradient of exactly zero",
        finding.message,
    )
    assert not [one for one in report.findings if one.code == "SG107"]


@pytest.mark.parametrize("options", [{}, {"picked": 2, "layers": 3}, {"every": True}, {"stacked": True}])
def test_a_mixture_whose_choices_spread_is_healthy(options: dict[str, float]) -> None:
    report = checked(**options)
    assert report.verdict is sg.Verdict.HEALTHY
    assert report.findings == ()
    assert {one.used for one in report.trace.routings} == {OPTIONS}


def test_a_small_batch_is_no_disease() -> None:
    report = checked(samples=16)
    assert report.verdict is sg.Verdict.HEALTHY
    (finding,) = report.findings
    assert finding.severity == "info" and "never picks 3 of 8 experts in 16 choices" in finding.message


def test_the_probe_alone_does_not_say_whether_they_stay_so() -> None:
    report = checked(shift=4.0, trial=0)
    assert [(one.code, one.severity) for one in report.findings] == [("SG110", "info")]


def test_a_collapse_that_begins_within_the_steps_is_told() -> None:
    """Each token prefers the expert of its own feature at first; what an expert gives is worth nothing but the first's."""

    class Tilted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bias = nn.Parameter(torch.zeros(OPTIONS))
            self.experts = nn.ModuleList(nn.Linear(WIDTH, 1) for _ in range(OPTIONS))

        def forward(self, x: Tensor) -> Tensor:
            gates = (x[:, :OPTIONS] + self.bias).softmax(-1)
            index = gates.argmax(-1)
            out = torch.stack([expert(x)[:, 0] for expert in self.experts], 1)
            return (out * F.one_hot(index, OPTIONS)).sum(1) - 10 * gates[:, 0]

    torch.manual_seed(0)
    model = Tilted()
    x = torch.randn(512, WIDTH)
    report = sg.check(
        model, (x, x[:, 0] - 10), F.mse_loss, optimizer=torch.optim.Adam(model.parameters(), lr=1.0), trial=30
    )
    assert all(one.used == OPTIONS for one in report.trace.routings)
    (finding,) = (one for one in report.findings if one.code == "SG110")
    assert finding.severity == "warning" and finding.message.startswith(
        "after 30 steps argmax never picks 7 of 8 experts"
    )


class Quantizer(nn.Module):
    """The nearest entry of a codebook in place of what the encoder gives."""

    def __init__(self, entries: int, place: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.encode, self.decode = nn.Linear(WIDTH, 4), nn.Linear(4, WIDTH)
        self.codebook = nn.Embedding(entries, 4)
        with torch.no_grad():
            self.codebook.weight.copy_(place(self.encode(torch.randn(entries, WIDTH))))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        z = self.encode(x)
        nearest = torch.cdist(z, self.codebook.weight).argmin(-1)
        q = self.codebook(nearest)
        out = self.decode(z + (q - z).detach())
        return {"loss": F.mse_loss(out, x) + F.mse_loss(q, z.detach()) + 0.25 * F.mse_loss(z, q.detach())}


def far(codes: Tensor) -> Tensor:
    return torch.cat([codes[:1], codes[1:] + 20])


@pytest.mark.parametrize(
    ("place", "told"), [(far, ["SG110"]), (lambda codes: codes, [])], ids=["far away", "drawn from it"]
)
def test_a_codebook_is_sick_where_one_entry_takes_all(place: Callable[[Tensor], Tensor], told: list[str]) -> None:
    torch.manual_seed(0)
    report = sg.check(Quantizer(64, place), (torch.randn(512, WIDTH),), optimizer="adam:1e-3")
    assert [one.code for one in report.findings if one.severity != "info"] == told
    if told:
        assert "argmin never picks 63 of 64 entries in 512 choices" in report.findings[0].message


def test_rows_of_an_embedding_and_the_argmax_of_a_metric_are_no_choices() -> None:
    class Tagger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.head = nn.Embedding(50, 10), nn.Linear(10, 10)
            self.right = 0.0

        def forward(self, words: Tensor) -> Tensor:
            scores: Tensor = self.head(self.embed(words))
            self.right = float((scores.argmax(-1) == words % 10).float().mean())
            return scores

    torch.manual_seed(0)
    words = torch.randint(20, (64,))
    report = sg.check(Tagger(), (words, words % 10), F.cross_entropy, optimizer="adam:1e-2")
    assert report.trace.routings == () and report.findings == ()


@pytest.mark.long
@pytest.mark.parametrize("kind", ["Mixtral", "Qwen2Moe", "Olmoe"])
@pytest.mark.parametrize("length", [8, 32, 64])
def test_the_mixtures_of_transformers_are_healthy_however_small_the_batch(kind: str, length: int) -> None:
    transformers = pytest.importorskip("transformers", reason="needs the extra transformers")
    torch.manual_seed(0)
    experts = "num_local_experts" if kind == "Mixtral" else "num_experts"
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=128,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_experts_per_tok=2,
        output_router_logits=True,
        **{experts: 8},
    )
    words = torch.randint(0, 128, (2, length))
    words[:, 1::2] = (3 * words[:, ::2] + 1) % 128
    report = sg.check(getattr(transformers, f"{kind}ForCausalLM")(config), {"input_ids": words, "labels": words})
    assert report.verdict is sg.Verdict.HEALTHY, report
    assert report.trace.routings


def test_a_routing_goes_to_json_and_back() -> None:
    one = Routing("topk", "gate", None, "experts", "modules", 8, 64, 7, 6.5, 0.25, (3,))
    assert from_jsonable(Routing, to_jsonable(one)) == one
    assert one.holds("experts.3.weight") and not one.holds("experts.30.weight") and not one.holds("experts.4.weight")
