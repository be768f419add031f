"""In a notebook a place is a cell and a line, in every form in which it is said."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from steadygrad.record import Location
from tests.notebook.running import printed, run, shown

NET = """
import torch
from torch import nn
import steadygrad as sg


class Deep(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(16, 16) for _ in range(12))

    def forward(self, x):
        for layer in self.layers:
            x = torch.sigmoid(layer(x))
        return x
""".strip()

CHECK = """
torch.manual_seed(0)
batch = torch.randn(32, 16), torch.randint(0, 16, (32,))
report = sg.check(Deep(), batch, nn.functional.cross_entropy, trial=0)
report
""".strip()

SAID = """
from steadygrad.report import render
print(str(report))
print("---")
print(report.to_json())
print("---")
print(render(report, "concise"))
""".strip()

BUILT = """
hidden = [one for _ in range(12) for one in (nn.Linear(16, 16), nn.Sigmoid())]
net = nn.Sequential(*hidden, nn.Linear(16, 16))
""".strip()

INFERRED = """
print(sg.check(net, batch, nn.functional.cross_entropy, trial=0).findings[0].location)
""".strip()

IGNORED = (
    CHECK.replace("Deep()", "Quiet()").replace("report = sg", "quiet = sg").removesuffix("report")
    + "print(quiet.ignored[0])"
)


@pytest.mark.long
def test_a_place_in_a_notebook_is_a_cell_and_a_line(tmp_path: Path) -> None:
    quiet = NET.replace("Deep", "Quiet").replace("layer(x))", "layer(x))  # steadygrad: ignore[SG102]")
    book = run([NET, CHECK, SAID, NET, CHECK, BUILT, INFERRED, quiet, IGNORED], tmp_path)
    first, said, again = book.cells[1], book.cells[2], book.cells[4]
    (page,) = shown(first, "text/html")
    assert "cell [1], line 13" in page and "ipykernel_" not in page
    text, saved, concise = printed(said).split("\n---\n")
    assert "--> cell [1], line 13" in text and "^" * len("torch.sigmoid(layer(x))") in text and "ipykernel_" not in text
    place = json.loads(saved)["findings"][0]["location"]
    assert (place["path"], place["line"], place["column"]) == ("cell [1]", 13, 17) and "ipykernel_" not in saved
    assert re.match(r"cell \[1\], line 13: error SG102 ", concise)
    # The same cell run again has another number beside it.
    assert "cell [4], line 13" in shown(again, "text/html")[0] and "cell [1]" not in shown(again, "text/html")[0]
    assert printed(book.cells[6]) == "cell [6], line 1\n"
    assert re.match(r"SG102 at cell \[8\], line 13, by the comment on line 13", printed(book.cells[8]))


def test_a_place_in_a_file_is_as_editors_read_it() -> None:
    at = Location("net.py", 9, 17, 9, 20)
    assert (str(at), at.cell, at.file) == ("net.py:9:17", "", "net.py")
    odd = Location("/tmp/cell [2]/net.py", 9, 17, 9, 20)
    assert (str(odd), odd.cell, odd.file) == ("/tmp/cell [2]/net.py:9:17", "", "/tmp/cell [2]/net.py")


def test_a_cell_of_a_file_names_both() -> None:
    at = Location("/home/me/net.ipynb:cell [2]", 9, 17, 9, 20)
    assert (str(at), at.cell, at.file) == ("/home/me/net.ipynb:cell [2], line 9", "cell [2]", "/home/me/net.ipynb")
    assert Location("cell [2]", 9, 17, 9, 20).file == ""
