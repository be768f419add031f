"""Models as tests: red and green ones, under xdist, with strict markers, and without torch where none is needed."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

NETS = """
import torch
from torch import nn

class Deep(nn.Sequential):
    def __init__(self, act=nn.Sigmoid, depth=20):
        super().__init__(*[layer for _ in range(depth) for layer in (nn.Linear(32, 32), act())], nn.Linear(32, 4))

def batch():
    x = torch.randn(64, 32)
    return x, x[:, :4].argmax(1)

def red():
    return Deep(), batch(), nn.functional.cross_entropy, torch.optim.Adam

def green():
    return Deep(nn.ReLU, 1), batch(), nn.functional.cross_entropy, torch.optim.Adam
"""

TESTS = """
import pytest
from torch.nn import functional as F
import nets

def test_red(steadygrad):
    steadygrad.check(nets.Deep(), nets.batch(), F.cross_entropy)

def test_green(steadygrad):
    report = steadygrad.check(nets.Deep(nets.nn.ReLU, 1), nets.batch(), F.cross_entropy, optimizer="adam:1e-2")
    assert report.verdict == "healthy"

@pytest.mark.steadygrad(fail_on="error", ignore="SG102,SG101,SG105,SG106,SG109,SG301")
def test_red_but_ignored(steadygrad):
    steadygrad.check(nets.Deep(), nets.batch(), F.cross_entropy)

@pytest.mark.steadygrad(level="error")
def test_a_marker_that_is_wrong(steadygrad):
    pass
"""


HOW = [pytest.param((), id="plain"), pytest.param(("-n", "2"), id="xdist", marks=pytest.mark.long)]


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(nets=NETS, test_nets=TESTS)
    pytester.makeini("[pytest]\naddopts = -p no:cacheprovider")
    pytester.syspathinsert()
    return pytester


@pytest.mark.long
@pytest.mark.parametrize("how", HOW)
def test_the_fixture_fails_a_red_model_with_the_report(project: pytest.Pytester, how: tuple[str, ...]) -> None:
    ran = project.runpytest_subprocess("--strict-markers", *how)
    ran.assert_outcomes(passed=2, failed=1, errors=1)
    ran.stdout.fnmatch_lines(
        ["*Deep will not train as set up: the first layer gets 10*", "*error?SG102?: saturated-activation*"]
    )
    ran.stdout.fnmatch_lines(["*the marker steadygrad takes fail_on and ignore, not level*"])
    assert "steadygrad_fixture" not in ran.stdout.str() or "FoundError" not in ran.stdout.str()


@pytest.mark.long
@pytest.mark.parametrize("how", HOW)
def test_models_are_items(project: pytest.Pytester, how: tuple[str, ...]) -> None:
    targets = ("--steadygrad", "nets.py:green", "--steadygrad", "nets.py:red", "--steadygrad", "nets.py:absent")
    ran = project.runpytest_subprocess(*targets, "--deselect", "test_nets.py", *how)
    ran.assert_outcomes(passed=1, failed=2, deselected=0 if how else 4)
    ran.stdout.fnmatch_lines(["*steadygrad nets.py:red*", "*error?SG102?*", "*steadygrad: *absent*"])


@pytest.mark.long
def test_fail_on_makes_a_warning_fail(project: pytest.Pytester) -> None:
    project.makepyprojecttoml("""[tool.steadygrad]\nfail-on = "never"\n""")
    red = ("--steadygrad", "nets.py:red", "--deselect", "test_nets.py")
    assert project.runpytest_subprocess(*red).ret == pytest.ExitCode.OK
    assert project.runpytest_subprocess(*red, "--steadygrad-fail-on", "warning").ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.long
def test_an_exception_of_the_users_own_keeps_its_traceback(project: pytest.Pytester) -> None:
    project.makepyfile(broken="def build():\n    return undefined_name\n")
    ran = project.runpytest_subprocess("--steadygrad", "broken.py:build", "--deselect", "test_nets.py")
    ran.assert_outcomes(failed=1, deselected=4)
    ran.stdout.fnmatch_lines(["*undefined_name*", "*NameError*"])
    assert "_check.py" not in ran.stdout.str()


@pytest.mark.long
def test_help_and_a_suite_without_models_need_no_torch(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(conftest="import sys\nsys.modules['torch'] = None", test_plain="def test_plain():\n    pass")
    ran = pytester.runpytest_subprocess("--help")
    ran.stdout.fnmatch_lines(["*--steadygrad=TARGET*", "*--steadygrad-fail-on=*"])
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


@pytest.mark.long
def test_the_marker_is_listed(pytester: pytest.Pytester) -> None:
    pytester.runpytest_subprocess("--markers").stdout.fnmatch_lines(["@pytest.mark.steadygrad(fail_on=*"])
