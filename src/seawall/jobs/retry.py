"""When a job that failed is tried again, and when never."""

from datetime import timedelta

from seawall.core.errors import ForbiddenError, InvalidError, NotFoundError

TRIES = 8
"""How often a job is tried in all."""
_FIRST, _LONGEST = timedelta(seconds=2), timedelta(minutes=10)
_HOPELESS = (ForbiddenError, InvalidError, NotFoundError)


def wait_before_next(error: BaseException, attempt: int) -> timedelta | None:
    """Return how long to wait after attempt number `attempt`, from 1; None to give up.

    What a worker that was told to stop could not finish is for the next one, at once.
    """
    if not isinstance(error, Exception):
        return timedelta()
    if attempt >= TRIES or isinstance(error, _HOPELESS):
        return None
    doubled: int = 2 ** (attempt - 1)
    return min(_FIRST * doubled, _LONGEST)
