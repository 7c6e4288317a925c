"""Charts of curves over days: growth, drawdown, rolling volatility."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from markupsafe import Markup

from seawall.core.time import DAY
from seawall.quant.types import FloatArray
from seawall.risk.tearsheet.axes import Scale, ticks, time_ticks
from seawall.risk.tearsheet.curves import Curve
from seawall.risk.tearsheet.svg import WIDTH, Chart, drawing, line, path, words

_HEIGHT, _TOP, _BOTTOM, _LEFT, _RIGHT = 216, 10, 24, 6, 48
_COLUMNS = 420
"""Points across a chart; where there are more, each column keeps its lowest and its highest."""


@dataclass(frozen=True, slots=True)
class Series:
    """A curve with its name and its class; a `filled` one is shaded down to the base."""

    name: str
    class_: str
    curve: Curve
    filled: bool = False


@dataclass(frozen=True, slots=True)
class LineStyle:
    """How a chart of curves is laid out: how values are written, the base line, the days shown."""

    label: Callable[[float, float], str]
    base: float
    days: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Words:
    """What a chart is called, what it shows to those who cannot see it, and what is to be known."""

    key: str
    title: str
    description: str
    caption: str = ""


def line_chart(words_: Words, start: datetime, series: Sequence[Series], style: LineStyle) -> Chart:
    """Draw curves whose days are counted from `start`."""
    drawn = [each for each in series if np.count_nonzero(~np.isnan(each.curve.values)) > 1]
    values = np.concatenate([each.curve.values for each in drawn])
    low, high = min(style.base, float(np.nanmin(values))), max(style.base, float(np.nanmax(values)))
    margin = (high - low) * 0.04 or 0.01
    across = Scale(*style.days, _LEFT, WIDTH - _RIGHT)
    down = Scale(low - margin, high + margin, _HEIGHT - _BOTTOM, _TOP)
    return Chart(
        words_.key,
        words_.title,
        drawing(
            words_.key,
            words_.title,
            words_.description,
            _HEIGHT,
            *_grid(across, down, start, style),
            *(mark for each in drawn for mark in _curve(each, across, down, style.base)),
        ),
        words_.caption,
        legend=tuple((each.class_, each.name) for each in drawn),
    )


def _grid(across: Scale, down: Scale, start: datetime, style: LineStyle) -> list[Markup]:
    values = ticks(down.low, down.high)
    step = values[1] - values[0] if len(values) > 1 else 1.0
    marks = []
    for value in values:
        y = down.at(value)
        marks.append(line(_LEFT, y, WIDTH - _RIGHT, y, "grid"))
        marks.append(words(style.label(value, step), WIDTH - _RIGHT + 5, y + 3))
    marks.append(line(_LEFT, down.at(style.base), WIDTH - _RIGHT, down.at(style.base), "base"))
    for day, label in time_ticks(start + across.low * DAY, start + across.high * DAY):
        x = across.at((day - start) / DAY)
        marks.append(line(x, _TOP, x, _HEIGHT - _BOTTOM, "grid"))
        near = "start" if x < _LEFT + 20 else "end" if x > WIDTH - 20 else "middle"
        marks.append(words(label, x, _HEIGHT - 8, anchor=near))
    return marks


def _curve(each: Series, across: Scale, down: Scale, base: float) -> list[Markup]:
    days, values = _thinned(each.curve.days, each.curve.values)
    points = [(across.at(day), down.at(value)) for day, value in zip(days, values, strict=True)]
    marks = []
    if each.filled:
        for run in _runs(points):
            edge = [(run[0][0], down.at(base)), *run, (run[-1][0], down.at(base))]
            marks.append(path(edge, f"{each.class_} fill", closed=True))
    marks.append(path(points, f"{each.class_} line"))
    return marks


def _runs(points: Sequence[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    """Split points where one is NaN."""
    runs: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if np.isnan(point[1]):
            runs.append([])
        else:
            runs[-1].append(point)
    return [run for run in runs if run]


def _thinned(days: FloatArray, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Keep of each column of the screen the first, the lowest, the highest and the breaks."""
    if days.size <= 2 * _COLUMNS:
        return days, values
    column = ((days - days[0]) / (days[-1] - days[0]) * (_COLUMNS - 1)).astype(np.int64)
    kept = np.isnan(values)
    kept[[0, -1]] = True
    for start, stop in zip(*_bounds(column), strict=True):
        part = values[start:stop]
        if not np.isnan(part).all():
            kept[start + int(np.nanargmin(part))] = True
            kept[start + int(np.nanargmax(part))] = True
    return days[kept], values[kept]


def _bounds(column: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> tuple[list[int], list[int]]:
    edges = [0, *(np.flatnonzero(np.diff(column)) + 1).tolist(), column.size]
    return edges[:-1], edges[1:]
