"""The one root of everything that Seawall raises on purpose, in five families.

SeawallError
├── NotFoundError      what was named is not there
├── ConflictError      what was asked for contradicts what is there
├── InvalidError       the input is wrong, and trying again will not mend it
├── ForbiddenError     the caller may not do this
└── UnavailableError   something outside is not there now; trying again may help

Each edge maps the family once: the command line to an exit code, the API to a status.
"""

from collections.abc import Mapping, Sequence


class SeawallError(Exception):
    """Something went wrong.

    Attributes:
        message: what happened, and with which input.
        hint: what the user can do about it; empty when there is nothing to add.
        details: the same facts for programs.
    """

    def __init__(
        self,
        message: str | None = None,
        *,
        hint: str = "",
        details: Mapping[str, object] | None = None,
    ) -> None:
        self.message = message or (type(self).__doc__ or "").partition("\n")[0]
        self.hint = hint
        self.details = dict(details or {})
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class NotFoundError(SeawallError):
    """What was named is not there."""


class ConflictError(SeawallError):
    """What was asked for contradicts what is there."""


class InvalidError(SeawallError):
    """The input is wrong."""


class ForbiddenError(SeawallError):
    """This is not allowed."""


class UnavailableError(SeawallError):
    """Something that Seawall needs is not available right now."""


def name_some(items: Sequence[object], limit: int = 5) -> str:
    """List up to `limit` items for a message, and count the rest."""
    shown = ", ".join(str(item) for item in items[:limit])
    rest = len(items) - limit
    return f"{shown} and {rest} more" if rest > 0 else shown
