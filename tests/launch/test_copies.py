"""What a watched program copies, pickles, scripts and exports is what a bare one does, and loads where there is no steadygrad."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.launch.pairs import SCRIPTS, pair

LOADS = """
import pickle, sys
sys.modules["steadygrad"] = None
import torch
from torch import nn
torch.serialization.add_safe_globals([nn.Sequential, nn.Linear, nn.ReLU, set])
for name in sys.argv[1:]:
    if name.endswith(".states"):
        weights, state = torch.load(name, weights_only=True)
        assert all(torch.isfinite(one).all() for one in weights.values()) and state["param_groups"]
    elif name.endswith(".scripted"):
        assert torch.isfinite(torch.jit.load(name)(torch.ones(2, 8))).all()
    elif name.endswith(".pt2"):
        assert torch.isfinite(torch.export.load(name).module()(torch.ones(2, 8))).all()
    elif name.endswith(".pt"):
        for model in torch.load(name, weights_only=True):
            assert torch.isfinite(model(torch.ones(2, 8))).all()
            torch.jit.script(model)
    else:
        with open(name, "rb") as file:
            pickle.load(file)
            optimizer, *hooks = pickle.load(file)
        optimizer.step()
        for hook in (hook for one in hooks for hook in one.values()):
            assert hook(optimizer, (), {}) is None
print("loaded")
"""


def contents(path: Path) -> bytes:
    """What a file holds, unpacked where it is an archive."""
    if not zipfile.is_zipfile(path):
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        return b"".join(archive.read(name) for name in archive.namelist())


@pytest.mark.long
def test_copies_hold_nothing_of_ours(tmp_path: Path) -> None:
    both = pair([str(SCRIPTS / "copies.py"), "kept"], tmp_path)
    assert both.bare.code == 0, both.bare.stderr
    assert both.watched.code == 0, both.watched.stderr
    assert both.watched.stdout == both.bare.stdout
    assert any(line.startswith("steadygrad: 12 steps") for line in both.watched.ours), both.watched.stderr


@pytest.mark.long
def test_they_load_where_steadygrad_cannot_be_imported(tmp_path: Path) -> None:
    ran = pair([str(SCRIPTS / "copies.py"), "kept"], tmp_path).watched
    assert ran.code == 0, ran.stderr
    files = sorted(tmp_path.glob("kept-*"))
    assert len(files) == 10
    for one in files:
        # A folder of this name, in which the tests lie, is in the paths of sources that a scripted module remembers.
        assert b"steadygrad" not in contents(one).replace(str(SCRIPTS.parents[2]).encode(), b"")
    loaded = subprocess.run(
        [sys.executable, "-c", LOADS, *map(str, files)], capture_output=True, text=True, check=False
    )
    assert (loaded.stdout, loaded.returncode) == ("loaded\n", 0), loaded.stderr
