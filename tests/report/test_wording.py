from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ouroloop.report.wording import listed, number, plural, spread, status_word, tick


@given(st.floats(-1e12, 1e12, allow_nan=False))
def test_a_number_reads_back_within_half_a_unit_of_its_third_digit(value: float) -> None:
    text = number(value).replace(",", "").replace("−", "-")
    mantissa, _, power = text.partition("×10")
    exponent = int(power.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))) if power else 0
    assert math.isclose(float(mantissa) * 10.0**exponent, value, rel_tol=5.01e-3, abs_tol=1e-300)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (-0.0, "0"), (12.0, "12"), (12.04, "12.0"), (999_999.5, "1,000,000"), (1e7, "1.00×10⁷"),
     (float("inf"), "∞"), (float("-inf"), "−∞"), (float("nan"), "–"), (5e-324, "4.94×10⁻³²⁴")],
)  # fmt: skip
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


def test_ticks_lose_trailing_zeros_and_nothing_else() -> None:
    assert [tick(v) for v in (0.1, 0.25, 20.0, 100.0, 1e-5, 0.0)] == ["0.1", "0.25", "20", "100", "1×10⁻⁵", "0"]


def test_words() -> None:
    assert [plural(n, "seed") for n in (0, 1, 2, 1200)] == ["0 seeds", "1 seed", "2 seeds", "1,200 seeds"]
    assert [listed(list(s)) for s in ("", "a", "ab", "abc")] == ["", "a", "a and b", "a, b and c"]
    assert spread(1.0, float("nan")) == ""


def test_alarm_values_outside_the_scale_are_the_nearest_word() -> None:
    assert [status_word(v) for v in (0, 1, 2, 3, -1, float("nan"))] == [
        "healthy",
        "drifting",
        "collapsing",
        "collapsing",
        "healthy",
        "not judged",
    ]
