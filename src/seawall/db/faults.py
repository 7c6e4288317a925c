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


def _cause(error: BaseException) -> BaseException:
    """Return the driver's own error under SQLAlchemy's wrapping."""
    while isinstance(error, DBAPIError) and error.orig is not None:
        inner = error.orig
        error = inner.__cause__ or inner
    return error


def translate(error: BaseException) -> SeawallError | None:
    """Return the Seawall error that a database error stands for; None when it is a bug of ours."""
    cause = _cause(error)
    match cause:
        case asyncpg.DiskFullError():
            return UnavailableError(
                "The database has no space left on its disk; nothing was changed.",
                hint="Free some space, then try again. `seawall doctor` shows how much there is.",
            )
        case asyncpg.InsufficientPrivilegeError():
            return ForbiddenError(f"The database refused this: {cause}.")
        case asyncpg.UniqueViolationError():
            return ConflictError(f"This is there already: {cause.detail or cause}.")
        case asyncpg.NumericValueOutOfRangeError() | asyncpg.DatetimeFieldOverflowError():
            return InvalidError(f"A value does not fit: {cause}.")
        case asyncpg.DeadlockDetectedError() | asyncpg.SerializationError():
            return UnavailableError("Two changes met; this one was undone.", hint="Try again.")
        case asyncpg.UndefinedTableError() | asyncpg.UndefinedColumnError():
            return UnavailableError(
                f"The database is not of this version of Seawall: {cause}.",
                hint="Run `seawall db migrate`.",
            )
        case asyncpg.InvalidPasswordError() | asyncpg.InvalidAuthorizationSpecificationError():
            return UnavailableError(
                f"The database refused to log in: {cause}.",
                hint="Check the user and password in SEAWALL_DATABASE__URL.",
            )
        case asyncpg.InvalidCatalogNameError():
            return UnavailableError(
                f"The database is not there: {cause}.", hint="Run `seawall db migrate`."
            )
        case (
            asyncpg.PostgresConnectionError()
            | asyncpg.OperatorInterventionError()
            | asyncpg.InsufficientResourcesError()
            | asyncpg.ConnectionDoesNotExistError()
            | ConnectionError()
            | TimeoutError()
        ):
            return UnavailableError(
                f"The database cannot be reached: {cause or type(cause).__name__}.",
                hint="Run `seawall doctor`; `seawall db up` starts the embedded server.",
            )
        case _:
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
