"""The cure of ``scale`` in the user's source: exact to the bit against the numbers, seen by ``scale`` again, and never half."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from steadygrad._fix import verify_growth
from steadygrad._fix.growth import Patch, patch_of
from steadygrad.cli import main
from steadygrad.errors import CannotFixError
from steadygrad.scaling.check_depth import DepthScaled, depth_of
from steadygrad.scaling.check_scale import Scaled, scale_of
from steadygrad.subject.from_options import plain_options, subject_of
from tests.families import always
from tests.forgetting import forget

Found = Scaled | DepthScaled
FRESH = verify_growth.asked_of


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A folder of its own; the patch is proven by the code of the fresh process, in this one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setattr(verify_growth, "asked_of", verify_growth.answer)
    yield tmp_path
    forget(tmp_path)


def measured(target: str, argument: str, sizes: tuple[int, ...], *, deep: bool = False, **given: Any) -> Any:
    """What ``scale`` finds of a target's text, and the options of each size."""
    plain = {**plain_options(inputs=["16,8"], optimizer="adam:1e-3"), **given}

    def options(size: int) -> dict[str, Any]:
        return {**plain, "arguments": [*plain["arguments"], f"{argument}={size}"]}

    def member(size: int, seed: int) -> Any:
        return subject_of(target, {**options(size), "seed": seed})

    if deep:
        return depth_of(member, sizes, argument, target=target, seeds=1, seconds=0), options
    return scale_of(member, sizes, argument, target=target, seeds=1, steps=1), options


def patched(text: str, target: str, argument: str, sizes: tuple[int, ...], **given: Any) -> tuple[Found, Patch]:
    """The patch of a file with this text, written into it."""
    path = Path(target.partition(":")[0])
    path.write_text(text)
    found, options = measured(target, argument, sizes, **given)
    patch = patch_of(found, target, options)
    assert path.read_text() == text
    patch.write()
    return found, patch


def refused(text: str, target: str = "net.py:Net", argument: str = "hidden", **given: Any) -> str:
    """The one sentence that says why there is no patch."""
    Path("net.py").write_text(text)
    found, options = measured(target, argument, given.pop("sizes", (16, 32)), **given)
    with pytest.raises(CannotFixError) as raised:
        patch_of(found, target, options)
    assert Path("net.py").read_text() == text
    return str(raised.value)


def run(text: str) -> ModuleType:
    """The text as a program's own modules see it: plain Python, none of our loading."""
    made = sys.modules["run"] = ModuleType("run")  # Where dataclasses look.
    exec(compile(text, "run.py", "exec"), made.__dict__)
    return made


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: weight.detach() for name, weight in model.named_parameters()}


def rates(model: nn.Module, groups: list[dict[str, Any]]) -> dict[str, float]:
    names = {id(weight): name for name, weight in model.named_parameters()}
    return {names[id(weight)]: group["lr"] for group in groups for weight in group["params"]}


def exact(found: Found, before: str, after: str, build: Callable[[ModuleType, int], nn.Module], size: int) -> bool:
    """Whether the patched file builds, at a size that was not measured, what the numbers make of the file as it was."""
    torch.manual_seed(3)
    ours = build(run(before), size)
    found.initialise_(ours, size)
    torch.manual_seed(3)
    module = run(after)
    theirs = build(module, size)
    same = all(torch.equal(weight, weights(ours)[name]) for name, weight in weights(theirs).items())
    own = getattr(theirs, "parameter_groups", None) or (lambda lr: module.parameter_groups(theirs, lr))
    made = rates(theirs, own(lr=0.1))
    return same and made == rates(ours, found.groups(ours, size, lr=0.1)) and len(set(made.values())) > 1


CLASS = """
from torch import nn


class Net(nn.Module):
    def __init__(self, hidden=16, classes=10):
        super().__init__()
        self.first = nn.Linear(8, hidden)
        self.middle = nn.Linear(hidden, hidden)
        self.head = nn.Linear(hidden, classes)
        nn.init.zeros_(self.head.bias)

    def forward(self, x):
        return self.head(self.middle(self.first(x).relu()).relu())
"""

MAIN = """

def main():
    model = Net(hidden=512).to("cpu")
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-9)
    return model, optimizer
"""

FUNCTION = """
import torch
from torch import nn


def build(width=16):
    return nn.Sequential(
        nn.Linear(8, width),
        nn.ReLU(),
        nn.Linear(width, width),
        nn.ReLU(),
        nn.Linear(width, 10),
    )


def main():
    net = build(512)
    return torch.optim.AdamW(net.parameters(), 1e-3)
"""

