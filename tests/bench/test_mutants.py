"""What a mutant changes: one place of code that runs, and nothing that does not."""

from __future__ import annotations

import ast
from pathlib import Path

from bench.mutants.changes import mutants, mutated

SOURCE = '''"""At most 3 words."""

LIMIT = 0.5


def over(value: int | None = None, *, most: "float" = LIMIT) -> bool:
    """Whether it is > 1."""
    if not value:
        return False
    return value - 1 > most and all([value])
'''


def test_every_change_is_of_code_that_runs(tmp_path: Path) -> None:
    path = tmp_path / "made_up.py"
    path.write_text(SOURCE)
    assert [(one.before, one.after) for one in mutants(path)] == [
        ("0.5", "1.0"),
        ("not value", "not not value"),
        ("return False", "return None"),
        ("False", "True"),
        ("return value - 1 > most and all([value])", "return None"),
        ("value - 1 > most and all([value])", "value - 1 > most or all([value])"),
        ("value - 1 > most", "value - 1 >= most"),
        ("value - 1 > most", "value - 1 <= most"),
        ("value - 1", "value + 1"),
        ("1", "2"),
        ("all", "any"),
    ]


def test_a_mutant_differs_in_its_one_place_and_keeps_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "made_up.py"
    path.write_text(SOURCE)
    plain = ast.unparse(ast.parse(SOURCE))
    for one in mutants(path):
        changed = mutated(one)
        compile(changed, str(path), "exec")
        different = [(a, b) for a, b in zip(plain.split("\n"), ast.unparse(changed).split("\n"), strict=True) if a != b]
        assert len(different) == 1, one
        assert one.at_import == (one.before == "0.5")
        assert SOURCE.splitlines()[one.lines.start - 1].strip().startswith(different[0][0].strip()[:6])
