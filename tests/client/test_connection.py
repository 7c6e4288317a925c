"""Asking again, and what is not: against a server that fails as it is told to."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from seawall.client import Client
from seawall.client import connection as under
from seawall.client.client import read_events
from seawall.core.errors import ForbiddenError, InvalidError, UnavailableError

PAGE: dict[str, Any] = {"items": [], "next_cursor": None, "total": None}
DOWN = httpx.Response(503, headers={"Retry-After": "0"}, json={"detail": "Down."})


def client_of(*answers: httpx.Response | Exception) -> tuple[Client, list[httpx.Request]]:
    """A client whose server gives these answers, and what it was asked."""
    asked: list[httpx.Request] = []
    left: Iterator[httpx.Response | Exception] = iter(answers)

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        answer = next(left)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return Client(key="sw_key", transport=httpx.MockTransport(handle)), asked


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seawall.client.connection.time.sleep", lambda _: None)


def test_a_read_is_asked_again_while_the_server_is_away() -> None:
    client, asked = client_of(
        httpx.ConnectError("refused"),
        DOWN,
        httpx.ReadTimeout("slow"),
        httpx.Response(200, json=PAGE),
    )
    assert client.list_portfolios().items == []
    assert len(asked) == 4
    assert asked[0].headers["authorization"] == "Bearer sw_key"


def test_it_gives_up_in_the_end() -> None:
    client, asked = client_of(*[httpx.ConnectError("refused")] * 4)
    with pytest.raises(UnavailableError, match="does not answer: refused"):
        client.list_portfolios()
    assert len(asked) == 4
    client, asked = client_of(*[DOWN] * 4)
    with pytest.raises(UnavailableError, match=r"Down\."):
        client.list_portfolios()


def test_what_happens_once_is_sent_again_under_the_same_key() -> None:
    made = {"job": "risk", "portfolio_id": "5e0c6f70-3a1c-4bb9-8a54-5a0b9f1c0001"}
    client, asked = client_of(
        httpx.ReadError("lost"), httpx.Response(202, json=made), httpx.Response(202, json=made)
    )
    client.measure_risk(made["portfolio_id"])  # type: ignore[arg-type] # as text it is the same
    client.measure_risk(made["portfolio_id"], idempotency_key="mine")  # type: ignore[arg-type]
    keys = [each.headers["idempotency-key"] for each in asked]
    assert keys[0] == keys[1] != keys[2] == "mine"


def test_what_has_no_key_is_sent_once() -> None:
    client, asked = client_of(httpx.ReadError("lost"))
    with pytest.raises(UnavailableError):
        client.forgot_password(email="a@example.com")
    assert len(asked) == 1


def test_a_long_wait_is_for_the_caller() -> None:
    much = httpx.Response(429, headers={"Retry-After": "900"}, json={"detail": "Too many."})
    client, asked = client_of(much)
    with pytest.raises(UnavailableError, match="Too many"):
        client.list_portfolios()
    assert len(asked) == 1


@pytest.mark.parametrize("content", [b"<html>", b"[]", b"{}", b'{"detail": 1'])
def test_an_answer_that_is_no_problem_is_told_by_its_status(content: bytes) -> None:
    client, _ = client_of(httpx.Response(418, content=content))
    with pytest.raises(InvalidError, match="418"):
        client.list_portfolios()


def test_an_answer_of_another_version_is_said_to_be() -> None:
    client, _ = client_of(httpx.Response(200, json={"items": [{}]}))
    with pytest.raises(UnavailableError, match="not of this client's version"):
        client.list_portfolios()
    newer = PAGE | {"more": 1}
    client, _ = client_of(httpx.Response(200, json=newer))
    assert client.list_portfolios().items == []


def test_a_key_is_not_sent_in_the_clear_nor_shown() -> None:
    with pytest.raises(InvalidError, match="without TLS"):
        Client("http://example.com", key="sw_secret")
    assert "sw_secret" not in repr(vars(Client("https://example.com", key="sw_secret")))


def test_only_what_is_given_is_sent() -> None:
    told: dict[str, Any] = {}

    def handle(request: httpx.Request) -> httpx.Response:
        told.update(path=str(request.url), body=request.content)
        return httpx.Response(503)

    client = Client(key="k", retries=0, transport=httpx.MockTransport(handle))
    for work, expected in (
        (lambda: client.change_profile(bio=None), b'{"bio":null}'),
        (lambda: client.create_portfolio(name="A"), b'{"name":"A"}'),
    ):
        with pytest.raises(UnavailableError):
            work()
        assert told["body"] == expected
    with pytest.raises(UnavailableError):
        client.list_portfolios(limit=3, total=True)
    assert told["path"].endswith("/api/v1/portfolios?limit=3&total=true")


def test_events_are_read_as_the_standard_has_them() -> None:
    lines = [": still there", "", "id: 7", "event: price", 'data: {"a":', "data:1}", "", "data: 2"]
    (event,) = read_events(iter(lines))
    assert (event.id, event.type, event.data) == ("7", "price", {"a": 1})


def test_a_stream_that_is_lost_goes_on_after_its_last_event() -> None:
    asked: list[str | None] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers.get("last-event-id"))
        if len(asked) > 2:
            return httpx.Response(403, json={"detail": "Over."})
        content = f"id: {len(asked)}\ndata: {len(asked)}\n\n".encode()

        def lost() -> Iterator[bytes]:
            yield content
            raise httpx.ReadError("lost")

        return httpx.Response(200, content=lost())

    client = Client(key="k", transport=httpx.MockTransport(handle))
    events = client.events("alerts")
    assert [next(events).data, next(events).data] == [1, 2]
    follow: Callable[[], Any] = lambda: next(events)  # noqa: E731 - one expression
    with pytest.raises(Exception, match=r"Over\."):
        follow()
    assert asked == [None, "1", "2"]


def test_a_token_is_kept_while_the_server_is_away_and_not_sent_twice() -> None:
    refused: list[httpx.Response | Exception] = [
        httpx.ReadError("lost"),
        httpx.Response(503),
        httpx.Response(401),
    ]
    client, asked = client_of(*refused, httpx.Response(200, json=PAGE))
    client._key = None
    client.keep_tokens(
        {"access_token": "a", "refresh_token": "r", "expires_at": "2020-01-01T00:00:00Z"}
    )
    for sent in (1, 2):
        with pytest.raises(UnavailableError):
            client.list_portfolios()
        assert len(asked) == sent
        assert client._tokens is not None
    with pytest.raises(ForbiddenError):
        client.list_portfolios()
    assert client._tokens is None


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_what_changes_without_a_key_is_sent_once(method: str) -> None:
    client, asked = client_of(httpx.ReadError("lost"))
    with pytest.raises(UnavailableError):
        client.raw(under.Request(method, "/api/v1/profile"))
    assert len(asked) == 1