BLOCK = """
from dataclasses import dataclass

import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))

    def forward(self, x):
        return x + self.mlp(self.norm(x))
"""

CONFIG = (
    BLOCK
    + """

@dataclass
class Config:
    hidden: int = 16
    layers: int = 2


class Net(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.embed = nn.Linear(8, config.hidden)
        self.blocks = nn.ModuleList(Block(config.hidden) for _ in range(config.layers))
        self.head = nn.Linear(config.hidden, 10)

    def forward(self, x):
        x = self.embed(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)
"""
)


@pytest.mark.parametrize("optimizer", always(["adam:1e-3", "sgd:0.1"], "sgd:0.1"))
def test_a_class_starts_and_moves_as_the_numbers_say(optimizer: str) -> None:
    found, _ = patched(CLASS, "net.py:Net", "hidden", (16, 32, 64), optimizer=optimizer)
    after = Path("net.py").read_text()
    assert exact(found, CLASS, after, lambda module, size: module.Net(size), 160)
    assert "self.first.weight.mul_(" not in CLASS and ".weight.mul_(self.width_ratio**" in after


def test_the_optimizer_of_the_file_is_given_the_groups() -> None:
    text = f"import torch{CLASS}{MAIN}"
    found, patch = patched(text, "net.py:Net", "hidden", (16, 32))
    after = Path("net.py").read_text()
    assert "torch.optim.Adam(model.parameter_groups(lr=1e-3), eps=1e-9)" in after
    assert patch.told == (
        "Adam of main in net.py: the rate is that of hidden = 16 from now on; give the best one there",
    )
    model, optimizer = run(after).main()
    assert rates(model, optimizer.param_groups) == rates(model, found.groups(model, 512, lr=1e-3))


def test_scale_finds_nothing_any_more() -> None:
    """The method is read by what makes an optimizer from words, so the same command sees the patched whole."""
    patched(CLASS, "net.py:Net", "hidden", (16, 32, 64))
    forget(Path.cwd())
    again, options = measured("net.py:Net", "hidden", (16, 32, 64))
    assert again.stable, again
    with pytest.raises(CannotFixError, match="nothing to patch: nothing grows with hidden"):
        patch_of(again, "net.py:Net", options)


def test_a_patched_constructor_is_not_patched_again() -> None:
    """Measured with an optimizer that knows nothing of its groups."""
    patched(CLASS, "net.py:Net", "hidden", (16, 32))
    text = Path("net.py").read_text().replace("(steadygrad scale)", "")
    assert "Net has a patch of steadygrad scale already" in refused(text)


def test_a_function_is_ended_with_its_model() -> None:
    found, _ = patched(FUNCTION, "net.py:build", "width", (16, 32, 64))
    after = Path("net.py").read_text()
    assert exact(found, FUNCTION, after, lambda module, size: module.build(size), 160)
    assert "    model = nn.Sequential(\n        nn.Linear(8, width)," in after
    assert "    return model\n\n\ndef parameter_groups(model, lr):" in after
    assert "torch.optim.AdamW(parameter_groups(net, lr=1e-3))" in after
    assert "model[-1].weight.mul_(model.width_ratio**-0.5)" in after


SETUP = CLASS.replace("from torch", "import torch\nfrom torch") + (
    """

def setup(hidden=16):
    model = Net(hidden)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    batch = torch.randn(32, 8, generator=torch.Generator().manual_seed(0)), torch.arange(32) % 10
    return model, batch, nn.CrossEntropyLoss(), optimizer
"""
)


def test_a_setup_has_its_optimizer_made_behind_the_start() -> None:
    """The optimizer that the function makes is the one measured: with its groups nothing grows any more."""
    given = {"inputs": [], "optimizer": None}
    patched(SETUP, "net.py:setup", "hidden", (16, 32, 64), **given)
    forget(Path.cwd())
    again, _ = measured("net.py:setup", "hidden", (16, 32, 64), **given)
    assert again.stable, again


def test_a_configuration_is_read_as_the_constructor_reads_it() -> None:
    found, patch = patched(CONFIG, "net.py:Net", "config.hidden", (16, 32, 64))
    after = Path("net.py").read_text()
    assert exact(found, CONFIG, after, lambda module, size: module.Net(module.Config(hidden=size)), 96)
    assert "self.width_ratio = config.hidden / 16\n" in after
    assert "def parameter_groups(self, lr: float) -> list[dict]:" in after
    assert max(map(len, patch.diff().splitlines())) <= 89
    assert patch.told == (
        "display only: give model.parameter_groups(lr=...) to the optimizer (no optimizer stands in net.py)",
    )


