"""Each example shows what its docstring says, from the command line, at the line where it happens."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from steadygrad.cli import main
from tests.families import always

FOLDER = Path(__file__).parents[2] / "examples"

# file: (verdict, code, text of the marked expression)
EXPECTED = {
    "deep_sigmoid": ("will not train", "SG102", "torch.sigmoid(fc(x))"),
    "deep_tanh": ("will not train", "SG301", "fc(x)"),
    "exploding_relu": ("will not train", "SG301", "fc(x)"),
    "rnn_100_steps": ("will not train", "SG104", None),
    "post_norm_transformer": ("at risk", None, None),
    "residual_without_scaling": ("will not train", "SG201", None),
    "batch_norm_without_skips": ("at risk", "SG302", "norm(fc(x))"),
    "double_softmax": ("will not train", "SG303", None),
    "unscaled_input": ("at risk", "SG304", None),
    "fp16_underflow": ("will not train", "SG108", None),
    "healthy_convolutional": ("healthy", None, None),
    "healthy_residual": ("healthy", None, None),
    "healthy_transformer": ("healthy", None, None),
}


def test_every_example_is_here() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} - {"digits", "spike"} == set(EXPECTED)


@pytest.mark.long
def test_the_spike_is_caught(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "steadygrad", "run", "--on-alarm", "skip"]
    journal = ["--journal", str(tmp_path / "run.sgj")]
    run = subprocess.run([*command, *journal, str(FOLDER / "spike.py")], capture_output=True, text=True, check=False)
    assert run.returncode == 0 and run.stdout.startswith("loss 0.")
    (alarm,) = [line for line in run.stderr.splitlines() if line.startswith("steadygrad: step ")]
    assert alarm.startswith("steadygrad: step 212: warning[SG206] gradient-spike")
    assert "; the guard skipped step 212; next: " in alarm


@pytest.mark.parametrize(
    "name", always(EXPECTED, "deep_sigmoid", "double_softmax", "unscaled_input", "fp16_underflow", "healthy_residual")
)
def test_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    verdict, code, text = EXPECTED[name]
    exit_code = main(["check", str(FOLDER / f"{name}.py"), "--output-format", "json"])
    report = json.loads(capsys.readouterr().out)
    assert report["verdict"] == verdict
    assert exit_code == (1 if verdict == "will not train" else 0)
    found = [finding for finding in report["findings"] if finding["severity"] != "info"]
    assert [finding["code"] for finding in found][:1] == (
        [code] if code is not None else [f["code"] for f in found][:1]
    )
    if text is not None:
        at = found[0]["location"]
        line = (FOLDER / f"{name}.py").read_text().splitlines()[at["line"] - 1]
        assert line[at["column"] - 1 : at["end_column"] - 1] == text
