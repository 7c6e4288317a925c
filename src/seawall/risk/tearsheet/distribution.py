"""The chart of how daily returns are distributed, with what the tail figures mark in it."""

from collections.abc import Sequence

from markupsafe import Markup

from seawall.risk.tearsheet.axes import Scale, percent_label, ticks
from seawall.risk.tearsheet.curves import Histogram
from seawall.risk.tearsheet.lines import Words
from seawall.risk.tearsheet.svg import WIDTH, Chart, drawing, element, line, path, words

_HEIGHT, _TOP, _BOTTOM, _LEFT, _RIGHT = 224, 38, 24, 6, 30
_LABEL_ROOM, _LABEL_LINE = 84, 16


def distribution_chart(
    words_: Words, found: Histogram, marks: Sequence[tuple[str, str, float]]
) -> Chart:
    """Draw a histogram; `marks` are lines at returns, each with its class and its name."""
    lowest = min([float(found.edges[0]), *(at for _, _, at in marks)])
    highest = max([float(found.edges[-1]), *(at for _, _, at in marks)])
    across = Scale(lowest, highest, _LEFT, WIDTH - _RIGHT)
    most = max(float(found.counts.max()), float(found.normal[:, 1].max(initial=0.0)))
    down = Scale(0, most * 1.04, _HEIGHT - _BOTTOM, _TOP)
    drawn = []
    for value in (each for each in ticks(0, most, 3) if each == round(each)):
        drawn.append(line(_LEFT, down.at(value), WIDTH - _RIGHT, down.at(value), "grid"))
        drawn.append(words(f"{value:g}", WIDTH - _RIGHT + 5, down.at(value) + 3))
    for count, left, right in zip(found.counts, found.edges, found.edges[1:], strict=False):
        x, y = across.at(float(left)), down.at(float(count))
        wide = max(across.at(float(right)) - x - 0.7, 0.5)
        loss = "bar loss" if left + right < 0 else "bar gain"
        drawn.append(
            element("rect", x=x, y=y, width=wide, height=_HEIGHT - _BOTTOM - y, class_=loss)
        )
    drawn.append(
        path([(across.at(x), down.at(y)) for x, y in found.normal.tolist()], "normal line")
    )
    drawn += _marks(marks, across)
    values = ticks(lowest, highest, 5)
    step = values[1] - values[0] if len(values) > 1 else 1.0
    drawn += [
        words(percent_label(value, step), across.at(value), _HEIGHT - 8, anchor="middle")
        for value in values
    ]
    legend = [("loss", "days with a loss"), ("gain", "days with a gain")]
    if len(found.normal):
        legend.append(("normal", "normal distribution of the same mean and deviation"))
    legend += [(class_, name) for class_, name, _ in marks]
    return Chart(
        words_.key,
        words_.title,
        drawing(words_.key, words_.title, words_.description, _HEIGHT, *drawn),
        words_.caption,
        legend=tuple(legend),
    )


def _marks(marks: Sequence[tuple[str, str, float]], across: Scale) -> list[Markup]:
    lines, names = [], []
    for at, (class_, name, value) in enumerate(marks):
        x, y = across.at(value), 13 + _LABEL_LINE * at
        lines.append(line(x, y - 3, x, _HEIGHT - _BOTTOM, f"{class_} mark"))
        anchor = "end" if x > _LEFT + _LABEL_ROOM else "start"
        place = x - 4 if anchor == "end" else x + 4
        names.append(words(name, place, y, "label named", anchor))
    # A name may cross another's line, so names come last.
    return [*lines, *names]
