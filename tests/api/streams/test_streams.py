"""What changes is told once to whoever listens to it, over both kinds of streams."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import orjson
import pytest
from httpx import AsyncClient
from sqlalchemy import event, text
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from seawall.api import callers
from seawall.api.metrics import STREAMS
from seawall.api.streams import ws
from seawall.core.asking import REQUEST_ID
from seawall.db.session import transaction

V1 = "/api/v1/streams"
Make = Callable[..., Awaitable[Any]]


def _values(message: Any) -> list[str]:
    return [each["total_value_usd"] for each in message["events"]]


async def test_a_socket_is_told_of_prices_values_risk_and_nothing_else(
    listener: Make, publisher: Any
) -> None:
    ada, bob = await listener("ada"), await listener("bob")
    await publisher.price(100)
    topics = "prices:BTC", f"portfolio:{ada.portfolio}", f"risk:{ada.portfolio}", "alerts"
    socket = await ada.connect(*topics)
    state = await ada.told(socket, "events")
    assert [each["price_usd"] for each in state["events"]] == [100.0]
    assert (await ada.told(socket, "subscribed"))["topics"] == sorted(topics)
    await publisher.report(bob, 7)
    await publisher.price(101)
    (price,) = (await ada.told(socket, "events"))["events"]
    assert (price["topic"], price["asset"], price["price_usd"]) == ("prices:BTC", "BTC", 101.0)
    await publisher.report(ada, 5)
    value, risk = (await ada.told(socket, "events"))["events"]
    assert value["topic"] == f"portfolio:{ada.portfolio}"
    assert value["total_value_usd"] == risk["total_value_usd"] == "5"
    assert risk["figures"]["volatility"] == 0.5
    assert risk["figures"]["var_95"] is None
    await socket.send(ada.ask("ping"))
    assert await ada.told(socket) == {"type": "pong"}


async def test_events_go_on_from_the_last_id_over_either_kind(
    listener: Make, publisher: Any
) -> None:
    ada = await listener()
    topic = f"portfolio:{ada.portfolio}"
    async with ada.events(topic, "alerts") as events:
        assert (await anext(events))[1] == "ready"
        await publisher.report(ada, 1)
        id_, kind, data = await anext(events)
        assert kind == "events"
        assert data["id"] == id_
        assert _values(data) == ["1"]
    for value in (2, 3):
        await publisher.report(ada, value)
    socket = await ada.connect(topic, "alerts", after=id_)
    missed = await ada.told(socket)
    assert _values(missed) == ["2", "3"]
    await publisher.report(ada, 4)
    assert _values(await ada.told(socket, "events")) == ["4"]
    async with ada.events(topic, headers={"Last-Event-ID": missed["id"]}, once="true") as events:
        assert [each[1] async for each in events] == ["ready", "events"]
    async with ada.events(topic, once="true") as events:
        _, (_, _, now) = [each async for each in events]
        assert _values(now) == ["4"], "without an id it is how everything is"


async def test_what_is_committed_late_is_neither_lost_nor_told_twice(
    listener: Make, publisher: Any
) -> None:
    """A transaction that began before others, and in a part of it, is told after them."""
    ada = await listener()
    topic = f"portfolio:{ada.portfolio}"
    socket = await ada.connect(topic)
    await ada.told(socket, "subscribed")
    keep = text(
        "INSERT INTO portfolio_risk_metrics (time, portfolio_id, known_at, window_days, confidence,"
        " benchmark, observations, total_value_usd, details) VALUES (now(), :portfolio, now(), 90,"
        " 0.95, 'BTC', 90, 10, '{}')"
    )
    await publisher.report(ada, 1)
    first = await ada.told(socket, "events")
    async with transaction(publisher.engine, ada.user_id) as slow:
        await slow.execute(text("SELECT pg_current_xact_id()"))
        async with slow.begin_nested():
            await slow.execute(keep, {"portfolio": ada.portfolio})
        await publisher.report(ada, 2)
        second = await ada.told(socket, "events")
        assert _values(second) == ["2"]
    third = await ada.told(socket, "events")
    assert _values(third) == ["10"]
    for after, values in ((first, {"2", "10"}), (second, {"10"}), (third, set())):
        async with ada.events(topic, after=after["id"], once="true") as events:
            came = [data async for _, kind, data in events if kind == "events"]
        assert {value for each in came for value in _values(each)} == values


async def test_what_cannot_be_gone_on_from_is_told_plainly(listener: Make, publisher: Any) -> None:
    ada = await listener()
    topic = f"risk:{ada.portfolio}"
    await publisher.report(ada, 1)
    async with ada.events(topic, once="true") as events:
        _, (id_, _, _) = [each async for each in events]
    old = id_.replace(id_.split(".")[1], "1000000")
    elsewhere = "u00000000" + id_[9:]
    ahead = id_.rpartition(".")[0] + ".99999999-99999999-"
    await publisher.report(ada, 1000, more=600)
    for given in (old, elsewhere, ahead, id_):
        async with ada.events(topic, after=given, once="true") as events:
            kinds = [(kind, data) async for _, kind, data in events]
        assert [kind for kind, _ in kinds] == ["ready", "reset", "events"]
        assert len(kinds[2][1]["events"]) == 1, "then how it is now"
    async with AsyncClient() as client:
        for wrong in ("nonsense", "u1.2.3", f"{id_}-5_4", "x" * 5000):
            given = {"topics": topic, "after": wrong}
            url = f"http://{ada.address}{V1}/events"
            found = await client.get(url, params=given, headers=ada.headers)
            assert found.status_code == 422


async def test_limits_that_are_broken_and_cured_are_told(listener: Make, publisher: Any) -> None:
    ada = await listener()
    socket = await ada.connect("alerts")
    await ada.told(socket, "subscribed")
    async with transaction(publisher.engine, ada.user_id) as session:
        await session.execute(
            text(
                "INSERT INTO risk_events (event_type, severity, description)"
                " VALUES ('limit_breach', 'warning', 'Too much.')"
            )
        )
    (event,) = (await ada.told(socket, "events"))["events"]
    assert (event["kind"], event["severity"], event["resolved_at"]) == ("limit", "warning", None)
    async with ada.events("alerts", once="true") as events:
        assert [kind async for _, kind, _ in events] == ["ready", "events"], "it is broken now"
    async with transaction(publisher.engine, ada.user_id) as session:
        await session.execute(text("UPDATE risk_events SET resolved_at = now()"))
    (cured,) = (await ada.told(socket, "events"))["events"]
    assert cured["event_id"] == event["event_id"]
    assert cured["resolved_at"] is not None


async def test_another_s_portfolio_is_as_good_as_none(listener: Make) -> None:
    ada, bob = await listener("ada"), await listener("bob")
    socket = await bob.connect("alerts")
    await bob.told(socket, "subscribed")
    answers = []
    for id_ in (ada.portfolio, str(uuid4())):
        await socket.send(bob.ask("subscribe", topics=[f"risk:{id_}"]))
        told = await bob.told(socket)
        assert told.pop("instance")
        answers.append(told)
        async with AsyncClient() as client:
            given = {"topics": f"portfolio:{id_}"}
            url = f"http://{bob.address}{V1}/events"
            found = await client.get(url, params=given, headers=bob.headers)
        assert found.status_code == 404
        answers.append({key: found.json().get(key) for key in ("type", "detail", "hint")})
    assert answers[0] == answers[2]
    assert answers[0]["problem"] == "not-found"
    assert answers[1] == answers[3]


async def test_wrong_messages_are_answered_and_too_many_end_it(listener: Make) -> None:
    ada = await listener()
    socket = await ada.connect()
    wrong = (
        "nonsense",
        "[]",
        "{}",
        ada.ask("subscribe"),
        ada.ask("subscribe", topics=[1]),
        ada.ask("subscribe", topics=["prices:"]),
        ada.ask("subscribe", topics=["prices:NOTHING"]),
        ada.ask("subscribe", topics=["risk:1"]),
        ada.ask("subscribe", topics=["alerts:1"]),
        ada.ask("subscribe", topics=[f"risk:{uuid4()}" for _ in range(51)]),
        ada.ask("subscribe", topics=["alerts"], after="x"),
        ada.ask("subscribe", topics=["alerts"], after=1),
    )
    for each in wrong:
        await socket.send(each)
        assert (await ada.told(socket))["type"] == "problem", each
    await socket.send(b"\x00")
    assert (await ada.told(socket))["problem"] == "invalid"
    for _ in range(40):
        await socket.send(ada.ask("ping"))
    with pytest.raises(ConnectionClosed) as ended:
        await ada.told(socket, "never")
    assert ended.value.rcvd is not None
    assert ended.value.rcvd.code == 1008
    big = await ada.connect()
    await big.send("x" * 20_000)
    with pytest.raises(ConnectionClosed) as ended:
        await ada.told(big)
    assert ended.value.sent is not None
    assert ended.value.sent.code == 1009


async def test_topics_come_and_go(listener: Make, publisher: Any) -> None:
    ada = await listener()
    await publisher.price(1)
    value, risk = f"portfolio:{ada.portfolio}", f"risk:{ada.portfolio}"
    socket = await ada.connect(value)
    await ada.told(socket, "subscribed")
    await socket.send(ada.ask("subscribe", topics=[risk, "prices:BTC"]))
    assert (await ada.told(socket, "subscribed"))["topics"] == sorted([value, risk, "prices:BTC"])
    await socket.send(ada.ask("unsubscribe", topics=[value, "prices:BTC"]))
    assert (await ada.told(socket, "subscribed"))["topics"] == [risk]
    await publisher.price(2)
    await publisher.report(ada, 5)
    (event,) = (await ada.told(socket))["events"]
    assert event["topic"] == risk


async def test_a_browser_comes_from_our_own_pages(web: Any, listener: Make) -> None:
    ada = await listener()
    url = f"ws://{ada.address}{V1}/ws"
    browser = web.client()
    given = {"email": "ada@example.com", "password": web.password}
    assert (await browser.post("/api/v1/auth/browser/login", json=given)).status_code == 200
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    own = f"http://{ada.address}"
    for origin in (None, "https://evil.example", "null", f"{own}9", "http://", "http://[x"):
        headers = {"Cookie": cookie} | ({} if origin is None else {"Origin": origin})
        with pytest.raises(InvalidStatus) as refused:
            await connect(url, additional_headers=headers)
        assert refused.value.response.status_code == 403
        assert orjson.loads(refused.value.response.body)["type"] == "/problems/forbidden"
        if origin is not None:
            async with AsyncClient() as client:
                found = await client.get(
                    f"{own}{V1}/events", params={"topics": "alerts"}, headers=headers
                )
            assert found.status_code == 403
    for origin in (own, "http://localhost:8000"):
        headers = {"Cookie": cookie, "Origin": origin}
        async with connect(url, additional_headers=headers) as socket:
            assert (await ada.told(socket))["type"] == "ready"


async def test_a_program_may_say_who_it_is_first(listener: Make) -> None:
    ada = await listener()
    url = f"ws://{ada.address}{V1}/ws"
    async with connect(url) as socket:
        await socket.send(ada.ask("authenticate", token=ada.token))
        assert (await ada.told(socket))["type"] == "ready"
    for wrong in (ada.ask("authenticate", token=f"{ada.token}x"), ada.ask("ping"), "x"):
        async with connect(url) as socket:
            await socket.send(wrong)
            assert (await ada.told(socket))["problem"] == "not-authenticated"
            with pytest.raises(ConnectionClosed) as ended:
                await ada.told(socket)
            assert ended.value.rcvd is not None
            assert ended.value.rcvd.code == 4401
    with pytest.raises(InvalidStatus) as refused:
        await connect(url, additional_headers={"Authorization": "Bearer a.b.c"})
    assert refused.value.response.status_code == 401


async def test_what_a_socket_does_is_logged_by_its_id_and_what_is_for_all_by_none(
    listener: Make, publisher: Any, web: Any, caplog: pytest.LogCaptureFixture
) -> None:
    ada = await listener()
    asked: set[str | None] = set()
    engine = web.desk.engine.sync_engine
    event.listen(engine, "before_cursor_execute", lambda *_: asked.add(REQUEST_ID.get()))
    caplog.set_level("INFO", "seawall.access")
    url, ours = f"ws://{ada.address}{V1}/ws", {"X-Request-ID": "mine-12345"}
    # A connection that is opened for the socket is what listens for all afterwards.
    await web.desk.engine.dispose()
    async with connect(url, additional_headers=ada.headers | ours) as socket:
        assert socket.response is not None
        assert socket.response.headers["x-request-id"] == "mine-12345"
        await socket.send(ada.ask("subscribe", topics=[f"risk:{ada.portfolio}"]))
        await ada.told(socket, "subscribed")
        assert {"mine-12345", "mine-12345.1"} <= asked
        await socket.send(ada.ask("subscribe", topics=["prices:NOTHING"]))
        assert (await ada.told(socket, "problem"))["instance"] == "mine-12345.2"
        asked.clear()
        REQUEST_ID.set("who brings news")
        await publisher.report(ada, 7)
        await ada.told(socket, "events")
        assert asked == {"who brings news", None}
    with pytest.raises(InvalidStatus) as refused:
        await connect(url, additional_headers=ours | {"Authorization": "Bearer a.b.c"})
    told = refused.value.response
    assert orjson.loads(told.body)["instance"] == told.headers["x-request-id"] == "mine-12345"
    async with asyncio.timeout(10):
        while len(caplog.messages) < 2:  # noqa: ASYNC110 - the server writes it when it is over
            await asyncio.sleep(0.01)
    lines = [orjson.loads(each) for each in caplog.messages]
    assert {each["request_id"] for each in lines} == {"mine-12345"}
    assert {each["operation"] for each in lines} == {"stream_socket"}
    assert {(each["status"], each["user"]) for each in lines} == {
        (101, str(ada.user_id)),
        (401, None),
    }


async def test_a_stranger_who_leaves_is_no_bug_and_every_socket_is_counted(
    served: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "seawall.access")
    for _ in range(5):
        async with connect(f"ws://{served.address}{V1}/ws", compression=None) as socket:
            await socket.send("{}")
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"ws://{served.address}/nowhere")
    assert refused.value.response.status_code == 403
    async with asyncio.timeout(10):
        while len(caplog.messages) < 6:  # noqa: ASYNC110 - the server writes it when it is over
            await asyncio.sleep(0.01)
    assert "a bug" not in caplog.text
    lines = [orjson.loads(each) for each in caplog.messages]
    assert sorted(each["status"] for each in lines) == [101] * 5 + [403]


async def test_who_is_not_known_is_counted_by_address(
    listener: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await listener()
    url = f"ws://{ada.address}{V1}/ws"
    monkeypatch.setattr(ws, "STRANGERS_OF_ONE", 2)
    silent = [await connect(url) for _ in range(2)]
    with pytest.raises(InvalidStatus) as refused:
        await connect(url)
    assert refused.value.response.status_code == 429
    for each in silent:
        await each.close()
    # Those with a token that nobody knows are counted apart from those without one.
    monkeypatch.setitem(callers.REQUESTS_A_MINUTE, "refused", 2)
    wrong: dict[str, Any] = {"additional_headers": {"Authorization": "Bearer a.b.c"}}
    seen = []
    for more in (wrong, wrong, wrong, {}):
        with pytest.raises(InvalidStatus) as refused:
            await connect(url, **more)
        seen.append(refused.value.response.status_code)
    assert seen == [401, 401, 429, 429]
    # Who is known may come from the same address.
    await ada.connect("alerts")


async def test_an_address_has_so_many_streams(listener: Make, web: Any, served: Any) -> None:
    api = web.desk.settings.api.model_copy(update={"streams_per_address": 2})
    settings = web.desk.settings.model_copy(update={"api": api})
    served.app.state.desk = replace(web.desk, settings=settings)
    ada, bob = await listener("ada"), await listener("bob")
    first, _ = await ada.connect(), await bob.connect()
    with pytest.raises(InvalidStatus) as refused:
        await bob.connect()
    assert refused.value.response.status_code == 429
    await first.close()
    await asyncio.sleep(0.2)
    await bob.connect()


async def test_only_so_many_streams_are_open_and_they_are_counted(listener: Make, web: Any) -> None:
    ada = await listener()
    most = web.desk.settings.api.streams_per_user
    sockets = [await ada.connect() for _ in range(most)]
    assert STREAMS.labels("websocket")._value.get() == most
    with pytest.raises(InvalidStatus) as refused:
        await ada.connect()
    assert refused.value.response.status_code == 429
    await sockets[0].close()
    await asyncio.sleep(0.2)
    await ada.connect()
