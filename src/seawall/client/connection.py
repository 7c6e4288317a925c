"""One connection to a server: who asks, asking again, and errors as Seawall's own."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeVar
from uuid import uuid4

import httpx
from pydantic import SecretStr, TypeAdapter, ValidationError

from seawall.core.errors import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    SeawallError,
    UnavailableError,
)

T = TypeVar("T")


class Omitted(Enum):
    """What is not sent at all, where null would mean something."""

    OMITTED = "omitted"


OMITTED: Final = Omitted.OMITTED
_FAMILIES: Mapping[int, type[SeawallError]] = {
    401: ForbiddenError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    412: ConflictError,
    429: UnavailableError,
}
_AGAIN = frozenset({429, 503})
_UNKNOWN = 401
_LONGEST_WAIT = 60
_SILENCE = 45.0
"""Seconds without a sign of life, of which a stream has one every 15, after which it is lost."""
_EARLY = timedelta(seconds=30)
_REFRESH = "/api/v1/auth/refresh"


@dataclass(slots=True)
class Tokens:
    """What a login gave: an access token, until when, and what the next is had for."""

    access: SecretStr
    expires_at: datetime
    refresh: SecretStr


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of an operation; what is omitted is not sent."""

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    json: Any = OMITTED
    content: bytes | str | None = None
    content_type: str = "text/csv"
    headers: Mapping[str, Any] = field(default_factory=dict)
    is_named: bool = False
    """Whether it takes an Idempotency-Key: it gets one, so that it may be sent again."""


class Connection:
    """Requests to one server, sent again while it is away.

    A read is sent again, and what changes something only when it carries an `Idempotency-Key`,
    which is made where none is given: so it happens once. `etag` is the last answer's.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        key: str | SecretStr | None = None,
        *,
        retries: int = 3,
        timeout: float = 30.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Connect to a server, as who has an API key; without one, log in.

        Raises:
            InvalidError: the key would travel in the clear to another machine.
        """
        asked = httpx.URL(url)
        if asked.scheme != "https" and asked.host not in {"127.0.0.1", "localhost", "::1"}:
            raise InvalidError(
                f"{asked.host} is asked without TLS, and whoever is on the way could read it.",
                hint="Use https.",
            )
        self._key = SecretStr(key) if isinstance(key, str) else key
        self._tokens: Tokens | None = None
        self._retries = retries
        self._http = httpx.Client(base_url=url, timeout=timeout, transport=transport)
        self.etag: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def send(self, request: Request, answer: TypeAdapter[T]) -> T:
        """Send a request, and read its answer.

        Raises:
            SeawallError: what the server said, as the family that it belongs to.
        """
        response = self.raw(request)
        try:
            return answer.validate_json(response.content)
        except ValidationError as error:
            raise UnavailableError(
                f"The server's answer to {request.method} {request.path} is not of this client's"
                f" version: {error.errors()[0]['msg']}.",
                hint="Use the version of seawall that the server has.",
            ) from None

    def raw(self, request: Request) -> httpx.Response:
        """Send a request, and return its answer as it came.

        Raises:
            SeawallError: what the server said, as the family that it belongs to.
        """
        headers = {name: value for name, value in request.headers.items() if value is not None}
        if request.is_named:
            headers.setdefault("Idempotency-Key", str(uuid4()))
        for left in range(self._retries, -1, -1):
            try:
                response = self._once(request, headers)
            except httpx.TransportError as error:
                if not left or not _may_repeat(request, headers):
                    raise UnavailableError(
                        f"{self._http.base_url} does not answer: {error}."
                    ) from None
                pause(self._retries - left)
                continue
            if response.is_success:
                self.etag = response.headers.get("etag")
                return response
            if not left or response.status_code not in _AGAIN or not _may_repeat(request, headers):
                raise read_problem(response)
            given = response.headers.get("retry-after", "")
            if not given.isdigit():
                pause(self._retries - left)
            elif int(given) > _LONGEST_WAIT:
                raise read_problem(response)
            else:
                time.sleep(int(given))
        raise AssertionError("the last attempt either answers or raises")

    def _once(self, request: Request, headers: Mapping[str, str]) -> httpx.Response:
        sent = {**self.authorization(), **headers}
        body: dict[str, Any] = {}
        if request.content is not None:
            sent.setdefault("Content-Type", request.content_type)
            body["content"] = request.content
        elif request.json is not OMITTED:
            body["json"] = plain(request.json)
        query = {
            name: plain(value)
            for name, value in request.query.items()
            if value is not OMITTED and value is not None
        }
        return self._http.request(request.method, request.path, params=query, headers=sent, **body)

    def authorization(self) -> dict[str, str]:
        """Return the headers that say who asks; the access token is renewed when it is due."""
        if self._key is not None:
            return {"Authorization": f"Bearer {self._key.get_secret_value()}"}
        if self._tokens is None:
            return {}
        if datetime.now(UTC) > self._tokens.expires_at - _EARLY:
            self._renew(self._tokens)
        return {"Authorization": f"Bearer {self._tokens.access.get_secret_value()}"}

    def _renew(self, tokens: Tokens) -> None:
        given = {"refresh_token": tokens.refresh.get_secret_value()}
        try:
            response = self._http.post(_REFRESH, json=given)
        except httpx.TransportError as error:
            # Not sent again: a token that comes twice is taken for stolen.
            raise UnavailableError(f"{self._http.base_url} does not answer: {error}.") from None
        if not response.is_success:
            if response.status_code == _UNKNOWN:
                self._tokens = None
            raise read_problem(response)
        self.keep_tokens(response.json())

    def keep_tokens(self, told: Mapping[str, Any]) -> None:
        """Ask as whom these tokens are of, from now on."""
        self._tokens = Tokens(
            SecretStr(told["access_token"]),
            datetime.fromisoformat(told["expires_at"]),
            SecretStr(told["refresh_token"]),
        )

    @contextmanager
    def stream(self, path: str, query: Mapping[str, Any], after: str | None) -> Iterator[Any]:
        """Open an answer that goes on; it is read line by line."""
        headers = {**self.authorization(), "Accept": "text/event-stream"}
        if after is not None:
            headers["Last-Event-ID"] = after
        timeout = httpx.Timeout(_SILENCE)
        with self._http.stream(
            "GET", path, params=query, headers=headers, timeout=timeout
        ) as answer:
            if not answer.is_success:
                answer.read()
                raise read_problem(answer)
            yield answer


