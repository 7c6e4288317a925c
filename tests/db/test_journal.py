"""Warnings and errors are kept in the database, without secrets, and without anybody waiting."""

import logging
import sys

import orjson
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.core.asking import REQUEST_ID
from seawall.db.database import Location
from seawall.db.engine import WORKER_ROLE, create_engine
from seawall.db.journal import MOST_CHARACTERS, MOST_ENTRIES, Journal, journal, newest, redact

LOG = logging.getLogger("seawall.test")


async def test_what_is_warned_of_is_kept(engine: AsyncEngine) -> None:
    async with journal(engine, "server"):
        LOG.info("not this")
        token = REQUEST_ID.set("request-1")
        LOG.warning("It is %s.", "late")
        REQUEST_ID.reset(token)
        try:
            _fail()
        except ValueError:
            LOG.exception("It failed\0.")
        logging.getLogger("other").warning("nor this")
    LOG.warning("and this comes too late")
    error, warning = await newest(engine, "warning", 10)
    assert (warning["level"], warning["component"]) == ("warning", "seawall.test")
    assert warning["message"] == "It is late."
    assert warning["metadata"]["request_id"] == "request-1"
    assert warning["metadata"]["process"].startswith("server ")
    assert (error["level"], error["message"]) == ("error", "It failed.")
    assert error["metadata"]["request_id"] is None
    assert error["metadata"]["error"] == "ValueError: token=(not shown) is wrong"
    assert "test_journal.py" in error["metadata"]["where"][-1]
    assert await newest(engine, "error", 10) == [error]
    assert await newest(engine, "critical", 10) == []


async def test_a_worker_keeps_its_own(location: Location, engine: AsyncEngine) -> None:
    worker = create_engine(location.admin_url, role=WORKER_ROLE, pooled=False)
    async with journal(worker, "worker"):
        LOG.error("A job failed.")
    (found,) = await newest(engine, "warning", 10)
    assert found["metadata"]["process"].startswith("worker ")


async def test_it_waits_while_the_database_is_away_and_counts_what_is_too_much(
    location: Location, engine: AsyncEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    away = create_engine("postgresql://nobody@127.0.0.1:1/seawall", pooled=False)
    kept = Journal(away, "server 1")
    for number in range(MOST_ENTRIES + 7):
        kept.handle(_record(f"entry {number}"))
    await kept.write()
    await kept.write()
    assert await newest(engine, "warning", 10) == []
    kept._engine = create_engine(location.url, slow_ms=1, pooled=False)
    logging.getLogger("seawall").addHandler(kept)
    try:
        # Its own statements are slow here, and are not kept in turn.
        await kept.write()
        await kept.write()
    finally:
        logging.getLogger("seawall").removeHandler(kept)
    found = await newest(engine, "warning", 2 * MOST_ENTRIES)
    assert len(found) == MOST_ENTRIES + 1
    assert {each["component"] for each in found} == {"seawall.test", "seawall.db.journal"}
    (lost,) = [each for each in found if each["component"] == "seawall.db.journal"]
    assert lost["metadata"]["lost"] == 7
    assert capsys.readouterr().err.count("Traceback") == 0


async def test_what_is_left_at_the_end_goes_to_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    away = create_engine("postgresql://nobody@127.0.0.1:1/seawall", pooled=False)
    async with journal(away, "server"):
        LOG.warning("password=hunter2 was %s", "wrong")
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    (entry,) = map(orjson.loads, said)
    assert (entry["level"], entry["component"]) == ("warning", "seawall.test")
    assert entry["message"] == "password=(not shown) was wrong"
    assert entry["metadata"]["process"].startswith("server ")


async def test_what_is_refused_is_kept_in_another_form_and_takes_no_other_with_it(
    engine: AsyncEngine,
) -> None:
    kept = Journal(engine, "server 1")
    kept.handle(_record("before"))
    kept.handle(logging.LogRecord("seawall.\0test", logging.ERROR, "", 1, "named oddly", (), None))
    try:
        exec(compile("1 / 0", "odd\udcff.py", "exec"))  # noqa: S102 - a file of any name
    except ZeroDivisionError:
        where = logging.LogRecord("seawall.é", 40, "", 1, "where", (), sys.exc_info())
        kept.handle(where)
    kept.handle(_record("after"))
    await kept.write()
    found = {each["message"]: each for each in await newest(engine, "warning", 10)}
    assert set(found) == {"before", "named oddly", "where", "after"}
    assert found["named oddly"]["component"] == "seawall.test"
    assert found["named oddly"]["metadata"]["process"] == "server 1"
    assert found["where"]["component"] == "seawall.\\xe9"
    assert found["where"]["metadata"]["error"].startswith("ZeroDivisionError")
    assert found["where"]["metadata"]["where"][-1].startswith("odd?.py:1")
    mended = {name for name, each in found.items() if each["metadata"].get("mended")}
    assert mended == {"named oddly", "where"}
    assert kept._lost == 0


async def test_what_can_never_be_written_is_counted_and_the_rest_waits_until_it_can(
    location: Location, capsys: pytest.CaptureFixture[str]
) -> None:
    own = create_engine(location.admin_url, role=None, pooled=False)

    async def say(*statements: str) -> None:
        async with own.begin() as connection:
            for each in ("SET TRANSACTION READ WRITE", *statements):
                await connection.execute(text(each))

    readers = f'ALTER DATABASE "{location.name}" SET default_transaction_read_only ='
    await say(
        "ALTER TABLE system_logs ADD CHECK (message <> 'never')",
        "REVOKE INSERT ON system_logs FROM seawall_app",
        f"{readers} on",
    )
    kept = Journal(create_engine(location.url, pooled=False), "server 1")
    for each in ("never", "later"):
        kept.handle(_record(each))
    for passes in (f"{readers} off", "GRANT INSERT ON system_logs TO seawall_app"):
        await kept.write()
        assert len(kept._waiting) == 2
        await say(passes)
    await kept.write()
    told, later = await newest(own, "warning", 10)
    assert told["metadata"]["lost"] == 1
    assert later["message"] == "later"
    kept.speak()
    assert not capsys.readouterr().err


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("postgresql://ada:hunter2@host/db", "postgresql://ada:(not shown)@host/db"),
        ("Authorization: Bearer abcdefgh.ijkl", "Authorization: (not shown) (not shown)"),
        ("got Bearer abcdefgh.ijkl", "got Bearer (not shown)"),
        ('{"password": "a b"}', '{"password": (not shown)}'),
        ("api_key='x y', next", "api_key=(not shown), next"),
        ("a plain word", "a plain word"),
        ("half \ud800 a pair", "half ? a pair"),
        ("x" * 5_000, "x" * MOST_CHARACTERS + "…"),
    ],
)
def test_secrets_are_left_out(said: str, kept: str) -> None:
    assert redact(said) == kept


def _fail() -> None:
    raise ValueError("token=abc123 is wrong")


def _record(message: str) -> logging.LogRecord:
    return logging.LogRecord("seawall.test", logging.WARNING, "", 1, message, (), None)
