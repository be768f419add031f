"""Every way to lose a gradient's path, in several shapes of source: SG107 marks the very expression that does it.

In each source « and » stand around the expression that is to be marked. They are taken out before the file is written, and
say where it starts and ends, so no column is counted by hand.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

import steadygrad as sg
from steadygrad.record import Location
from steadygrad.source.spans import recording_constructions
from tests.families import one_in
from tests.rules.cuts import CASES, LOSS, Case


def marked(source: str) -> tuple[str, tuple[int, int, int, int]]:
    """The source without its marks, and the line, column, end line and end column between them."""
    before, rest = source.split("«")
    inside, after = rest.split("»")
    start, end = before, before + inside
    place = (
        start.count("\n") + 1,
        len(start.rpartition("\n")[2]) + 1,
        end.count("\n") + 1,
        len(end.rpartition("\n")[2]) + 1,
    )
    return before + inside + after, place


def loaded(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def checked(source: str, folder: Path, *, trial: int | None = 0) -> tuple[Path, sg.Report]:
    path = folder / "net.py"
    path.write_text(source, encoding="utf-8")
    with recording_constructions():
        model, batch, loss_fn, optimizer = loaded(path).setup()
    return path, sg.check(model, batch, loss_fn, optimizer=optimizer, trial=trial)


def spans(place: Location | None) -> tuple[int, int, int, int] | None:
    return None if place is None else (place.line, place.column, place.end_line, place.end_column)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", one_in(4, CASES))
def test_the_expression_that_cut_the_path_is_marked(case: Case, tmp_path: Path) -> None:
    source, expected = marked(case.source)
    path, report = checked(source, tmp_path)
    found = [f for f in report.findings if f.code == "SG107" and f.severity != "info"]
    assert len(found) == 1, [(f.message, str(f.location)) for f in report.findings]
    place = found[0].location
    assert place is not None
    assert (place.path, spans(place)) == (str(path), expected), (place.text, found[0].message)
    assert case.says in found[0].message
    assert found[0].cures and found[0].label


def test_every_way_has_three_shapes() -> None:
    shapes: dict[str, set[str]] = {}
    for case in CASES:
        shapes.setdefault(case.way, set()).add(case.shape)
    assert len(shapes) >= 20
    assert {way: found for way, found in shapes.items() if len(found) < 3} == {}


def test_the_net_without_a_cut_is_not_told_of(tmp_path: Path) -> None:
    _, report = checked(Case("none", "plain", "").source, tmp_path)
    assert [f for f in report.findings if f.code == "SG107" and f.severity != "info"] == []


WEIGHED = Case(
    "torch.Tensor",
    "beside a learned weight",
    "",
    forward="return self.body(x)[:, :3], self.scale",
    loss="e = torch.Tensor([F.cross_entropy(out[0], y)]).sum()\nreturn e * torch.exp(-out[1]) + out[1]",
)
PART = Case(
    "detach",
    "of a small part",
    "",
    init="self.side = nn.Linear(6, 1)",
    forward="return self.head(self.body(x)) + self.side(x).detach()",
)
THIRD = Case(
    "detach",
    "of a third, which the rest learns without",
    "",
    init="self.side = nn.Linear(6, 12)",
    setup="optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)",
    forward="return self.head(self.body(x)) + self.side(x).detach()[:, :3]",
)


def severities(case: Case, folder: Path, trial: int | None) -> list[str]:
    _, report = checked(case.source, folder, trial=trial)
    return [str(f.severity) for f in report.findings if f.code == "SG107" and f.severity != "info"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("trial", [0, None])
def test_its_severity_is_by_what_is_kept_from_the_loss(trial: int | None, tmp_path: Path) -> None:
    assert severities(WEIGHED, tmp_path, trial) == ["error"], "a learned weight of the loss moves, and nothing else"
    assert severities(PART, tmp_path, trial) == ["warning"]
    assert severities(THIRD, tmp_path, trial) == ["warning"]


def test_what_the_optimizer_was_never_given_may_be_cut(tmp_path: Path) -> None:
    frozen = Case(
        "no_grad",
        "around a trained backbone",
        "",
        forward="with torch.no_grad():\n    h = self.body(x)\nreturn self.head(h)",
        setup="optimizer = torch.optim.Adam([*model.head.parameters(), model.scale], lr=1e-2)",
    )
    assert severities(frozen, tmp_path, None) == []


BY_DESIGN = {
    "logging": (
        "h = self.body(x)\nself.norm = h.norm().item()\nself.kept = h.detach().numpy()\nreturn self.head(h)",
        LOSS,
    ),
    "a head that is only logged": (
        "h = self.body(x)\nself.seen = float(self.side(h).mean())\nreturn self.head(h) * torch.tensor(1.0)",
        LOSS,
    ),
    "straight through": ("h = self.body(x)\nh = h + (torch.round(h) - h).detach()\nreturn self.head(h)", LOSS),
    "a scale from detached values": ("h = self.body(x)\nreturn self.head(h / h.detach().std())", LOSS),
    "a mask over its own values": ("h = self.body(x)\nreturn self.head(h * (h > 0))", LOSS),
    "top k of its own values": (
        "v, i = self.body(x).topk(2)\nreturn self.head(torch.cat([v, x.gather(1, i)], 1))",
        LOSS,
    ),
    "a metric under no_grad": (
        "return self.head(self.body(x))",
        "with torch.no_grad():\n    acc = (out.argmax(1) == y).float().mean().item()\nreturn F.cross_entropy(out, y) + 0 * acc",
    ),
    "gradients on inside": (
        "with torch.no_grad():\n    with torch.enable_grad():\n        h = self.body(x)\nreturn self.head(h)",
        LOSS,
    ),
    "a penalty with its graph": (
        "x = x * 1 if x.requires_grad else x.requires_grad_()\nreturn self.head(self.body(x)), x",
        "g = torch.autograd.grad(out[0].sum(), out[1], create_graph=True)[0]\nreturn F.cross_entropy(out[0], y) + g.norm()",
    ),
    "a buffer that follows": (
        "h = self.body(x)\nwith torch.no_grad():\n    self.mean.mul_(0.9).add_(0.1 * h.mean(0))\nreturn self.head(h - self.mean)",
        LOSS,
    ),
    "a weight that is clipped": ("self.head.weight.data.clamp_(-1, 1)\nreturn self.head(self.body(x))", LOSS),
}


@pytest.mark.parametrize("name", BY_DESIGN)
@pytest.mark.parametrize("trial", [0, None])
def test_what_is_cut_by_design_raises_nothing(name: str, trial: int | None, tmp_path: Path) -> None:
    forward, loss = BY_DESIGN[name]
    init = "self.register_buffer('mean', torch.zeros(4))\nself.side = nn.Linear(4, 1)"
    assert severities(Case(name, "", "", forward=forward, loss=loss, init=init), tmp_path, trial) == []
