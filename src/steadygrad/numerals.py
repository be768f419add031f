"""Numbers as people read them: one spelling of a percentage, a count, a time and a number of decades, everywhere.

Standard library only; knows no record and no format.
"""

from __future__ import annotations

import math
import re


def number(value: float, digits: int = 3) -> str:
    """``digits`` significant digits, with a real minus sign: 0.24, 17.2, 1,234, 1e-15, −∞."""
    if math.isnan(value):
        return "NaN"
    sign, size = ("−" if value < 0 else ""), abs(value)
    if math.isinf(size):
        return f"{sign}∞"
    if size >= 1e6 or 0 < size < 1e-3:
        mantissa, exponent = f"{size:.{max(0, digits - 1)}e}".split("e")
        return f"{sign}{float(mantissa):g}e{int(exponent)}"
    return f"{sign}{size:,.0f}" if size >= 999.5 else f"{sign}{float(f'{size:.{digits}g}'):g}"


def one_decimal(value: float) -> str:
    """Decades: 17.2, and never −0.0."""
    return number(value) if not math.isfinite(value) else f"{'−' if value <= -0.05 else ''}{abs(value):.1f}"


def percent(share: float) -> str:
    """A share as a percentage: 71%, 1.7%, 0.02%, −24%; 99.6% where whole percents would say 100%."""
    if not math.isfinite(share):
        return number(share)
    sign, size = ("−" if share < 0 else ""), 100 * abs(share)
    if size < 9.95:
        return f"{sign}{number(size, 2)}%"
    return f"{sign}{math.floor(10 * size) / 10:.1f}%" if 99.5 <= size < 100 else f"{sign}{size:,.0f}%"


def count(amount: int, noun: str) -> str:
    """1 error, 2 errors, 1,000 steps, 3 branches."""
    ending = "" if amount == 1 else "es" if noun.endswith("ch") else "s"
    return f"{amount:,} {noun}{ending}"


def seconds(value: float) -> str:
    """40 ms, 0.3 s, 12 s, 3 min."""
    if value < 0.1:
        return f"{1000 * value:.0f} ms"
    if not math.isfinite(value) or value < 60:
        return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"
    return f"{value / 60:.0f} min"


def decades(value: float) -> str:
    """``17.2 decades lost``, ``0.3 decades gained``."""
    if math.isnan(value):
        return "decades unknown"
    if abs(value) < 0.05:
        return "no decade lost or gained"
    return f"{one_decimal(abs(value))} decades {'lost' if value < 0 else 'gained'}"


_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def power_of_ten(exponent: int) -> str:
    """10⁻¹⁷."""
    return "10" + str(exponent).translate(_SUPERSCRIPTS)


_DECADES = re.compile(r"(?<![\d.,(−])(?<!of )(?<!of the )([\d,]+(?:\.\d+)?) decades")


def with_factors(text: str) -> str:
    """``gains 3.5 decades`` as ``gains ×3,200 (3.5 decades)``; shares of decades, and those beside their factor, stay."""
    return _DECADES.sub(lambda found: f"×{_factor(float(found[1].replace(',', '')))} ({found[0]})", text)


def _factor(exponent: float) -> str:
    whole = math.floor(exponent)
    mantissa = 10.0 ** (exponent - whole)
    return f"{float(f'{mantissa * 10.0**whole:.2g}'):,.15g}" if whole < 6 else f"{mantissa:.1f}e{whole}"
