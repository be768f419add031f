"""Values as people write them, in a call or on the command line: names with commas between, times with a unit.

Standard library only; raises ``SettingsError``, whose sentence names the option.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from steadygrad.errors import SettingsError

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def names(given: Iterable[str] | str | None, option: str) -> tuple[str, ...]:
    """``"SG101, SG102"`` or ``["SG101", "SG102"]`` as a tuple of names; none for None."""
    if given is None:
        return ()
    texts: list[str] = [given] if isinstance(given, str) else list(given) if isinstance(given, Iterable) else [given]
    if not all(isinstance(one, str) for one in texts):
        raise SettingsError(
            f"{option} is {given!r}, expected names such as 'SG101' or ['SG101', 'saturated-activation']"
        )
    found = tuple(name for text in texts for part in text.split(",") if (name := part.strip()))
    if texts and not found:
        raise SettingsError(f"{option} names nothing; leave it out, or name something")
    return found


def seconds(given: float | str | None, option: str) -> float | None:
    """``"60s"``, ``"5m"``, ``"1h"`` or a number of seconds; None for None."""
    if given is None:
        return None
    text = str(given).strip()
    unit = _UNITS.get(text[-1:].lower())
    try:
        return float(text[:-1]) * unit if unit else float(text)
    except ValueError:
        raise SettingsError(f"cannot read {option} {given!r}; write it as 60s or 5m") from None


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was most probably meant; None where none is near enough.

    One that begins as ``word`` does comes first. Letters' case, hyphens and underscores count for nothing. Of words of up to
    four letters 60 % must agree (``sdg`` for ``sgd``), of longer ones 70 %: at 60 % ``SG999`` is taken for ``SG309``.
    """
    spelt: dict[str, str] = {}
    for one in known:
        spelt.setdefault(_bare(one), one)
    bare = _bare(word)
    begun = [one for one in spelt if len(bare) >= 3 and one.startswith(bare)]
    close = begun[:1] or difflib.get_close_matches(bare, spelt, n=1, cutoff=0.6 if len(bare) <= 4 else 0.7)
    return spelt[close[0]] if close else None


def _bare(word: str) -> str:
    return word.lower().replace("-", "").replace("_", "").strip()


MOST = 1_500
"""Characters of a result on one line: a log, a debugger and a notebook show it as it is."""


def in_short(text: str) -> str:
    """The text on one line, at most ``MOST`` characters of it."""
    line = " ".join(text.split())
    return line if len(line) <= MOST else f"{line[: MOST - 1]}…"
