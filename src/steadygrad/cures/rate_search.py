"""The result of a search for a learning rate, as ``find_lr`` returns it."""

from __future__ import annotations

from dataclasses import dataclass

from steadygrad.record.rates import RateSearchRecord
from steadygrad.written import in_short


@dataclass(frozen=True)
class RateSearch(RateSearchRecord):
    """The rates that were tried, in order, and the one that was chosen.

    ``print(found)`` shows the table; a notebook shows it by itself.
    """

    def __repr__(self) -> str:
        """Return the rate and how many were tried, on one line."""
        rate = "none found" if self.rate is None else f"{self.rate:g}"
        return (
            f"<RateSearch: rate {rate}, {in_short(self.words)}; {len(self.tried)} rates tried, print this to see them>"
        )

    def __str__(self) -> str:
        """Return the table."""
        from steadygrad.report.rates import render  # Most searches are never printed by themselves.

        return render(self)

    def _repr_html_(self) -> str:
        from steadygrad.report.rates_in_notebook import fragment

        return fragment(self)
