"""Scales, ticks and elements: round, in place, escaped."""

import math
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.risk.tearsheet.axes import Scale, percent_label, ticks, time_ticks
from seawall.risk.tearsheet.bars import Shares, shares_chart
from seawall.risk.tearsheet.curves import Curve
from seawall.risk.tearsheet.lines import LineStyle, Series, Words, line_chart
from seawall.risk.tearsheet.svg import element, path

FIRST = datetime(2024, 1, 15, tzinfo=UTC)


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_are_few_round_and_inside(low: float, span: float) -> None:
    found = ticks(low, low + span)
    assert 1 <= len(found) <= 7
    assert all(low - span * 1e-6 <= each <= low + span * (1 + 1e-6) for each in found)
    assert np.all(np.diff(found) > 0)


def test_a_scale_of_one_value_is_in_its_middle() -> None:
    assert Scale(5, 5, 0, 10).at(5) == 5
    assert ticks(3, 3) == [3]


@pytest.mark.parametrize("days", [1, 5, 20, 40, 90, 365, 1_000, 4_000, 36_500])
def test_days_have_few_labels(days: int) -> None:
    found = time_ticks(FIRST, FIRST + timedelta(days=days))
    assert 1 <= len(found) <= 6
    assert len({label for _, label in found}) == len(found)
    assert all(FIRST <= day <= FIRST + timedelta(days=days) for day, _ in found)


def test_percentages_have_the_digits_of_their_step() -> None:
    assert percent_label(-0.05, 0.05) == "\u22125%"
    assert percent_label(0.005, 0.005) == "0.5%"
    assert percent_label(2, 1) == "200%"


def test_text_and_attributes_are_escaped() -> None:
    made = element("text", "<script>&", class_='a"b')
    assert made == '<text class="a&#34;b">&lt;script&gt;&amp;</text>'


def test_paths_break_at_nan() -> None:
    assert 'd="M0 1L1 2M3 4"' in path([(0, 1), (1, 2), (2, math.nan), (3, 4)], "line")


def test_many_points_keep_their_extremes() -> None:
    values = np.random.default_rng(1).normal(1, 0.1, 20_000)
    values[7_777], values[15_000] = -3, 9
    series = [Series("own", "own", Curve(np.arange(20_000.0), values))]
    style = LineStyle(percent_label, 0.0, (0.0, 19_999.0))
    chart = line_chart(Words("k", "t", "d"), FIRST, series, style)
    assert chart.drawing is not None
    (drawn,) = [each for each in ET.fromstring(chart.drawing) if each.tag == "path"]  # noqa: S314
    steps = drawn.attrib["d"].replace("M", "L").split("L")[1:]
    heights = [float(step.split()[1]) for step in steps]
    assert len(steps) < 1_000
    # 12 units of value on the way from the bottom, 192, to the top, 10, with margins.
    assert max(heights) - min(heights) == pytest.approx((216 - 24 - 10) / 1.08, abs=0.2)


def test_shares_below_zero_and_undefined_ones_are_drawn() -> None:
    chart = shares_chart(
        Words("k", "t", "d"), [Shares("HEDGE-WITH-A-LONG-NAME", (0.1, -0.2, None))]
    )
    assert chart.drawing is not None
    texts = [each.text for each in ET.fromstring(chart.drawing).iter("text")]  # noqa: S314
    assert texts == ["HEDGE-WITH-A…", "10.0%", "\u221220.0%", "undefined"]
