"""Statements that took long are logged, without their values, whichever way they were asked."""

import logging
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import orjson
import pytest
from sqlalchemy import bindparam, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.core.asking import REQUEST_ID
from seawall.core.errors import SeawallError
from seawall.db.database import Location
from seawall.db.engine import create_engine
from seawall.db.quick import Statement, reading
from seawall.db.slow import MOST_CHARACTERS

SLEPT = Statement(
    select(func.pg_sleep(bindparam("seconds")).label("slept"), bindparam("secret").label("said"))
)
WORD = "a-word"
SLEEP = text("SELECT pg_sleep(:seconds), CAST(:secret AS text)")


@pytest.fixture
async def slow_engine(location: Location) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(location.url, slow_ms=100)
    yield engine
    await engine.dispose()


def _told(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    found = [each for each in caplog.records if each.name == "seawall.slow"]
    assert all(each.levelno == logging.WARNING for each in found)
    return [orjson.loads(each.getMessage()) for each in found]


async def test_a_slow_statement_is_logged_without_its_values(
    slow_engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    async with slow_engine.connect() as connection:
        await connection.execute(SLEEP, {"seconds": 0.0, "secret": "a-word"})
        assert _told(caplog) == []
        token = REQUEST_ID.set("request-1")
        await connection.execute(SLEEP, {"seconds": 0.15, "secret": "a-word"})
        REQUEST_ID.reset(token)
    (line,) = _told(caplog)
    assert line["ms"] >= 150
    assert line["request_id"] == "request-1"
    assert line["statement"].startswith("SELECT pg_sleep($1")
    assert "a-word" not in caplog.text


@pytest.mark.parametrize("how", ["rows", "row", "alone"])
async def test_so_is_one_on_the_driver(
    slow_engine: AsyncEngine, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    values = {"seconds": 0.15, "secret": "a-word"}
    if how == "alone":
        await SLEPT.alone(slow_engine, uuid4(), **values)
    else:
        async with reading(slow_engine, uuid4()) as connection:
            await getattr(SLEPT, how)(connection, **values)
    (line,) = _told(caplog)
    assert line["ms"] >= 150
    assert line["request_id"] is None
    assert "pg_sleep" in line["statement"]
    assert "a-word" not in caplog.text


async def _sleep_too_long(engine: AsyncEngine) -> None:
    async with reading(engine, uuid4()) as quick:
        await quick.execute("SET LOCAL statement_timeout = 150")
        await SLEPT.rows(quick, seconds=5.0, secret=WORD)


async def test_one_that_failed_late_is_logged_too(
    slow_engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    async with slow_engine.connect() as connection:
        with pytest.raises(DBAPIError):
            await connection.execute(text("SELECT 1 / 0"))
        await connection.rollback()
        await connection.execute(text("SET LOCAL statement_timeout = 150"))
        with pytest.raises(DBAPIError):
            await connection.execute(SLEEP, {"seconds": 5.0, "secret": "a-word"})
    with pytest.raises(SeawallError):
        await _sleep_too_long(slow_engine)
    assert len(_told(caplog)) == 2
    assert "a-word" not in caplog.text


async def test_a_long_text_is_shortened_and_nothing_is_logged_when_off(
    slow_engine: AsyncEngine, location: Location, caplog: pytest.LogCaptureFixture
) -> None:
    long = text(f"SELECT pg_sleep(0.15), {', '.join(['1'] * 1_000)}")
    off = create_engine(location.url, slow_ms=0, pooled=False)
    async with off.connect() as connection:
        await connection.execute(long)
    async with reading(off, uuid4()) as quick:
        await SLEPT.rows(quick, seconds=0.15, secret="")
    assert _told(caplog) == []
    async with slow_engine.connect() as connection:
        await connection.execute(long)
    (line,) = _told(caplog)
    assert len(line["statement"]) == MOST_CHARACTERS + 1
