"""Write the rules' pages and their table from the docstrings: ``python docs/make.py [FOLDER]`` (``docs/rules`` by default)."""

from __future__ import annotations

import sys
from pathlib import Path

from steadygrad.rules import Rule, load

HERE = Path(__file__).parent


def pages() -> dict[str, str]:
    """Every file of the folder by its name."""
    rules = load()
    return {"README.md": _table(rules)} | {f"{rule.code}.md": _page(rule) for rule in rules}


def _table(rules: tuple[Rule, ...]) -> str:
    rows = [f"| [{rule.code}]({rule.code}.md) | {rule.name} | {rule.summary} |" for rule in rules]
    head = (
        "# Rules\n\nWritten by `make docs` from the rules' own files; `steadygrad explain CODE` prints the same page.\n"
    )
    return "\n".join([head, "| code | name | what it finds |", "|---|---|---|", *rows]) + "\n"


def _page(rule: Rule) -> str:
    return f"# {rule.code} {rule.name}\n\n{rule.summary}\n\n{rule.doc}\n"


def main(folder: Path) -> None:
    """Write the files that changed and take away those of rules that are gone."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = pages()
    for stale in set(folder.glob("*.md")) - {folder / name for name in wanted}:
        stale.unlink()
    for name, text in wanted.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "rules")
