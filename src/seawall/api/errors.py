"""How errors are answered: as problem details (RFC 9457), each family with one status."""

import logging
from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from seawall.core.errors import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    SeawallError,
    UnavailableError,
)
from seawall.core.time import now
from seawall.identity.errors import (
    NotAuthenticatedError,
    SecondFactorNeededError,
    TooManyRequestsError,
)
from seawall.identity.tiers import LimitReachedError

_log = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """What went wrong."""

    type: str = Field(examples=["/problems/not-found"])
    title: str = Field(examples=["What was named is not there."])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["There is no such portfolio."])
    hint: str | None = Field(default=None, description="What to do about it.")
    instance: str = Field(description="The id of the request, which the log has too.")
    errors: list[dict[str, Any]] | None = Field(
        default=None, description="Which parts of the request are wrong."
    )


class PreconditionError(ConflictError):
    """What is to be changed was changed meanwhile."""


class TooLargeError(InvalidError):
    """The request is too large."""


class NotAcceptableError(InvalidError):
    """It cannot be had in any of the types that were asked for."""


class TooSlowError(InvalidError):
    """The request came too slowly."""


# The first that an error is of is the one that it is answered as.
_FAMILIES: tuple[tuple[type[SeawallError], int, str], ...] = (
    (TooManyRequestsError, 429, "too-many-requests"),
    (SecondFactorNeededError, 401, "second-factor-needed"),
    (NotAuthenticatedError, 401, "not-authenticated"),
    (PreconditionError, 412, "precondition-failed"),
    (TooSlowError, 408, "too-slow"),
    (TooLargeError, 413, "too-large"),
    (NotAcceptableError, 406, "not-acceptable"),
    (NotFoundError, 404, "not-found"),
    (ConflictError, 409, "conflict"),
    (InvalidError, 422, "invalid"),
    (LimitReachedError, 403, "limit-reached"),
    (ForbiddenError, 403, "forbidden"),
    (UnavailableError, 503, "unavailable"),
)
_TITLES = {slug: (family.__doc__ or "").partition("\n")[0] for family, _, slug in _FAMILIES}
RETRY_SECONDS = 1
MOST_TOLD = 100


def problem(
    request_id: str,
    status: int,
    slug: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> Response:
    """Write an answer that tells of a problem."""
    told = Problem(
        type=f"/problems/{slug}",
        title=_TITLES.get(slug, detail),
        status=status,
        detail=detail,
        instance=request_id,
        **more,
    )
    content = orjson.dumps(told.model_dump(exclude_none=True))
    return Response(content, status, dict(headers or {}), media_type=MEDIA_TYPE)


def slug_of(error: SeawallError) -> tuple[str, str]:
    """Return which problem an error is, and what may be said of it."""
    slug = next(slug for family, _, slug in _FAMILIES if isinstance(error, family))
    is_inner = error.__cause__ is not None and not isinstance(error.__cause__, SeawallError)
    return slug, _TITLES[slug] if is_inner else error.message


def answer(request_id: str, error: SeawallError) -> Response:
    """Answer one of Seawall's errors."""
    status, slug = next((s, slug) for family, s, slug in _FAMILIES if isinstance(error, family))
    headers: dict[str, str] = {}
    if isinstance(error, NotAuthenticatedError):
        headers["WWW-Authenticate"] = 'Bearer realm="seawall"'
    if isinstance(error, TooManyRequestsError):
        headers["Retry-After"] = str(max(1, int((error.retry_at - now()).total_seconds()) + 1))
    elif isinstance(error, UnavailableError):
        headers["Retry-After"] = str(RETRY_SECONDS)
    detail, hint = error.message, error.hint
    if error.__cause__ is not None and not isinstance(error.__cause__, SeawallError):
        # What the database or the cache said of it is for the log.
        _log.warning("%s: %s", request_id, error)
        detail, hint = _TITLES[slug], ""
    return problem(
        request_id,
        status,
        slug,
        detail,
        headers=headers,
        hint=hint or None,
        errors=error.details.get("errors"),
    )


def request_id_of(request: Request) -> str:
    """Return the id of a request."""
    return str(request.scope.get("request_id", ""))


async def _seawall(request: Request, error: Exception) -> Response:
    assert isinstance(error, SeawallError)  # noqa: S101 - registered for these
    return answer(request_id_of(request), error)


async def _validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for these
    # Without the input, which may be a password.
    wrong = [
        {"where": ".".join(map(str, each["loc"])), "what": each["msg"]}
        for each in error.errors()[:MOST_TOLD]
    ]
    return problem(
        request_id_of(request), 422, "invalid", "The request is not as it has to be.", errors=wrong
    )


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for these
    slug = next((slug for _, status, slug in _FAMILIES if status == error.status_code), "http")
    return problem(
        request_id_of(request),
        error.status_code,
        slug,
        str(error.detail),
        headers=error.headers,
    )


def handle_errors(app: FastAPI) -> None:
    """Let the app answer every error as a problem."""
    app.add_exception_handler(SeawallError, _seawall)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)


RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": Problem, "description": "What is wrong with the request."},
    "503": {"model": Problem, "description": "Something is away now; try again."},
}
"""What every operation may answer besides."""
