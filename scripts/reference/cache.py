"""The page of the cache's keys."""

import inspect
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import get_args, get_type_hints

from scripts.reference.markdown import code, codes, doc, page, table
from seawall.db.cache import values
from seawall.db.cache.events import OUTDATED
from seawall.db.cache.keys import KEYS, Entry, Key


def cache_page() -> str:
    """List every key of the cache, and what it holds."""
    rows = [(code(key.template), *_held(key), codes(_tables_of(key))) for key in KEYS]
    return page(
        "Cache",
        "[The cache](../cache.md) tells how these are used. Names have `seawall:` before them, and"
        " what tells one database from another.",
        table(("Key", "Holds", "Lifetime", "Dropped when rows change in"), rows),
        *_values(),
    )


def _held(key: Key) -> tuple[str, str]:
    if not isinstance(key, Entry):
        return "a count, given as `Usage`", "its window"
    inner = get_args(key.holds)
    held = f"a list of `{inner[0].__name__}`" if inner else code(key.holds.__name__)
    return held, _duration(key.lifetime)


def _duration(length: timedelta) -> str:
    seconds = int(length.total_seconds())
    for unit, size in (("days", 86_400), ("minutes", 60)):
        if seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} seconds"


def _tables_of(key: Key) -> list[str]:
    """Name the tables whose announcements drop this key's entries."""
    return [
        name
        for name, slots in OUTDATED.items()
        if any(slot.entry is key for slot in slots(*inspect.signature(slots).parameters))
    ]


def _values() -> Iterator[str]:
    for each in vars(values).values():
        if isinstance(each, type) and each.__module__ == values.__name__:
            fields = get_type_hints(each).items()
            yield f"## `{each.__name__}`"
            yield doc(each)
            yield table(("Field", "Type"), ((code(name), code(_kind(it))) for name, it in fields))


def _kind(annotation: object) -> str:
    """Write a type without the modules that it comes from."""
    named = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    return re.sub(r"\w+\.", "", named if not get_args(annotation) else str(annotation))
