"""Keeping the warnings and errors of a server or a worker in `system_logs`, beside its own log."""

import asyncio
import logging
import os
import re
import sys
import traceback
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql import bindparam

from seawall.core.asking import REQUEST_ID
from seawall.core.errors import SeawallError, UnavailableError
from seawall.db.faults import conceal, translated

MOST_ENTRIES, BATCH = 1_000, 200
"""How many entries wait at most, and how many are written at once."""
MOST_CHARACTERS = 4_000
"""Of a message, and of where an error came from."""
EVERY, PATIENCE = 1.0, 5.0
"""Seconds between writings, and for each of them."""
_LAST_WORDS = 5.0
_FRAMES = 20
_REFUSED = ("22", "23")
"""Classes of SQLSTATE that are about the values: they do not fit, or break a constraint."""
_CHUNKS = text("SELECT ensure_chunks('system_logs', :first, :last)")
_INSERT = text(
    "INSERT INTO system_logs (time, level, component, message, metadata)"
    " VALUES (:time, :level, :component, :message, :metadata)"
).bindparams(bindparam("metadata", type_=JSONB))
_NEWEST = text(
    "SELECT time, level, component, message, metadata FROM system_logs"
    " WHERE level = ANY (:levels) ORDER BY time DESC, id LIMIT :most"
)
_LEVELS = ("debug", "info", "warning", "error", "critical")
# An address with a password, a token as it is sent, and what is named like a secret.
_SECRETS = (
    (re.compile(r"(\w://[^\s/:@]*:)[^\s@]+@"), r"\1(not shown)@"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), r"\1 (not shown)"),
    (
        re.compile(
            r"""(?ix)\b([\w-]*(?:passw(?:or)?d|secret|token|api[_-]?key|authorization|cookie)
            ["']?\s*[:=]\s*)(?:"[^"]*"|'[^']*'|[^\s,;"')]+)"""
        ),
        r"\1(not shown)",
    ),
)
_writing: ContextVar[bool] = ContextVar("writing", default=False)


class Journal(logging.Handler):
    """Takes what is logged without waiting, and writes it later, in batches.

    What is too much, or refused in any form, is counted, and the count written in its place.
    """

    def __init__(self, engine: AsyncEngine, process: str) -> None:
        super().__init__(logging.WARNING)
        self._engine = engine
        self._process = process
        self._waiting: deque[dict[str, Any]] = deque()
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Put an entry into the queue; never raise."""
        # Without a handler Python prints warnings by itself, and this one is not instead of that.
        if logging.lastResort is not None and not logging.getLogger().handlers:
            logging.lastResort.handle(record)
        # What writing logs would have to be written again, and again.
        if _writing.get():
            return
        try:
            if len(self._waiting) >= MOST_ENTRIES:
                self._lost += 1
            else:
                self._waiting.append(_entry(record, self._process))
        except Exception:  # noqa: BLE001 - whoever logs is not to fail by it
            self._lost += 1

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            await self.write()

    async def write(self) -> None:
        """Write all that waits; while the database takes nothing it goes on waiting."""
        token = _writing.set(True)
        try:
            while self._waiting or self._lost:
                batch = [self._waiting[each] for each in range(min(BATCH, len(self._waiting)))]
                lost = self._lost
                told = [_loss(lost, self._process)] if lost else []
                if await self._is_written(batch + told):
                    self._lost -= lost
                    for _ in batch:
                        self._waiting.popleft()
                elif batch:
                    await self._write_each(batch)
                else:
                    return  # How many were lost is told when that can be written.
        except UnavailableError:
            return
        finally:
            _writing.reset(token)

    async def _write_each(self, batch: list[dict[str, Any]]) -> None:
        """Write one by one what was refused together, what is refused still as `_mended`."""
        for each in batch:
            if not (await self._is_written([each]) or await self._is_written([_mended(each)])):
                self._lost += 1
            self._waiting.popleft()

    def speak(self) -> None:
        """Write what was not kept to standard error, as one JSON document a line."""
        left = [*self._waiting, *([_loss(self._lost, self._process)] if self._lost else [])]
        self._waiting.clear()
        self._lost = 0
        for each in left:
            sys.stderr.write(orjson.dumps(each).decode() + "\n")

    async def _is_written(self, entries: list[dict[str, Any]]) -> bool:
        """Write entries; False when they are refused for what they are, however often.

        Raises:
            UnavailableError: they cannot be written now, whatever they are.
        """
        try:
            async with asyncio.timeout(PATIENCE):
                await self._insert(entries)
        except Exception as error:
            if _is_of_entries(error):
                return False
            # A server that only reads, or a right that lacks during an upgrade, may pass.
            raise UnavailableError("Entries of the log cannot be written now.") from error
        return True

    async def _insert(self, entries: list[dict[str, Any]]) -> None:
        with translated():
            async with self._engine.begin() as connection:
                times = [each["time"] for each in entries]
                await connection.execute(_CHUNKS, {"first": min(times), "last": max(times)})
                await connection.execute(_INSERT, entries)


@asynccontextmanager
async def journal(engine: AsyncEngine, kind: str) -> AsyncIterator[Journal]:
    """Keep what Seawall's loggers warn of, for as long as the block runs, as of such a process."""
    kept = Journal(engine, f"{kind} {os.getpid()}")
    logger = logging.getLogger("seawall")
    logger.addHandler(kept)
    going = asyncio.create_task(kept.run())
    try:
        yield kept
    finally:
        going.cancel()
        with suppress(asyncio.CancelledError):
            await going
        logger.removeHandler(kept)
        with suppress(SeawallError, TimeoutError):
            async with asyncio.timeout(_LAST_WORDS):
                await kept.write()
        kept.speak()


