"""A configuration that lies beside a model as JSON or YAML builds it, which is said; one that cannot be read is told of."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from steadygrad.cli import main

BY_KEY = """from torch import nn

class Net(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.inner = nn.Linear(config["width"], config["head"]["classes"])

    def forward(self, x):
        return self.inner(x)
"""
TYPED = """from dataclasses import dataclass
from torch import nn

@dataclass
class Config:
    width: int
    classes: int

class Net(nn.Module):
    def __init__(self, cfg: Config):
        super().__init__()
        self.inner = nn.Linear(cfg.width, cfg.classes)

    def forward(self, x):
        return self.inner(x)
"""
AS_JSON = '{"width": 12, "head": {"classes": 5}}'
BOMB = "a: &a [1]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefghi", "bcdefghij", strict=True)
)
ATTRIBUTES = BY_KEY.replace('config["width"], config["head"]["classes"]', "config.width, config.head.classes")

GOOD = {
    "by key": (BY_KEY, "config.json", AS_JSON, [], (12, 5)),
    "as attributes": (ATTRIBUTES, "net.json", AS_JSON, [], (12, 5)),
    "a dataclass without defaults": (TYPED, "config.yaml", "width: 9\nclasses: 3\n", [], (9, 3)),
    "a field of it": (TYPED, "cfg.yml", "width: 9\nclasses: 3\n", ["--arg", "cfg.classes=7"], (9, 7)),
    "repeated without end": (TYPED, "config.yaml", f"{BOMB}width: 9\nclasses: 3\n", [], None),
}
BAD = {
    "cut off": ('{"width": ', "cannot read config.json for config (JSONDecodeError"),
    "no text": ("\udc80", "cannot read config.json for config (UnicodeDecodeError"),
    "nested too deeply": ("[" * 100_000, "cannot read config.json for config (RecursionError"),
    "no mapping": ("[1]", "Net in net.py needs config"),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_file_beside_it_builds_a_model(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    source, file, text, words, sizes = GOOD[name]
    pytest.importorskip("yaml")
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(source)
    Path(file).write_text(text)
    code = main(["check", "net.py", "--trial", "0", "--output-format", "json", *words])
    told = capfd.readouterr()
    if sizes is None:
        assert "Config takes no argument" in told.err
        return
    assert code in (0, 1), told.err
    report = json.loads(told.out)
    assert report["setup"]["parameters"] == sizes[0] * sizes[1] + sizes[1]
    assert any(f"as in {file}" in one["words"] for one in report["setup"]["assumptions"])


@pytest.mark.parametrize("name", BAD)
def test_one_that_cannot_be_used_is_told_of(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    text, words = BAD[name]
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(BY_KEY)
    Path("config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert main(["check", "net.py", "--trial", "0"]) == 2
    assert words in capfd.readouterr().err
