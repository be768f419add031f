"""Link into an environment what a wheel depends on from the environment that runs this, and nothing else of it.

Usage: python recipe/lend.py WHEEL SITE_PACKAGES. Links cost no download and no disk; what the wheel does not name is not there.
"""

from __future__ import annotations

import sys
import zipfile
from email import message_from_bytes
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def required_by(wheel: Path) -> list[str]:
    """The requirements that the wheel's metadata names."""
    with zipfile.ZipFile(wheel) as file:
        (name,) = [one for one in file.namelist() if one.endswith(".dist-info/METADATA")]
        return message_from_bytes(file.read(name)).get_all("Requires-Dist") or []


def needed(requirements: list[str]) -> dict[str, Distribution]:
    """The distributions here that these requirements need, and those that these need, by name."""
    found: dict[str, Distribution] = {}
    asked = [(one, "") for one in requirements]
    while asked:
        text, extra = asked.pop()
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        new = name not in found
        if new:
            found[name] = distribution(name)
        extras = [*([""] if new else []), *requirement.extras]
        asked += [(one, extra) for extra in extras for one in found[name].requires or []]
    return found


def link(one: Distribution, site: Path) -> None:
    """Link the distribution's packages, modules and metadata into ``site``."""
    for name in {file.parts[0] for file in one.files or ()} - {"..", "__pycache__"}:
        if not (site / name).exists():
            (site / name).symlink_to(Path(str(one.locate_file(name))))


def main() -> None:
    """Link all that the wheel needs."""
    wheel, site = map(Path, sys.argv[1:])
    for one in needed(required_by(wheel)).values():
        link(one, site)


if __name__ == "__main__":
    main()
