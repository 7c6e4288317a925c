"""Logging statements that took long: their text without their values, and for which request."""

import logging
from collections.abc import Callable
from time import perf_counter
from typing import Any

import orjson
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.core.asking import REQUEST_ID

MOST_CHARACTERS = 1_000
"""Of a statement's text."""
_log = logging.getLogger("seawall.slow")


def note(statement: str, seconds: float) -> None:
    """Log a statement that took long, as one line of JSON."""
    text = " ".join(statement.split())
    if len(text) > MOST_CHARACTERS:
        text = f"{text[:MOST_CHARACTERS]}…"
    line = {"ms": round(seconds * 1_000, 1), "request_id": REQUEST_ID.get(), "statement": text}
    _log.warning("%s", orjson.dumps(line).decode())


def note_slow(engine: AsyncEngine, slow_ms: int) -> None:
    """Have an engine log statements that take this long, and those that fail after it; 0: none."""
    if slow_ms == 0:
        return
    limit = slow_ms / 1_000
    sync = engine.sync_engine

    def connected(connection: Any, _record: Any) -> None:
        # What is asked on the driver itself is timed there.
        connection.driver_connection.slow_seconds = limit

    def timed(ask: Callable[[str, Any], Any], statement: str, parameters: Any) -> bool:
        started = perf_counter()
        try:
            ask(statement, parameters)
        finally:
            if (seconds := perf_counter() - started) >= limit:
                note(statement, seconds)
        return True

    def execute(cursor: Any, statement: str, parameters: Any, _context: Any) -> bool:
        return timed(cursor.execute, statement, parameters)

    def execute_many(cursor: Any, statement: str, parameters: Any, _context: Any) -> bool:
        return timed(cursor.executemany, statement, parameters)

    event.listen(sync, "connect", connected)
    # In the place of the execution itself, which costs a fraction of an event before and one after.
    event.listen(sync, "do_execute", execute)
    event.listen(sync, "do_executemany", execute_many)
