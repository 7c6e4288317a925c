"""The database's errors become Seawall's, each provoked in the database itself."""

import asyncio
import socket
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.core.errors import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    SeawallError,
    UnavailableError,
)
from seawall.db import database
from seawall.db.database import Location
from seawall.db.faults import translate, translated
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID


def _raise(code: str) -> str:
    return f"DO $$ BEGIN RAISE 'as told' USING ERRCODE = '{code}'; END $$"


async def _provoke(engine: AsyncEngine, *statements: str, **parameters: object) -> None:
    async with transaction(engine, OWNER_ID) as session:
        for statement in statements:
            await session.execute(text(statement), parameters)


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


ADD_ASSET = "INSERT INTO assets (symbol, name, kind) VALUES ('BTC', 'Bitcoin', 'crypto')"


@pytest.mark.parametrize(
    ("statements", "family", "said", "cause"),
    [
        ([ADD_ASSET, ADD_ASSET], ConflictError, "there already: Key", asyncpg.UniqueViolationError),
        (
            ["DELETE FROM assets"],
            ForbiddenError,
            "permission denied for table assets",
            asyncpg.InsufficientPrivilegeError,
        ),
        (
            ["INSERT INTO users (id, username) VALUES (gen_random_uuid(), 'another')"],
            ForbiddenError,
            "row-level security",
            asyncpg.InsufficientPrivilegeError,
        ),
        (
            ["SELECT 2147483647 + 1"],
            InvalidError,
            "does not fit",
            asyncpg.NumericValueOutOfRangeError,
        ),
        (
            ["SELECT timestamptz '2023-02-29'"],
            InvalidError,
            "does not fit",
            asyncpg.DatetimeFieldOverflowError,
        ),
        (
            ["SELECT * FROM nowhere"],
            UnavailableError,
            "seawall db migrate",
            asyncpg.UndefinedTableError,
        ),
        (
            ["SELECT nothing FROM assets"],
            UnavailableError,
            "seawall db migrate",
            asyncpg.UndefinedColumnError,
        ),
        (
            ["SELECT do_nothing()"],
            UnavailableError,
            "seawall db migrate",
            asyncpg.UndefinedFunctionError,
        ),
        (
            ["SELECT pg_terminate_backend(pg_backend_pid())"],
            UnavailableError,
            "cannot be reached",
            asyncpg.AdminShutdownError,
        ),
        (
            ["SET LOCAL statement_timeout = 10", "SELECT pg_sleep(5)"],
            UnavailableError,
            "statement timeout",
            asyncpg.QueryCanceledError,
        ),
        ([_raise("disk_full")], UnavailableError, "no space left", asyncpg.DiskFullError),
        ([_raise("out_of_memory")], UnavailableError, "reached", asyncpg.OutOfMemoryError),
        ([_raise("too_many_connections")], UnavailableError, "", asyncpg.TooManyConnectionsError),
    ],
)
async def test_each_error_becomes_its_family_with_its_cause(
    engine: AsyncEngine,
    statements: list[str],
    family: type[SeawallError],
    said: str,
    cause: type[BaseException],
) -> None:
    with pytest.raises(SeawallError) as caught:
        await _provoke(engine, *statements)
    assert type(caught.value) is family
    assert said in str(caught.value)
    assert isinstance(_root(caught.value), cause)


async def test_a_number_too_large_to_be_sent_is_the_input_s_fault(engine: AsyncEngine) -> None:
    with pytest.raises(InvalidError, match="does not fit") as caught:
        await _provoke(engine, "SELECT CAST(:number AS integer)", number=2**40)
    assert isinstance(_root(caught.value), OverflowError)


async def test_an_argument_of_the_wrong_type_is_a_bug_of_ours(engine: AsyncEngine) -> None:
    with pytest.raises(DBAPIError, match="invalid input for query argument"):
        await _provoke(engine, "SELECT CAST(:number AS integer)", number="many")


