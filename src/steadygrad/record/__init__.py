"""The records of what was seen, as frozen dataclasses that go to JSON and back.

The lowest room of the house: standard library only, nothing measured, nothing judged. Every other
room speaks to its neighbours in these words.
"""

from steadygrad.record.change import GROUPS, SAFETIES, Candidate, Change, CureRecord, Edit, Site, Tried
from steadygrad.record.check import Assumption, CheckRecord, Cost, Setup, Tier
from steadygrad.record.codec import SCHEMA_VERSION, from_jsonable, json_text, to_jsonable
from steadygrad.record.finding import CureRef, Evidence, Finding, Severity, Verdict
from steadygrad.record.routing import Routing
from steadygrad.record.span import Location
from steadygrad.record.steptest import StepTest
from steadygrad.record.trace import (
    BlindSpot,
    NonFinite,
    Operation,
    OutputStatistics,
    Parameter,
    Recurrence,
    Saturation,
    Step,
    Trace,
    Trunk,
)
from steadygrad.record.training import Action, Alarm, Look, Sign, Watched

__all__ = [
    "GROUPS",
    "SAFETIES",
    "SCHEMA_VERSION",
    "Action",
    "Alarm",
    "Assumption",
    "BlindSpot",
    "Candidate",
    "Change",
    "CheckRecord",
    "Cost",
    "CureRecord",
    "CureRef",
    "Edit",
    "Evidence",
    "Finding",
    "Location",
    "Look",
    "NonFinite",
    "Operation",
    "OutputStatistics",
    "Parameter",
    "Recurrence",
    "Routing",
    "Saturation",
    "Setup",
    "Severity",
    "Sign",
    "Site",
    "Step",
    "StepTest",
    "Trace",
    "Tier",
    "Tried",
    "Trunk",
    "Verdict",
    "Watched",
    "from_jsonable",
    "json_text",
    "to_jsonable",
]
