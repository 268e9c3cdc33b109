"""Numbers and intervals as text, the same way everywhere in the report."""

from __future__ import annotations

import math

__all__ = ["listed", "number", "plural", "spread", "status_word", "tick"]

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_STATUS = ("healthy", "drifting", "collapsing")


def number(value: float, digits: int = 3) -> str:
    """A measured number at `digits` significant digits, zeros kept; whole numbers as they are; "–" for NaN.

    >>> number(0.2398), number(2.0), number(1234.5), number(-0.012345), number(3.2e-7), number(float("nan"))
    ('0.240', '2', '1,234', '−0.0123', '3.20×10⁻⁷', '–')
    """
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    sign, size = ("−" if value < 0 else ""), abs(value)
    if size >= 1e6 or size < 1e-3:
        mantissa, _, exponent = f"{size:.{digits - 1}e}".partition("e")
        return f"{sign}{mantissa}×10{str(int(exponent)).translate(_SUPERSCRIPT)}"
    places = 0 if size.is_integer() else max(digits - 1 - math.floor(math.log10(size)), 0)
    return f"{sign}{size:,.{places}f}"


def tick(value: float) -> str:
    """A round number without trailing zeros, as at an axis.

    >>> tick(0.05), tick(10.0), tick(2e-7)
    ('0.05', '10', '2×10⁻⁷')
    """
    head, times, power = number(value).partition("×")
    return (head.rstrip("0").rstrip(".") if "." in head else head) + times + power


def spread(low: float, high: float) -> str:
    """An interval as "1.2 to 3.4"; empty where an end is missing.

    >>> spread(1.2, 3.4), spread(float("nan"), 1.0)
    ('1.20 to 3.40', '')
    """
    if math.isnan(low) or math.isnan(high):
        return ""
    return f"{number(low)} to {number(high)}"


def plural(count: int, noun: str) -> str:
    """A count and its noun: "1 seed", "3 seeds"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def listed(items: list[str]) -> str:
    """Items as "a, b and c"."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""


def status_word(value: float) -> str:
    """What an alarm value means: "healthy", "drifting", "collapsing", or "not judged" for NaN."""
    if not math.isfinite(value):
        return "not judged"
    return _STATUS[min(max(round(value), 0), 2)]
