"""Write the pages of the rules and the cures, and their tables, from the docstrings: ``python docs/make.py [FOLDER]``.

They go to ``rules`` and ``cures`` in the folder, this one by default.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from steadygrad import cures, rules
from steadygrad.cli.explain import page_of

HERE = Path(__file__).parent


def pages() -> dict[str, str]:
    """Every file by its path in the folder."""
    return (
        {"rules/README.md": _rules(), "cures/README.md": _cures()}
        | {f"rules/{rule.code}.md": _linked(page_of(rule)) for rule in rules.load()}
        | {f"cures/{cure.name}.md": _linked(cure.page) for cure in cures.load()}
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


def _linked(page: str) -> str:
    """The page with the list items that name a rule or a cure as links to its page."""
    page = re.sub(r"^- (SG\d{3}) ", r"- [\1](../rules/\1.md) ", page, flags=re.MULTILINE)
    names = "|".join(re.escape(cure.name) for cure in cures.load())
    return re.sub(rf"^- ({names}) \(", r"- [\1](../cures/\1.md) (", page, flags=re.MULTILINE)


def main(folder: Path) -> None:
    """Write the files that changed and take away those of rules and cures that are gone."""
    wanted = pages()
    for name, text in wanted.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    for part in ("rules", "cures"):
        for stale in set((folder / part).glob("*.md")) - {folder / name for name in wanted}:
            stale.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
