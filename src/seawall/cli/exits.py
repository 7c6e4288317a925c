"""The exit codes: one for each family of errors."""

from seawall.core.errors import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    SeawallError,
    UnavailableError,
)

BUG, INVALID, CONFLICT, UNAVAILABLE, INTERRUPTED, UNREAD = 1, 4, 5, 7, 130, 141
EXIT_CODES: dict[type[SeawallError], int] = {
    NotFoundError: 3,
    InvalidError: INVALID,
    ConflictError: CONFLICT,
    ForbiddenError: 6,
    UnavailableError: UNAVAILABLE,
}


def exit_code(error: SeawallError) -> int:
    """Return the exit code of an error's family."""
    return next((code for family, code in EXIT_CODES.items() if isinstance(error, family)), BUG)
