"""Draw the figures of the lab's pages: ``python docs/figures.py [NAME …]`` runs each experiment quickly, with seed 0.

They go to ``lab/figures`` as SVG files, one a panel, which follow the light or dark scheme of who looks at them.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from steadygrad import lab
from steadygrad.lab.render import picture

FOLDER = Path(__file__).parent / "lab" / "figures"

COLOURS = """<style>
:root{font-family:system-ui,sans-serif;--ink:#1b1e22;--paper:#fffffe;--line:#c9ced4;
--s0:#0068a8;--s1:#c44e00;--s2:#00805e;--s3:#a8448c;--s4:#8a6d00;--s5:#5a5f66}
@media(prefers-color-scheme:dark){:root{--ink:#e6e8eb;--paper:#1b1e22;--line:#3c424a;
--s0:#5db4f2;--s1:#ff9a57;--s2:#4fd0a5;--s3:#e58acb;--s4:#d9bd4a;--s5:#b4bac2}}
</style>"""


def draw(name: str, folder: Path) -> list[Path]:
    """One file a figure of the experiment."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for number, figure in enumerate(lab.run(lab.find(name), quick=True).outcome.figures, start=1):
        text = picture.svg(figure, name).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
        text = re.sub(r' xmlns="http://www.w3.org/2000/svg"(?=[^>]* xmlns=)', "", text, count=1)
        text = re.sub(r">", f">{COLOURS}", text, count=1)
        # A hundredth of a point is less than anyone sees.
        text = re.sub(r"(\d\.\d\d)\d+", r"\1", text)
        path = folder / f"{name}-{number}.svg"
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


if __name__ == "__main__":
    for name in sys.argv[1:] or [one.name for one in lab.load()]:
        print(*draw(name, FOLDER), sep="\n", flush=True)
