"""The errors of letting people in, each of one of the five families."""

from datetime import datetime

from seawall.core.errors import ForbiddenError, UnavailableError


class NotAuthenticatedError(ForbiddenError):
    """Who asks has not shown who they are."""


class SecondFactorNeededError(NotAuthenticatedError):
    """The password is right, and a code of the second factor is needed too."""


class TooManyRequestsError(UnavailableError):
    """This was tried too often.

    Attributes:
        retry_at: when it may be tried again.
    """

    def __init__(self, message: str, retry_at: datetime, *, hint: str = "") -> None:
        super().__init__(message, hint=hint, details={"retry_at": retry_at})
        self.retry_at = retry_at