async def newest(engine: AsyncEngine, level: str, most: int) -> list[dict[str, Any]]:
    """Return the newest entries that are of a level or above, the newest first.

    Raises:
        SeawallError: the database's own errors, each as the family it belongs to.
    """
    levels = list(_LEVELS[_LEVELS.index(level) :])
    with translated():
        async with engine.connect() as connection:
            found = await connection.execute(_NEWEST, {"levels": levels, "most": most})
            return [dict(row) for row in found.mappings()]


def _entry(record: logging.LogRecord, process: str) -> dict[str, Any]:
    details: dict[str, Any] = {"process": process, "request_id": REQUEST_ID.get()}
    if record.exc_info and record.exc_info[1] is not None:
        error = record.exc_info[1]
        conceal(error)
        details["error"] = redact(f"{type(error).__name__}: {error}")
        # Where it was, and not what stood there.
        frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
        details["where"] = [f"{each.filename}:{each.lineno} {each.name}" for each in frames]
    return {
        "time": datetime.fromtimestamp(record.created, UTC),
        "level": _LEVELS[min(max(record.levelno // 10 - 1, 0), 4)],
        "component": record.name[:100],
        "message": redact(record.getMessage()),
        "metadata": details,
    }


def _is_of_entries(error: BaseException | None) -> bool:
    while error is not None:
        state = getattr(error, "sqlstate", None) or ""
        if state.startswith(_REFUSED) or isinstance(error, (TypeError, UnicodeError)):
            return True
        error = error.__cause__
    return False


def _mended(entry: dict[str, Any]) -> dict[str, Any]:
    """Return an entry that was refused in plain letters, as of now, with what was known of it."""
    told = {
        name: [*map(_plain, value)] if isinstance(value, list) else _plain(str(value))
        for name, value in entry["metadata"].items()
        if value is not None
    }
    return {
        "time": datetime.now(UTC),
        "level": entry["level"],
        "component": _plain(entry["component"])[:100] or "unnamed",
        "message": _plain(entry["message"]),
        "metadata": told | {"mended": True, "logged_at": entry["time"].isoformat()},
    }


def _plain(said: str) -> str:
    return redact(said).encode("ascii", errors="backslashreplace").decode()[:MOST_CHARACTERS]


def _loss(count: int, process: str) -> dict[str, Any]:
    return {
        "time": datetime.now(UTC),
        "level": "warning",
        "component": __name__,
        "message": f"{count} entries were not kept: they were too many, or refused in any form.",
        "metadata": {"process": process, "lost": count},
    }


def redact(said: str) -> str:
    """Return a text as it may be kept: without what looks secret, and not too long."""
    for pattern, instead in _SECRETS:
        said = pattern.sub(instead, said)
    # PostgreSQL's text has no NUL, and UTF-8 no half of a pair.
    said = said.replace("\0", "").encode(errors="replace").decode()
    return said if len(said) <= MOST_CHARACTERS else f"{said[:MOST_CHARACTERS]}…"