def _may_repeat(request: Request, headers: Mapping[str, str]) -> bool:
    return request.method == "GET" or "Idempotency-Key" in headers


def pause(attempt: int) -> None:
    """Wait before another attempt, longer each time, but never over half a minute."""
    time.sleep(min(0.2 * 2**attempt, 30.0))


def read_problem(response: httpx.Response) -> SeawallError:
    """Return the error that an answer tells of."""
    status = response.status_code
    family = _FAMILIES.get(status, UnavailableError if status >= 500 else InvalidError)  # noqa: PLR2004 - what HTTP calls them
    try:
        told = response.json()
        message, hint = str(told["detail"]), str(told.get("hint") or "")
        details = {name: told[name] for name in ("type", "instance", "errors") if told.get(name)}
    except (ValueError, KeyError, TypeError):
        return family(f"The server answered {status} {response.reason_phrase}.")
    return family(message, hint=hint, details=details)


def plain(value: Any) -> Any:
    """Write a value as JSON and queries have it: times in UTC, money as text."""
    if is_dataclass(value) and not isinstance(value, type):
        # What is left at its default is left out.
        given = {each.name: (getattr(value, each.name), each.default) for each in fields(value)}
        value = {name: each for name, (each, default) in given.items() if each != default}
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items() if each is not OMITTED}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    if isinstance(value, datetime):
        return _plain_time(value)
    if isinstance(value, bool | int | float | str) or value is None:
        return value
    return value.isoformat() if isinstance(value, date) else str(value)


def _plain_time(value: datetime) -> str:
    if value.tzinfo is None:
        raise InvalidError(f"{value} has no time zone.", hint="Use datetime(…, tzinfo=UTC).")
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


Accept = Literal["text/csv", "application/vnd.apache.arrow.stream"]