def test_a_configuration_of_keys_as_well() -> None:
    text = CONFIG.replace("config.hidden", 'config["hidden"]').replace("config.layers", 'config["layers"]')
    text = text.replace("config: Config", "config") + '\n\nconfig = {"hidden": 16, "layers": 2}\n'
    found, _ = patched(text, "net.py:Net", "config.hidden", (16, 32, 64))
    after = Path("net.py").read_text()
    assert 'self.width_ratio = config["hidden"] / 16\n' in after
    assert exact(found, text, after, lambda module, size: module.Net({"hidden": size, "layers": 2}), 96)


def test_over_depth_the_ends_of_branches() -> None:
    found, _ = patched(CONFIG, "net.py:Net", "config.layers", (2, 4, 8), deep=True)
    after = Path("net.py").read_text()
    config: Callable[[ModuleType, int], nn.Module] = lambda module, size: module.Net(module.Config(layers=size))  # noqa: E731
    assert exact(found, CONFIG, after, config, 12)
    assert "for block in self.blocks:\n                block.mlp[-1].weight.mul_(self.depth_ratio**-1)" in after


def test_over_depth_where_the_blocks_stand_among_other_layers() -> None:
    text = f"""{BLOCK}

def build(depth=2):
    return nn.Sequential(nn.Linear(8, 16), *(Block(16) for _ in range(depth)), nn.Linear(16, 10))
"""
    found, _ = patched(text, "net.py:build", "depth", (2, 4, 8), deep=True)
    assert exact(found, text, Path("net.py").read_text(), lambda module, size: module.build(size), 12)


OTHER_OPTIMIZERS = {
    "wrapped": (
        MAIN.replace('.to("cpu")', "\n    model = nn.DataParallel(model)"),
        "model is also nn.DataParallel(model)",
    ),
    "another model": (MAIN.replace("Net(hidden=512)", "nn.Linear(2, 2)"), "model is not seen to be Net"),
    "groups": (
        MAIN.replace("model.parameters()", "list(model.parameters())"),
        "not made from plain model.parameters()",
    ),
}


@pytest.mark.parametrize("kind", always(OTHER_OPTIMIZERS, "wrapped"))
def test_an_optimizer_that_is_not_seen_to_be_the_models_is_named_and_left(kind: str) -> None:
    main, why = OTHER_OPTIMIZERS[kind]
    _, patch = patched(f"import torch{CLASS}{main}", "net.py:Net", "hidden", (16, 32))
    assert Path("net.py").read_text().endswith(main)
    (told,) = patch.told
    assert told.startswith(
        "display only: give model.parameter_groups(lr=...) to the optimizer (Adam of main in net.py: "
    )
    assert why in told


def test_what_gives_every_group_one_rate_is_named() -> None:
    loop = '    for group in optimizer.param_groups:\n        group["lr"] = 1e-4\n    return'
    text = f"import torch{CLASS}{MAIN.replace('    return', loop)}"
    _, patch = patched(text, "net.py:Net", "hidden", (16, 32))
    assert (
        'net.py: group["lr"] = 1e-4 gives every group one rate; multiply that of each group instead' in patch.told[-1]
    )


def test_a_comment_beside_the_rate_is_kept() -> None:
    main = MAIN.replace(
        "model.parameters(), lr=1e-3, eps=1e-9", "\n        model.parameters(),  # all\n        lr=1e-3,\n    "
    )
    patched(f"import torch{CLASS}{main}", "net.py:Net", "hidden", (16, 32))
    assert "model.parameter_groups(lr=1e-3),  # all\n        lr=1e-3," in Path("net.py").read_text()


