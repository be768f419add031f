"""The settings that hold for a target. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steadygrad.settings import Settings, load_settings
from steadygrad.subject.loading import is_file, split


def settings_for(target: str, given: Mapping[str, Any]) -> Settings:
    """Settings from the pyproject.toml nearest to the target, and the options given, which win."""
    place = split(target)[0]
    return load_settings(Path(place).parent if is_file(place) else Path.cwd(), dict(given))
