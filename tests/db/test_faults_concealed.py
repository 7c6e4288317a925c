"""What an error of the database says of a row, a key or an argument does not reach a screen."""

import io
import logging
import traceback

import asyncpg
import pytest
import sqlalchemy
from rich.console import Console
from rich.traceback import Traceback
from sqlalchemy import Executable, insert, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.core.errors import ConflictError, UnavailableError
from seawall.db.database import Location
from seawall.db.engine import create_engine
from seawall.db.faults import is_collision, translated
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID
from seawall.identity.tables import User
from seawall.market.tables import Asset

CANARY = "canary-4711"
HIDDEN = ("canary", "bracket", "47114711")
WRONG = (CANARY, CANARY + " (a bracket)\nand a line", 4711_4711)
ADD_USER = text(
    "INSERT INTO users (id, username, password_hash) VALUES (:id, :username, :password_hash)"
)


def told(error: BaseException) -> str:
    """Return everything that could be printed of an error."""
    screen = Console(file=io.StringIO(), width=500)
    shown = Traceback.from_exception(
        type(error), error, error.__traceback__, width=500, suppress=[sqlalchemy, asyncpg]
    )
    screen.print(shown)
    assert isinstance(screen.file, io.StringIO)
    found = [*traceback.format_exception(error), screen.file.getvalue()]
    seen: BaseException | None = error
    while seen is not None:
        found += [str(seen), repr(seen), str(getattr(seen, "detail", ""))]
        seen = seen.__cause__ or seen.__context__
    return "\n".join(found)


async def _fail(
    engine: AsyncEngine, *statements: Executable, **parameters: object
) -> BaseException:
    """Run statements of which the last fails, as one whom row security does not hold back."""

    async def run() -> None:
        with translated():
            async with engine.begin() as connection:
                for statement in statements:
                    await connection.execute(statement, parameters)

    with pytest.raises(Exception, match=r".") as caught:
        await run()
    return caught.value


@pytest.fixture
async def admin(location: Location) -> AsyncEngine:
    """A superuser's engine: PostgreSQL repeats rows to it, of every table."""
    return create_engine(location.admin_url, role=None, pooled=False)


async def test_a_row_with_hidden_columns_is_not_repeated(admin: AsyncEngine) -> None:
    error = await _fail(admin, ADD_USER, id=OWNER_ID, username="visible", password_hash=CANARY)
    assert "ck_users_password_hash" in told(error)
    assert "Failing row" not in told(error)
    assert CANARY not in told(error)


async def test_a_key_of_a_table_with_hidden_columns_is_not_repeated(admin: AsyncEngine) -> None:
    values = {"id": OWNER_ID, "username": CANARY, "password_hash": None}
    error = await _fail(admin, ADD_USER, ADD_USER, **values)
    assert isinstance(error, ConflictError)
    assert "pk_users" in error.message
    assert str(OWNER_ID) not in told(error)
    unique = text("INSERT INTO users (username) VALUES (:username)")
    error = await _fail(admin, unique, unique, username=CANARY)
    assert isinstance(error, ConflictError)
    assert "uq_users_username" in error.message
    assert CANARY not in told(error)


async def test_a_key_of_an_open_table_is_repeated(engine: AsyncEngine) -> None:
    add = insert(Asset).values(symbol="BTC", name="Bitcoin", kind="crypto")
    error = await _fail(engine, add, add)
    assert isinstance(error, ConflictError)
    assert "Key (symbol)=(BTC) already exists" in error.message
    assert "DETAIL" in told(error)


async def test_an_argument_of_the_wrong_type_is_not_repeated(engine: AsyncEngine) -> None:
    """As when a secret is stored and the sealing was forgotten."""
    for wrong in WRONG:
        with pytest.raises(Exception, match="invalid input for query argument") as caught:
            async with transaction(engine, OWNER_ID) as session:
                await session.execute(update(User).values(first_name=wrong))
        said = told(caught.value)
        assert "argument $1: (not shown) (" in said
        assert not [part for part in HIDDEN if part in said]


async def test_parameters_are_in_no_error_and_no_log_of_ours(
    engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("sqlalchemy.engine", "sqlalchemy.pool", "sqlalchemy.orm", "asyncpg"):
        caplog.set_level(logging.DEBUG, logger=name)
    known = text("SELECT length(CAST(:it AS text))")
    unknown = text("SELECT nothing FROM users WHERE username = :it")
    error = await _fail(engine, known, unknown, it=CANARY)
    assert "hidden" in told(error)
    assert "SELECT length" in caplog.text
    assert CANARY not in told(error) + caplog.text


async def test_a_lock_that_is_not_got_in_time_may_be_tried_again(
    admin: AsyncEngine, engine: AsyncEngine
) -> None:
    lock = text("SELECT pg_advisory_xact_lock(4711)")
    async with admin.begin() as other:
        await other.execute(lock)
        error = await _fail(engine, text("SET LOCAL lock_timeout = '10ms'"), lock)
    assert isinstance(error, UnavailableError)
    assert "Two changes met" in error.message
    assert is_collision(error)


def test_not_every_outage_is_a_collision() -> None:
    assert not is_collision(UnavailableError())
    lost = UnavailableError()
    lost.__cause__ = ConnectionResetError()
    assert not is_collision(lost)