def test_a_file_s_errors_are_not_the_database_s(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), translated():
        (tmp_path / "gone").read_bytes()


async def test_a_deadlock_may_be_tried_again(engine: AsyncEngine) -> None:
    both_have_one = asyncio.Barrier(2)

    async def lock(first: int, second: int) -> None:
        async with transaction(engine, OWNER_ID) as session:
            await session.execute(text(f"SELECT pg_advisory_xact_lock({first})"))
            await both_have_one.wait()
            await session.execute(text(f"SELECT pg_advisory_xact_lock({second})"))

    done = await asyncio.gather(lock(1, 2), lock(2, 1), return_exceptions=True)
    (error,) = [each for each in done if each is not None]
    assert isinstance(error, UnavailableError)
    assert error.hint == "Try again."
    assert isinstance(_root(error), asyncpg.DeadlockDetectedError)


async def test_a_lost_race_may_be_tried_again(engine: AsyncEngine) -> None:
    strict = engine.execution_options(isolation_level="REPEATABLE READ")
    await _provoke(engine, ADD_ASSET)

    async def lose() -> None:
        async with transaction(strict, OWNER_ID) as session:
            await session.execute(text("SELECT * FROM assets"))
            await _provoke(engine, "UPDATE assets SET name = 'first'")
            await session.execute(text("UPDATE assets SET name = 'second'"))

    with pytest.raises(UnavailableError, match=r"Two changes met.*Try again"):
        await lose()


@pytest.mark.parametrize(
    "statement",
    ["SELECT 1 / 0", "INSERT INTO exchanges (code) VALUES (NULL)", "SELECT 'x'::uuid", "SELEC"],
)
async def test_a_bug_of_ours_stays_what_it_is(engine: AsyncEngine, statement: str) -> None:
    with pytest.raises(DBAPIError) as caught:
        await _provoke(engine, statement)
    assert translate(caught.value) is None


async def test_errors_of_others_pass_through(engine: AsyncEngine) -> None:
    own = NotFoundError("No such thing.")
    for raised in (own, KeyError("x"), ValueError("y")):
        with pytest.raises(type(raised)) as caught:
            async with transaction(engine, OWNER_ID):
                raise raised
        assert caught.value is raised
        assert caught.value.__cause__ is None


def test_what_is_no_error_of_a_database_is_not_known() -> None:
    assert translate(KeyError("x")) is None
    with pytest.raises(KeyError), translated():
        raise KeyError


async def _error_of(location: Location, url: str) -> UnavailableError:
    with pytest.raises(UnavailableError) as caught:
        await database.version(replace(location, url=url))
    return caught.value


async def test_a_wrong_password_is_told_without_the_password(location: Location) -> None:
    wrong = make_url(location.url).set(password="s3cret-and-wrong")  # noqa: S106 - wrong on purpose
    error = await _error_of(location, wrong.render_as_string(hide_password=False))
    assert "refused to log in" in error.message
    assert "SEAWALL_DATABASE__URL" in error.hint
    assert "s3cret" not in f"{error!r} {error}"


async def test_a_database_that_is_not_there_is_told(empty_location: Location) -> None:
    error = await _error_of(empty_location, empty_location.url)
    assert empty_location.name in error.message
    assert error.hint == "Run `seawall db migrate`."


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "nowhere.invalid", "/nowhere"])
async def test_a_server_that_is_not_there_is_told(location: Location, host: str) -> None:
    with socket.socket() as probe:  # Bound but not listening: nothing answers there.
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        place = f"/it?host={host}&port={port}" if "/" in host else f"{host}:{port}/it"
        prefix = "postgresql://me:s3cret@"
        error = await _error_of(location, prefix + place)
    assert "cannot be reached" in error.message
    assert "SEAWALL_DATABASE__URL" in error.hint
    assert "s3cret" not in f"{error!r} {error}"
