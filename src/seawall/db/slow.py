"""Logging statements that took long: their text without their values, and for which request."""

import logging
from time import perf_counter
from typing import Any

import orjson
from sqlalchemy import Connection, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.core.asking import REQUEST_ID

MOST_CHARACTERS = 1_000
"""Of a statement's text."""
_STARTED = "seawall_started"
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

    def before(connection: Connection, *_: Any) -> None:
        connection.info[_STARTED] = perf_counter()

    def after(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        seconds = perf_counter() - connection.info.pop(_STARTED)
        if seconds >= limit:
            note(statement, seconds)

    def failed(context: ExceptionContext) -> None:
        if context.connection is None or context.statement is None:
            return
        started = context.connection.info.pop(_STARTED, None)
        if started is not None and (seconds := perf_counter() - started) >= limit:
            note(context.statement, seconds)

    event.listen(sync, "connect", connected)
    event.listen(sync, "before_cursor_execute", before)
    event.listen(sync, "after_cursor_execute", after)
    event.listen(sync, "handle_error", failed)
