"""The database's errors, mapped once to Seawall's families, without what is to stay hidden."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from seawall.core.errors import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    SeawallError,
    UnavailableError,
)
from seawall.db.base import Base
from seawall.db.engine import APP_ROLE

_Kinds = type[BaseException] | tuple[type[BaseException], ...]


def _cause(error: BaseException) -> BaseException:
    """Return the driver's own error under SQLAlchemy's wrapping."""
    while isinstance(error, DBAPIError) and error.orig is not None:
        inner = error.orig
        error = inner.__cause__ or inner
    return error


_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)

_COLLISIONS = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
)

_NO_FIT = "A value does not fit into the database"

# In this order: the first family that an error is of is the one that it becomes.
_KNOWN: tuple[tuple[_Kinds, type[SeawallError], str, str], ...] = (
    (
        asyncpg.DiskFullError,
        UnavailableError,
        "The database has no space left on its disk, and nothing was changed",
        "Free some space, then try again. `seawall doctor` shows how much there is.",
    ),
    (asyncpg.InsufficientPrivilegeError, ForbiddenError, "The database refused this", ""),
    (asyncpg.UniqueViolationError, ConflictError, "This is there already", ""),
    (
        (asyncpg.NumericValueOutOfRangeError, asyncpg.DatetimeFieldOverflowError),
        InvalidError,
        _NO_FIT,
        "",
    ),
    (
        _COLLISIONS,
        UnavailableError,
        "Two changes met, and this one was undone",
        "Try again.",
    ),
    (
        (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError, asyncpg.UndefinedFunctionError),
        UnavailableError,
        "The database is not of this version of Seawall",
        "Run `seawall db migrate`.",
    ),
    (
        (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError),
        UnavailableError,
        "The database refused to log in",
        "Check the user and password in SEAWALL_DATABASE__URL.",
    ),
    (
        asyncpg.InvalidCatalogNameError,
        UnavailableError,
        "The database is not there",
        "Run `seawall db migrate`.",
    ),
    (
        asyncpg.QueryCanceledError,
        UnavailableError,
        "The database took too long over this, and it was undone",
        "Ask for less at once.",
    ),
    (
        _LOST,
        UnavailableError,
        "The database cannot be reached",
        "Try again; if SEAWALL_DATABASE__URL is set, see that it names a running server.",
    ),
)


def translate(error: BaseException) -> SeawallError | None:
    """Return the Seawall error that a database error stands for; None when it is a bug of ours."""
    cause = _cause(error)
    if isinstance(cause, PoolTimeoutError):
        return UnavailableError(
            "All connections to the database are busy, and none became free in time.",
            hint="Try again.",
        )
    if isinstance(cause, OSError) and cause.filename is not None:
        return None  # A file was the trouble, not the way to the database.
    if isinstance(cause, asyncpg.DataError) and isinstance(cause.__cause__, OverflowError):
        return InvalidError(f"{_NO_FIT}: {cause.__cause__}.")  # It was too large to be sent.
    if isinstance(cause, asyncpg.InvalidParameterValueError) and APP_ROLE in str(cause):
        return UnavailableError(
            f"The database has never been migrated: its server does not know the role {APP_ROLE}.",
            hint="Run `seawall db migrate`.",
        )
    for kinds, family, message, hint in _KNOWN:
        if isinstance(cause, kinds):
            said = getattr(cause, "detail", None) or str(cause) or type(cause).__name__
            return family(f"{message}: {said.rstrip('.')}.", hint=hint)
    return None


def is_collision(error: SeawallError) -> bool:
    """Tell whether a transaction was undone because it met another, so that it can be repeated."""
    return error.__cause__ is not None and isinstance(_cause(error.__cause__), _COLLISIONS)


_ARGUMENT = re.compile(r"(invalid input for query argument \$\d+): .*(?= \()", re.DOTALL)


def conceal(error: BaseException) -> None:
    """Take values out of an error and its causes, where they may be secret.

    PostgreSQL repeats a row or a key in the details of an error, asyncpg an argument of the wrong
    type. A row of a table with sealed or redacted columns is not for logs and screens, and an
    argument never is.
    """
    chain = list(_chain(error))
    details = [
        each.detail
        for each in chain
        if isinstance(each, asyncpg.PostgresError) and each.detail and _hides(each.table_name)
    ]
    for each in chain:
        # SQLAlchemy's error under its own has a copy.
        if getattr(each, "detail", None) in details:
            each.detail = None
        each.args = tuple(_concealed(part, details) for part in each.args)


def _chain(error: BaseException) -> Iterator[Any]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        inner = seen.orig if isinstance(seen, DBAPIError) else None
        seen = inner or seen.__cause__ or seen.__context__


def _hides(table_name: str | None) -> bool:
    table = Base.metadata.tables.get(table_name or "")
    if table is None:
        return False
    audit = table.info.get("audit")
    is_redacted = audit is not None and bool(audit.redacted)
    return is_redacted or any(column.info.get("sealed") for column in table.columns)


def _concealed(said: Any, details: Sequence[str]) -> Any:
    if not isinstance(said, str):
        return said
    for detail in details:
        said = said.replace(detail, "(not shown)")
    return _ARGUMENT.sub(r"\1: (not shown)", said)


@contextmanager
def translated() -> Iterator[None]:
    """Raise the database's errors as Seawall's, with the original as their cause."""
    try:
        yield
    except SeawallError:
        raise
    except Exception as error:
        conceal(error)
        known = translate(error)
        if known is None:
            raise
        raise known from error
