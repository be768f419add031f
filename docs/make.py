"""Write the pages of rules, cures and experiments, and their tables, from the docstrings: ``python docs/make.py [FOLDER]``.

They go to ``rules``, ``cures`` and ``lab`` in the folder, this one by default.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from steadygrad import cures, lab, rules

HERE = Path(__file__).parent


def pages() -> dict[str, str]:
    """Every file by its path in the folder."""
    return (
        {"rules/README.md": _rules(), "cures/README.md": _cures(), "lab/README.md": _lab()}
        | {f"rules/{rule.code}.md": _linked(cures.rule_page(rule)) for rule in rules.load()}
        | {f"cures/{cure.name}.md": _linked(cure.page) for cure in cures.load()}
        | {f"lab/{one.name}.md": _pictured(one.name, one.page) for one in lab.load()}
    )


def _rules() -> str:
    rows = [f"| [{rule.code}]({rule.code}.md) | {rule.name} | {rule.summary} |" for rule in rules.load()]
    head = (
        "# Rules\n\nWritten by `make docs` from the rules' own files; `steadygrad explain CODE` prints the same page.\n"
    )
    return "\n".join([head, "| code | name | what it finds |", "|---|---|---|", *rows]) + "\n"


def _cures() -> str:
    rows = [
        f"| [{cure.name}]({cure.name}.md) | {cure.group} | {cure.safety} | {cure.summary} | {', '.join(cure.findings)} |"
        for cure in cures.load()
    ]
    head = (
        "# Cures\n\nLeast intrusive first, in the order in which they are tried. Written by `make docs` from the cures' own"
        " files;\n`steadygrad cures NAME` prints the same page.\n"
    )
    table = ["| cure | group | safety | what it does | findings it can help with |", "|---|---|---|---|---|"]
    return "\n".join([head, *table, *rows]) + "\n"


LAB = '''# The lab

The claims of the field about vanishing and exploding gradients, each as a small experiment that anyone runs and looks at.
Each states its claim with the source, measures it, and says whether it held: *supported* where every number lies with its
whole 95 % interval in the range that the claim needs, *refuted at these settings* where one lies wholly outside, else
*undecided*. Written by `make docs` from the experiments' own files; `steadygrad lab explain NAME` prints the same page.

```
steadygrad lab                                          # the list
steadygrad lab run depth-product --quick                # seconds instead of minutes
steadygrad lab run residual --quick --set span=4        # a parameter
steadygrad lab run --all --quick --html book.html       # all of them as one page that opens from disk
```

`--figure FILE.png` draws the figures, `--output-format json` gives every number in them, `--seed` draws anew. Exit code: 0
every claim held, 1 one did not or was not decided, 2 one could not be run. Pictures and the page need
`pip install 'steadygrad[plot]'`.

| experiment | what is claimed | where it is refuted |
|---|---|---|
{rows}

## Write one

A function with a decorator, in a file of your own. Its arguments are its parameters; it returns numbers, each with the range
in which the claim holds, and figures.

```python
import torch

from steadygrad.lab import Curve, Outcome, Panel, experiment, mean_reading


@experiment(quick={{"nets": 20}}, limits={{"nets": (2, 10_000)}}, refuted={{"gain": 1.5}})
def shrinking(*, nets: int = 200, gain: float = 0.5):
    """A vector sent through ten small random matrices shrinks to a thousandth.

    ## Claim

    Each matrix multiplies the norm by its gain, so ten of them by gain to the power of ten.

    ## Parameters

    - nets: products that are drawn
    - gain: standard deviation of a weight × √32
    """
    curves = []
    for _ in range(nets):
        vector, norms = torch.ones(32) / 32**0.5, [0.0]
        for _ in range(10):
            vector = gain * torch.randn(32, 32) @ vector / 32**0.5
            norms.append(float(vector.norm().log10()))
        curves.append(norms)
    ends = [norms[-1] for norms in curves]
    mean = torch.tensor(curves).mean(0)
    return Outcome(
        readings=[mean_reading("norm after ten matrices, log10", ends, unit="decades", greatest=-2.9)],
        figures=[Panel("Norm of the vector", "matrices", "decades", [Curve("measured", range(11), mean)])],
        seen=f"It ends at {{sum(ends) / nets:.1f}} decades.",
    )
```

```
steadygrad lab run my.py:shrinking --quick
steadygrad lab run my.py:shrinking --quick --set gain=1.5
```
'''


def _lab() -> str:
    rows = []
    for one in lab.load():
        where = ", ".join(f"{name} {value}" for name, value in one.refuted.items())
        rows.append(f"| [{one.name}]({one.name}.md) | {one.summary} | {where} |")
    return LAB.format(rows="\n".join(rows))


def _pictured(name: str, page: str) -> str:
    """The page with the figures of a quick run, which ``figures.py`` draws, after its first sentence."""
    figures = sorted(path.name for path in (HERE / "lab" / "figures").glob(f"{name}-[0-9].svg"))
    shown = "\n".join(f"![Figure {number} of {name}](figures/{file})" for number, file in enumerate(figures, start=1))
    head, claim, rest = page.partition("\n## Claim\n")
    return f"{head}\n{shown}\n{claim}{rest}"


def _linked(page: str) -> str:
    """The page with the list items that name a rule or a cure as links to its page."""
    page = re.sub(r"^- (SG\d{3}) ", r"- [\1](../rules/\1.md) ", page, flags=re.MULTILINE)
    names = "|".join(re.escape(cure.name) for cure in cures.load())
    return re.sub(rf"^- ({names}) \(", r"- [\1](../cures/\1.md) (", page, flags=re.MULTILINE)


def main(folder: Path) -> None:
    """Write the files that changed and take away those of what is gone."""
    wanted = pages()
    for name, text in wanted.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    for part in ("rules", "cures", "lab"):
        for stale in set((folder / part).glob("*.md")) - {folder / name for name in wanted}:
            stale.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
