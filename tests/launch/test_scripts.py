"""Scripts that were not written for it: same output, same result, same exit code, and what is watched is told."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.families import always
from tests.launch.pairs import SCRIPTS, Pair, pair, watched


@dataclass(frozen=True)
class Case:
    """A script, and what is to be seen of it."""

    script: str
    steps: tuple[int, ...]
    """Of each guard."""
    code: int = 0
    arguments: tuple[str, ...] = ()
    stdin: str = ""
    torchrun: bool = False
    same_stderr: bool = True
    """Whether what it writes on standard error is the same each time."""


CASES = (
    Case("plain.py", (24,)),
    Case(
        "arguments.py", (3,), arguments=("--epochs", "3", "-m", "0.9", "--clip", "1", "--quiet", "--", "--journal", "x")
    ),
    Case("checkpoint.py", (6, 6)),
    Case("accumulate.py", (8,)),
    Case("mixed_precision.py", (16,)),
    Case("closure.py", (4,)),
    Case("two_models.py", (12,)),
    Case("workers.py", (12,)),
    Case("raises.py", (4,), code=1),
    Case("exits_with_7.py", (5,), code=7),
    Case("reads_stdin.py", (20,), stdin="1 2 3\n2 3 5\n"),
    Case("sick.py", (5,)),
    Case("distributed.py", (10,), torchrun=True, same_stderr=False),
    Case("spawned.py", (9, 9, 3)),
    Case("with_trainer.py", (6,), same_stderr=False),
    Case("with_lightning.py", (8,), same_stderr=False),
)


@pytest.mark.parametrize(
    "case",
    always(CASES, "plain", name=lambda case: case.script.removesuffix(".py")),
)
def test_an_unmodified_script(case: Case, tmp_path: Path) -> None:
    both = pair([str(SCRIPTS / case.script), *case.arguments], tmp_path, stdin=case.stdin, torchrun=case.torchrun)
    if "terminate called without an active exception" in both.bare.stderr:
        # Threads of torch's that a busy machine still has at the exit of the bare run.
        both = pair([str(SCRIPTS / case.script), *case.arguments], tmp_path, stdin=case.stdin, torchrun=case.torchrun)
    assert both.bare.code == case.code, both.bare.stderr
    assert both.watched.code == case.code, both.watched.stderr
    assert both.watched.stdout == both.bare.stdout
    if case.same_stderr:
        assert both.watched.theirs == both.bare.stderr
    assert steps_told(both) == sorted(case.steps, reverse=True)
    assert "training goes on" not in both.watched.stderr


def steps_told(both: Pair) -> list[int]:
    """The steps of each line that sums a guard up."""
    found = [re.search(r"^steadygrad: (?:\S+: )?([\d,]+) steps? · ", line) for line in both.watched.ours]
    return sorted((int(match[1].replace(",", "")) for match in found if match), reverse=True)


@pytest.mark.long
def test_a_finding_names_the_line_of_the_script(tmp_path: Path) -> None:
    script = tmp_path / "sick.py"
    script.write_text((SCRIPTS / "sick.py").read_text())
    ran = watched(["sick.py"], tmp_path, options=["--no-journal"])
    line, column = _place_of(script, "nn.Sigmoid()")
    assert any(f"first step: error[SG102] sick.py:{line}:{column} " in told for told in ran.ours)


def _place_of(script: Path, text: str) -> tuple[int, int]:
    for number, line in enumerate(script.read_text().splitlines(), 1):
        if text in line:
            return number, line.index(text) + 1
    raise AssertionError(f"no {text} in {script}")


@pytest.mark.long
def test_one_journal_for_both_models_of_a_pair(tmp_path: Path) -> None:
    watched([str(SCRIPTS / "two_models.py")], tmp_path)
    (journal,) = (tmp_path / "runs").glob("*.sgj")
    from steadygrad.journal.read import read

    run = read(journal)
    assert {one.optimizer for one in run.watched} == {0, 1}
    assert {one.name.split(".")[0] for one in run.watched} == {"Generator", "Discriminator"}


@pytest.mark.long
def test_a_search_over_settings_is_told_of_in_few_lines(tmp_path: Path) -> None:
    (tmp_path / "search.py").write_text(
        "import torch\ntorch.manual_seed(0)\nfor i in range(9):\n    m = torch.nn.Linear(4, 1)\n"
        "    o = torch.optim.SGD(m.parameters(), lr=0.01)\n"
        "    for _ in range(3):\n        o.zero_grad()\n        m(torch.randn(8, 4)).pow(2).mean().backward()\n        o.step()\n"
    )
    both = pair(["search.py"], tmp_path)
    assert both.watched.code == 0
    assert both.watched.ours[-1] == "steadygrad: 9 sets of optimizers, 27 steps, 0 with an alarm; 9 journals in runs"
    assert len(both.watched.ours) <= 6


@pytest.mark.parametrize("framework", always(["accelerate", "lightning", "trainer"]))
def test_the_bad_batch_of_a_framework_s_loop_is_named(framework: str, tmp_path: Path) -> None:
    both = pair([str(SCRIPTS / f"bad_batch_{framework}.py")], tmp_path, options=["--no-journal"])
    assert both.bare.code == both.watched.code == 0, both.watched.stderr
    assert both.watched.stdout == both.bare.stdout
    assert steps_told(both) == [120]
    named = [line for line in both.watched.ours if "[SG201]" in line or "[SG206]" in line]
    assert [re.match(r"steadygrad: step (\d+):", line)[1] for line in named] == ["60"]  # type: ignore[index]
    assert "SG306" not in both.watched.stderr
    assert "SG307" not in both.watched.stderr
    assert "training goes on" not in both.watched.stderr


@pytest.mark.long
def test_a_guard_that_is_collected_before_the_end_is_summed_up(tmp_path: Path) -> None:
    """A program may drop model and optimizer, or something may collect them while the interpreter ends."""
    (tmp_path / "train.py").write_text(
        "import gc\n"
        "import torch\n"
        "def main():\n"
        "    model = torch.nn.Linear(4, 1)\n"
        "    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)\n"
        "    for _ in range(5):\n"
        "        optimizer.zero_grad()\n"
        "        model(torch.randn(8, 4)).square().mean().backward()\n"
        "        optimizer.step()\n"
        "main()\n"
        "gc.collect()\n"
    )
    ran = watched(["train.py"], tmp_path, options=["--no-journal", "--no-check"])
    assert ran.ours[-1] == "steadygrad: 5 steps · no alarm"
