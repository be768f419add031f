"""``guard.show()`` in a notebook: a picture that follows the run and never holds it up, or one that is drawn once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.notebook.running import REASON, printed, run, shown

SET_UP = """
import threading, time
import torch
from torch import nn
import steadygrad as sg

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 3))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
x = torch.randn(64, 8)
y = x[:, :3].argmax(1)


def step():
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()
""".strip()

FOLLOWED = """
guard = sg.guard(model, optimizer, quiet=True, overhead=0.5)
guard.show()
drawn = []
picture = guard.showing.live.widget
picture.observe(lambda change: drawn.append(threading.current_thread().name), "html")
end = time.monotonic() + 60
while len(drawn) < 2 and time.monotonic() < end:
    step()
steps = guard.steps
guard.detach()
print(sorted(set(drawn[:2])), f"{steps:,} steps" in picture.html)
""".strip()

HELD = """
guard = sg.guard(model, optimizer, quiet=True, overhead=0.5)
guard.show()
inside, go_on = threading.Event(), threading.Event()
guard.showing.live.widget.observe(lambda change: (inside.set(), go_on.wait()), "html")
end = time.monotonic() + 60
while not inside.is_set() and time.monotonic() < end:
    step()
before = guard.steps
for _ in range(200):
    step()
print(inside.is_set(), guard.steps - before)
go_on.set()
guard.detach()
""".strip()

ONCE = """
import sys
sys.modules["anywidget"] = None  # As where it is not installed.
guard = sg.guard(model, optimizer)
step()
guard.show()
guard.show()
guard
""".strip()

TWICE = """
guard = sg.guard(model, optimizer)
""".strip()


@pytest.mark.long
def test_a_picture_follows_the_run_or_is_drawn_once(tmp_path: Path) -> None:
    pytest.importorskip("anywidget", reason=REASON)
    book = run([SET_UP, FOLLOWED, HELD, ONCE, TWICE], tmp_path)
    _, followed, held, once, twice = book.cells
    assert printed(followed) == "['steadygrad picture'] True\n"
    assert printed(held) == "True 200\n"
    (shown_widget,) = shown(followed, "application/vnd.jupyter.widget-view+json")
    assert "model_id" in shown_widget and len(shown(followed)[0]) < 2000
    states = [one["html"] for one in book.metadata["widget_state"].values() if "html" in one]
    assert len(states) == 2 and all('<div class="sg-report">' in html and "gradient norm" in html for html in states)

    assert len(shown(once, "text/html")) == 3 and not shown(once, "application/vnd.jupyter.widget-view+json")
    said = printed(once, "stderr")
    assert said.count("the picture is drawn once") == 1 and 'pip install "steadygrad[notebook]"' in " ".join(
        said.split()
    )
    assert "had a guard, which is detached after 1 step" in " ".join(printed(twice, "stderr").split())
