"""What a mutant changes: one place of code that runs, and nothing that does not."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from bench.mutants.changes import mutants, mutated
from bench.mutants.running import Coverage, killed

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


def test_a_change_in_a_lambda_is_on_the_lambdas_own_line(tmp_path: Path) -> None:
    """So that only the tests that call it are run, not all that import the table that holds it."""
    path = tmp_path / "made_up.py"
    path.write_text("TABLE = (\n    abs,\n    lambda x: x + 1,\n)\n")
    assert {(tuple(one.lines), one.at_import) for one in mutants(path)} == {((3,), False)}


@pytest.mark.long
def test_a_test_that_says_what_is_changed_kills_it_and_no_other_does(tmp_path: Path) -> None:
    path, test = tmp_path / "made_up_sum.py", tmp_path / "test_made_up_sum.py"
    path.write_text("def total(a, b):\n    return a + b\n")
    test.write_text(
        f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nimport made_up_sum\n"
        "def test_bites():\n    assert made_up_sum.total(2, 3) == 5\n"
        "def test_does_not():\n    assert made_up_sum.total(2, 0) == 2\n"
    )
    minus = next(one for one in mutants(path) if one.after == "a - b")
    assert killed(minus, [f"{test}::test_bites"], 1.0) == "failed"
    assert killed(minus, [f"{test}::test_does_not"], 1.0) == ""


@pytest.mark.long
def test_tests_that_never_load_the_changed_file_are_an_error(tmp_path: Path) -> None:
    path, test = tmp_path / "made_up_sum.py", tmp_path / "test_elsewhere.py"
    path.write_text("LIMIT = 1\n")
    test.write_text("def test_passes():\n    pass\n")
    with pytest.raises(RuntimeError, match=r"did not load .* as it was changed"):
        killed(mutants(path)[0], [str(test)], 1.0)


def test_a_file_of_numbers_alone_is_held_by_the_tests_of_its_room(tmp_path: Path) -> None:
    """No test runs a line of it: it is read when it is imported."""
    path = tmp_path / "numbers.py"
    path.write_text("LIMIT = 0.5\n")
    coverage = Coverage({"other.py": {1: ["slow"], 2: ["slow", "quick"]}}, {"slow": 2.0, "quick": 1.0})
    assert coverage.tests_of(mutants(path)[0]) == (["quick", "slow"], False)
