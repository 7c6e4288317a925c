"""The chart of what each part has to do with a portfolio's value and with its risk."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from seawall.risk.tearsheet.axes import Scale
from seawall.risk.tearsheet.lines import Words
from seawall.risk.tearsheet.svg import WIDTH, Chart, drawing, element, line, words

_NAMES, _RIGHT, _BAR, _GAP, _TOP = 98, 58, 13, 7, 4
_LONGEST = 13
_BASE = 9.5
"""From the top of a bar to the line that its number stands on."""
_KINDS = (
    ("weight", "share of the value"),
    ("of-volatility", "share of the volatility"),
    ("of-shortfall", "share of the expected shortfall"),
)


@dataclass(frozen=True, slots=True)
class Shares:
    """A part's shares of the value and of two measures; None where one is undefined."""

    name: str
    of: tuple[float | None, float | None, float | None]


def shares_chart(words_: Words, parts: Sequence[Shares]) -> Chart:
    """Draw three bars for each part, which end in their values."""
    known = [each for part in parts for each in part.of if each is not None]
    low, high = min([0.0, *known]), max([0.01, *known])
    left = _NAMES + (_RIGHT if low < 0 else 0)
    across = Scale(low, high, left, WIDTH - _RIGHT)
    tall = len(_KINDS) * _BAR + _GAP
    height = 2 * _TOP + len(parts) * tall - _GAP
    drawn: list[Markup] = [line(across.at(0), 0, across.at(0), height, "base")]
    for at, part in enumerate(parts):
        y = _TOP + at * tall
        short = part.name if len(part.name) <= _LONGEST else f"{part.name[: _LONGEST - 1]}…"
        drawn.append(
            element(
                "g",
                element("title", part.name),
                words(short, 0, y + 1.5 * _BAR + 3.5, "label"),
                *(
                    mark
                    for place, share in enumerate(part.of)
                    for mark in _bar(share, _KINDS[place][0], across, y + place * _BAR)
                ),
            )
        )
    return Chart(
        words_.key,
        words_.title,
        drawing(words_.key, words_.title, words_.description, height, *drawn),
        words_.caption,
        legend=_KINDS,
    )


def _bar(share: float | None, class_: str, across: Scale, y: float) -> list[Markup]:
    zero = across.at(0)
    if share is None:
        return [words("undefined", zero + 4, y + _BASE)]
    end = across.at(share)
    x, wide = min(zero, end), max(abs(end - zero), 0.6)
    text = f"{share:z.1%}".replace("-", "\u2212")
    return [
        element("rect", x=x, y=y, width=wide, height=_BAR - 1.5, class_=f"bar {class_}"),
        words(
            text,
            end + 4 if share >= 0 else end - 4,
            y + _BASE,
            anchor="start" if share >= 0 else "end",
        ),
    ]
