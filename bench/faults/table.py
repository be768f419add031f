"""All faults of a script by name, theme by theme."""

from __future__ import annotations

from bench.faults import bookkeeping, diseases, losses, sick, spikes, updates
from bench.faults.fault import Fault

THEMES: dict[str, dict[str, Fault]] = {
    "classic": sick.FAULTS,
    "loss": losses.FAULTS,
    "update": updates.FAULTS,
    "loop": bookkeeping.FAULTS,
    "spike": spikes.FAULTS,
    "disease": diseases.FAULTS,
}
FAULTS: dict[str, Fault] = {name: fault for theme in THEMES.values() for name, fault in theme.items()}
