"""Families of one sentence: ``make test`` runs a few members of each, ``make test-all`` the rest as well, marked ``long``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest


def always(family: Iterable[Any], *names: str, name: Callable[[Any], str] = str) -> list[Any]:
    """Parameters for ``parametrize``: the whole family, all but the named members marked ``long``.

    Raises ``ValueError`` where a name is none of the family's, so that no renaming moves everything to ``long``.
    """
    members = {name(member): member for member in family}
    if unknown := set(names) - members.keys():
        raise ValueError(f"no member is called {', '.join(sorted(unknown))}; there are {', '.join(members)}")
    return [_parameter(member, called, called in names) for called, member in members.items()]


def one_in(number: int, family: Iterable[Any], *, name: Callable[[Any], str] = str) -> list[Any]:
    """The same for a large family in order: the first of each ``number`` members runs always."""
    return [_parameter(member, name(member), index % number == 0) for index, member in enumerate(family)]


def _parameter(member: Any, name: str, always: bool) -> Any:
    return pytest.param(member, id=name, marks=() if always else pytest.mark.long)
