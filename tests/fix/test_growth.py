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
from steadygrad._fix.growth import ScalePatch, patch_of
from steadygrad.cli import main
from steadygrad.errors import CannotFixError
from steadygrad.scaling.check_depth import DepthScaled, depth_of
from steadygrad.scaling.check_scale import Scaled, scale_of
from steadygrad.subject.from_options import plain_options, subject_of
from tests.families import always
from tests.fix.growing import BLOCK, CLASS, CONFIG, FUNCTION, MAIN, OTHER_OPTIMIZERS, REFUSED, SETUP
from tests.forgetting import forget

Found = Scaled | DepthScaled
FRESH = verify_growth.asked_of


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A folder of its own; the patch is proven by the code of the fresh process, in this one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    def asked_of(request: verify_growth.Request) -> str:
        forget(tmp_path)
        return verify_growth.answer(request)

    monkeypatch.setattr(verify_growth, "asked_of", asked_of)
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


def patched(text: str, target: str, argument: str, sizes: tuple[int, ...], **given: Any) -> tuple[Found, ScalePatch]:
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
    assumed = [one.words for one in subject_of("net.py:Net", plain_options(inputs=["16,8"])).assumptions]
    assert "AdamW, learning rate 0.001, in the groups of Net.parameter_groups" in assumed
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


def test_what_becomes_of_the_model_behind_its_optimizer_does_not_matter() -> None:
    main = MAIN.replace("    return", "    model, optimizer = prepare(model, optimizer)\n    return")
    text = f"import torch{CLASS}{main}\n\ndef test():\n    model = torch.load('net.pt')\n"
    patched(text, "net.py:Net", "hidden", (16, 32))
    assert "Adam(model.parameter_groups(lr=1e-3), eps=1e-9)" in Path("net.py").read_text()


def test_the_optimizer_of_a_script_that_imports_the_model() -> None:
    Path("train.py").write_text(f"import torch\nfrom net import Net\n{MAIN}")
    Path("net.py").write_text(CLASS)
    found, options = measured("train.py:Net", "hidden", (16, 32))
    patch = patch_of(found, "train.py:Net", options)
    assert [source.path.name for source in patch.sources] == ["net.py", "train.py"]
    assert "+    optimizer = torch.optim.Adam(model.parameter_groups(lr=1e-3), eps=1e-9)" in patch.diff()


@pytest.mark.parametrize("text", [CLASS, FUNCTION], ids=["class", "function"])
def test_tabs_and_line_ends_stay_those_of_the_file(text: str) -> None:
    text = text.replace("    ", "\t").replace("\n", "\r\n")
    Path("net.py").write_bytes(text.encode())
    target, argument = ("net.py:build", "width") if "def build" in text else ("net.py:Net", "hidden")
    found, options = measured(target, argument, (16, 32))
    after = patch_of(found, target, options).sources[0].patched
    assert after.count("\n") == after.count("\r\n") and "    " not in after


def test_an_attribute_of_the_models_own_keeps_its_value() -> None:
    text = CLASS.replace("        nn.init", "        self.width_ratio = 3\n        nn.init")
    found, _ = patched(text, "net.py:Net", "hidden", (16, 32))
    after = Path("net.py").read_text()
    assert exact(found, text, after, lambda module, size: module.Net(size), 64)
    assert run(after).Net(32).width_ratio == 3


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
        "display only: left as it was: first.parametrizations.weight.original0; a layer's weight is computed from them",
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
