"""The client: everything that the API can do, and what makes it pleasant in a program."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import httpx

from seawall.client.connection import Request, pause
from seawall.client.generated import Operations
from seawall.core.errors import UnavailableError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
_STREAM = "/api/v1/streams/events"
STREAM_RETRIES = 8
"""How often in a row a stream is opened without a word from it: for about two minutes."""


class Page(Protocol[T_co]):
    """A page of a list, as any operation gives it."""

    @property
    def items(self) -> Sequence[T_co]:
        """What is on it."""

    @property
    def next_cursor(self) -> str | None:
        """Where the next one begins."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that a stream told of; after it is where to go on."""

    id: str
    type: str
    data: Any


class Client(Operations):
    """A server's API: `with Client("http://127.0.0.1:8000", key="sw_…") as server: …`.

    Each operation is a method of its name, and answers with frozen values: money is Decimal, times
    are aware. Errors are those of `seawall.core.errors`, and their details have the problem's type.
    """

    def log_in_as(self, email: str, password: str, code: str | None = None) -> None:
        """Ask as this user from now on; the access token is renewed by itself.

        Raises:
            ForbiddenError: the password or the code is wrong, or a code is needed.
        """
        given = {"email": email, "password": password}
        if code is not None:
            given["code"] = code
        self.keep_tokens(self.raw(Request("POST", "/api/v1/auth/login", json=given)).json())

    def every(self, listing: Callable[..., Page[T]], *path: Any, **asked: Any) -> Iterator[T]:
        """Go through a list page by page: `client.every(client.list_transactions, id)`."""
        page = listing(*path, **asked)
        yield from page.items
        while page.next_cursor is not None:
            page = listing(*path, **{**asked, "cursor": page.next_cursor})
            yield from page.items

    def events(self, *topics: str, after: str | None = None) -> Iterator[Event]:
        """Wait for what happens, from an event on; a connection that is lost is opened again.

        Nothing is missed in between: the server begins after the last event that was had, and says
        `reset` where it cannot.

        Raises:
            SeawallError: the server refuses, or stays away.
        """
        failures = 0
        while True:
            try:
                with self.stream(_STREAM, {"topics": ",".join(topics)}, after) as answer:
                    for event in read_events(answer.iter_lines()):
                        failures, after = 0, event.id or after
                        yield event
            except (httpx.TransportError, UnavailableError) as error:
                if failures >= STREAM_RETRIES:
                    raise UnavailableError(f"The stream was lost: {error}.") from None
            failures += 1
            pause(failures)


def read_events(lines: Iterator[str]) -> Iterator[Event]:
    """Read Server-Sent Events, whose data is JSON; comments keep the line open, and say nothing."""
    fields: dict[str, str] = {}
    for line in lines:
        if not line:
            if "data" in fields:
                data = json.loads(fields["data"])
                yield Event(fields.get("id", ""), fields.get("event", "message"), data)
            fields = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            fields[name] = f"{fields[name]}\n{value}" if name in fields else value
