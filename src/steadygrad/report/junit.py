"""JUnit's XML, which test reports of CI systems read: the target is a test case, findings at the fail level its failures.

Findings below that level stand in the case's output. Written with the standard library: one suite and one case.
May rely on the record; must not know of widths and colours, which it takes and passes over.
"""

from __future__ import annotations

from xml.etree import ElementTree

from steadygrad.record import CheckRecord, Finding
from steadygrad.report import words
from steadygrad.report.colour import Color
from steadygrad.report.headline import headline

NAME = "junit"


def render(
    record: CheckRecord,
    *,
    width: int | None = None,
    color: Color = "never",
    verbose: bool = False,
    fail_on: str = "error",
) -> str:
    """The XML text."""
    failing = () if fail_on == "never" else record.at_least(fail_on)
    seconds = f"{record.cost.total or record.cost.probe:.3f}"
    numbers = {"tests": "1", "failures": str(int(bool(failing))), "errors": "0", "skipped": "0", "time": seconds}
    suites = ElementTree.Element("testsuites", {"name": "steadygrad", **numbers})
    suite = ElementTree.SubElement(suites, "testsuite", {"name": "steadygrad", **numbers})
    name = words.clean(record.setup.target or record.setup.model)
    case = ElementTree.SubElement(suite, "testcase", classname="steadygrad.check", name=name, time=seconds)
    others = []
    for finding in words.worst_first(record):
        if finding in failing:
            kind = f"{finding.code} {finding.name}"
            message = words.clean(f"{words.place(finding)}: {finding.message}")
            ElementTree.SubElement(case, "failure", type=kind, message=message).text = _told(finding)
        else:
            others.append(_told(finding))
    ElementTree.SubElement(case, "system-out").text = "\n\n".join([words.clean(headline(record)), *others])
    ElementTree.indent(suites)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suites, encoding="unicode")


def _told(finding: Finding) -> str:
    first = f"{words.place(finding)}: {finding.severity.value} {finding.code} {finding.name}: {finding.message}"
    source = f"    {words.clean(finding.location.text)}" if finding.location and finding.location.text else ""
    return "\n".join(filter(None, (words.clean(first), source, *words.remarks(finding))))
