"""SVG elements, in which everything that is text is escaped."""

import math
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH = 480
"""The units across a chart; it is scaled to the room that there is."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing with its title and what it says; without a drawing there is the reason.

    `legend` names what is drawn, each with its class.
    """

    key: str
    title: str
    drawing: Markup | None = None
    caption: str = ""
    reason: str = ""
    legend: tuple[tuple[str, str], ...] = ()


def element(name: str, *children: str, **attributes: str | float) -> Markup:
    """Write an element; `class_` is its class, and an underscore in a name stands for a hyphen."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_value(value))}"'
        for key, value in attributes.items()
    )
    inner = "".join(escape(child) for child in children)
    return Markup(f"<{name}{written}>{inner}</{name}>")  # noqa: S704 - all of it was escaped


def drawing(key: str, title: str, description: str, height: float, *children: str) -> Markup:
    """Write a whole drawing, with a title and a description for those who cannot see it."""
    names = {"title": f"{key}-title", "desc": f"{key}-desc"}
    return element(
        "svg",
        element("title", title, id=names["title"]),
        element("desc", description, id=names["desc"]),
        *children,
        viewBox=f"0 0 {WIDTH} {_value(height)}",
        role="img",
        aria_labelledby=f"{names['title']} {names['desc']}",
    )


def words(text: str, x: float, y: float, class_: str = "tick", anchor: str = "start") -> Markup:
    """Write text at a point."""
    return element("text", text, x=x, y=y, class_=class_, text_anchor=anchor)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """Draw a straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def path(points: list[tuple[float, float]], class_: str, *, closed: bool = False) -> Markup:
    """Draw a line through points, broken where one is NaN."""
    steps, pen_up = [], True
    for x, y in points:
        if math.isnan(y):
            pen_up = True
            continue
        steps.append(f"{'M' if pen_up else 'L'}{_value(x)} {_value(y)}")
        pen_up = False
    return element("path", d="".join(steps) + ("Z" if closed else ""), class_=class_)


def _value(value: str | float) -> str:
    """Write a number as short as a screen needs it."""
    return value if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")