REFUSED = {
    "other optimizer": (
        f"import torch{CLASS}{MAIN.replace('Adam', 'RMSprop')}",
        "makes RMSprop, and Adam was measured",
    ),
    "keywords": (
        CLASS.replace("hidden=16, classes=10):", "**sizes):\n        hidden, classes = sizes['hidden'], 10"),
        "no argument",
    ),
    "changed": (
        CLASS.replace("        super", "        hidden = 2 * hidden\n        super"),
        "does not start head.weight at 16 as the cure does",
    ),
    "own groups": (
        f"{CLASS}\n    def parameter_groups(self):\n        return []\n",
        "a method parameter_groups already",
    ),
    "generated": (f"# Generated by nets.toml. DO NOT EDIT.\n{CLASS}", "net.py says that it is generated"),
    "inherited": (f"{CLASS}\n\nclass Wide(Net):\n    pass\n", "Wide has no __init__ of its own to patch"),
    "early": (
        CLASS.replace("        nn.init", "        if classes < 0:\n            return\n        nn.init"),
        "returns before its end",
    ),
}


@pytest.mark.parametrize("kind", always(REFUSED, "changed", "other optimizer"))
def test_what_cannot_be_done_truly_is_refused_in_one_sentence(kind: str) -> None:
    text, why = REFUSED[kind]
    said = refused(text, "net.py:Wide" if kind == "inherited" else "net.py:Net")
    assert why in said and "\n" not in said


@pytest.mark.long
def test_a_net_without_skips_has_no_patch_over_depth() -> None:
    text = """
from torch import nn


def build(depth=4):
    layers = (m for _ in range(depth) for m in (nn.Linear(16, 16), nn.Sigmoid()))
    return nn.Sequential(nn.Linear(8, 16), *layers, nn.Linear(16, 2))
"""
    said = refused(text, "net.py:build", "depth", sizes=(4, 8, 16), deep=True)
    assert "a net without skips has none for every depth; steadygrad cure folds it or gives it skips" in said


def test_a_multiplier_is_named_and_the_rest_is_patched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a tied weight; the record is made so, since a small model that needs one takes seconds to measure."""
    Path("net.py").write_text(CLASS)
    found, options = measured("net.py:Net", "hidden", (16, 32))
    found = dataclasses.replace(found, computed=("first.parametrizations.weight.original0",))
    monkeypatch.setattr("steadygrad._fix.growth.multipliers", lambda _: {"blocks.0.w": -0.5, "blocks.1.w": -0.5})
    told = patch_of(found, "net.py:Net", options).told
    assert told[:2] == (
        "display only: in forward multiply the logits that blocks.*.w makes by (hidden / 16) ** -0.5",
        "display only: first.parametrizations.weight.original0 stay as they are: a layer's weight is computed from them",
    )


@pytest.mark.parametrize("broken", ["cannot run: NameError: name 'nothing' is not defined", "does not start 0.weight"])
def test_a_patch_that_does_not_hold_is_not_offered(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify_growth, "asked_of", lambda _: broken)
    assert refused(CLASS) == f"the patched source {broken}; --write cure.py gives the cure as a module of your own"


def test_the_command_prints_the_patch_alone_and_writes_it_where_asked(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (here / "net.py").write_text(CLASS)
    words = ["scale", "net.py:Net", "--width", "hidden=16,32", "--input", "16,8", "--seeds", "1", "-q"]
    assert main([*words, "--diff"]) == 1
    said = capfd.readouterr()
    assert said.out.startswith("--- a/net.py\n+++ b/net.py\n@@ ") and (here / "net.py").read_text() == CLASS
    assert "error[rate]: " in said.err
    assert said.err.endswith("to put it into the source, run the same with --write-source\n")
    if shutil.which("patch") is not None:
        subprocess.run(["patch", "-p1"], input=said.out, text=True, check=True, capture_output=True)
        by_patch = (here / "net.py").read_text()
        (here / "net.py").write_text(CLASS)
        forget(here)
        assert main([*words, "--write-source"]) == 0
        said = capfd.readouterr()
        assert "error[rate]: " in said.out and "kept net.py.orig\nwrote net.py\nsafe patch: " in said.err
        assert (here / "net.py").read_text() == by_patch and (here / "net.py.orig").read_text() == CLASS


@pytest.mark.parametrize("other", [["--write-source"], ["--output-format", "json"]])
def test_what_contradicts_is_said_before_anything_is_measured(
    other: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["scale", "net.py:Net", "--width", "hidden=16,32", "--diff", *other]) == 2
    assert f"--diff and {other[0]} contradict each other; give one of them" in capfd.readouterr().err


@pytest.mark.long
def test_a_fresh_process_proves_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify_growth, "asked_of", FRESH)
    patched(CLASS, "net.py:Net", "hidden", (16, 32))
    Path("net.py.orig").unlink()
    forget(Path.cwd())
    assert "does not start head.weight at 16" in refused(REFUSED["changed"][0])
