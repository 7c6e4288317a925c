"""The database's errors, mapped once to Seawall's families."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from sqlalchemy.exc import DBAPIError

from seawall.core.errors import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    SeawallError,
    UnavailableError,
)
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
        (asyncpg.DeadlockDetectedError, asyncpg.SerializationError),
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
        _LOST,
        UnavailableError,
        "The database cannot be reached",
        "Try again; if SEAWALL_DATABASE__URL is set, see that it names a running server.",
    ),
)


def translate(error: BaseException) -> SeawallError | None:
    """Return the Seawall error that a database error stands for; None when it is a bug of ours."""
    cause = _cause(error)
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


@contextmanager
def translated() -> Iterator[None]:
    """Raise the database's errors as Seawall's, with the original as their cause."""
    try:
        yield
    except SeawallError:
        raise
    except Exception as error:
        known = translate(error)
        if known is None:
            raise
        raise known from error
