"""How pages are put together."""

import inspect
from collections.abc import Iterable, Sequence

NOTICE = "<!-- Written by `make docs` from the code: change the code, not this page. -->"


def page(title: str, *parts: str) -> str:
    """Put a page together; what is empty is left out."""
    return "\n\n".join([NOTICE, f"# {title}", *filter(None, parts)]) + "\n"


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Write a table."""
    cells = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, row))} |" for row in cells)


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def bullets(title: str, items: Iterable[str]) -> str:
    """Write a list under its title; nothing where there are no items."""
    written = "\n".join(f"- {item}" for item in items)
    return f"{title}:\n\n{written}" if written else ""


def fence(kind: str, text: str) -> str:
    """Write a block of code."""
    return f"```{kind}\n{text}\n```"


def code(text: object) -> str:
    """Write code in a line; nothing stays nothing."""
    return f"`{text}`" if str(text) else ""


def codes(names: Iterable[str]) -> str:
    """Write several names in a line."""
    return ", ".join(map(code, names))


def doc(thing: object) -> str:
    """Return a docstring without its indentation."""
    return inspect.getdoc(thing) or ""


def uncapitalised(text: str) -> str:
    """Return a sentence as a part of another."""
    return text[:1].lower() + text[1:]
