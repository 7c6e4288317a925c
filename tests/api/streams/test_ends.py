"""Streams end with what lets in, with a reader that does not read, and with the server."""

import asyncio
import socket as sockets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic
from typing import Any, cast
from uuid import uuid4

import orjson
import pytest
import uvloop
from httpx import AsyncClient
from sqlalchemy import text
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from seawall.api.metrics import STREAMS, STREAMS_CUT
from seawall.api.streams import drive, reader
from seawall.api.streams.hub import Hub
from seawall.api.streams.line import KERNEL_BYTES, Line
from seawall.api.streams.reader import Holder
from seawall.db.session import transaction
from seawall.identity.desk import Desk
from seawall.identity.operators import set_status
from seawall.identity.schemas import UserStatus

V1 = "/api/v1"
Make = Callable[..., Awaitable[Any]]
DEAD_WITHIN, SOON = 1.0, 5.0
"""Within these seconds what lets in is over, and its streams."""
PATIENCE = 15.0
"""How long tests wait for what has no promise, on a machine that has much else to do."""


async def _read(stream: Any) -> None:
    while True:
        await stream.recv()


async def _ended(stream: Any, seconds: float = SOON) -> int:
    """The code with which a WebSocket ends, in time."""
    with pytest.raises(ConnectionClosed) as ended:
        await asyncio.wait_for(_read(stream), seconds)
    assert ended.value.rcvd is not None
    return int(ended.value.rcvd.code)


async def _log_out(web: Any, ada: Any) -> None:
    done = await web.client(ada.token).post(f"{V1}/auth/logout")
    assert done.status_code in {200, 204}


async def _log_out_everywhere(web: Any, ada: Any) -> None:
    other = (await web.log_in("ada@example.com"))["access_token"]
    done = await web.client(other).post(f"{V1}/auth/logout-everywhere")
    assert done.status_code in {200, 204}, (ada, done.text)


async def _suspend(web: Any, ada: Any) -> None:
    assert ada.user_id
    await set_status(web.desk, "ada@example.com", UserStatus.SUSPENDED)


async def _end_one(web: Any, ada: Any) -> None:
    other = web.client((await web.log_in("ada@example.com"))["access_token"])
    held = (await other.get(f"{V1}/sessions")).json()["items"]
    (first,) = (each["id"] for each in held if not each["is_this"])
    done = await other.delete(f"{V1}/sessions/{first}")
    assert done.status_code in {200, 204}, (ada, done.text)


async def _change_password(web: Any, ada: Any) -> None:
    other = web.client((await web.log_in("ada@example.com"))["access_token"])
    given = {"password": web.password, "new_password": "another battery, another horse"}
    done = await other.post(f"{V1}/auth/change-password", json=given)
    assert done.status_code == 204, (ada, done.text)


async def _leave(web: Any, ada: Any) -> None:
    given = {"password": web.password}
    done = await web.client(ada.token).post(f"{V1}/account/deletion", json=given)
    assert done.status_code == 200, done.text


ENDS = [_log_out, _log_out_everywhere, _suspend, _end_one, _change_password, _leave]


@pytest.mark.parametrize("end", ENDS)
async def test_a_stream_ends_with_its_session(web: Any, listener: Make, end: Any) -> None:
    ada, bob = await listener("ada"), await listener("bob")
    socket, other = await ada.connect("alerts"), await bob.connect("alerts")
    async with ada.events("alerts") as events:
        assert (await anext(events))[1] == "ready"
        await end(web, ada)
        async with asyncio.timeout(SOON):
            assert await _ended(socket) == 4401
            _, kind, data = await anext(events)
            assert (kind, data["reason"]) == ("closing", "session-over")
            assert [each async for each in events] == []
    await other.send(bob.ask("ping"))
    assert await bob.told(other, "pong")


async def test_a_refreshed_session_keeps_its_streams_and_a_stolen_one_does_not(
    web: Any, listener: Make, publisher: Any
) -> None:
    ada = await listener()
    tokens = await web.log_in("ada@example.com")
    ada.token = tokens["access_token"]
    socket = await ada.connect(f"portfolio:{ada.portfolio}")
    given = {"refresh_token": tokens["refresh_token"]}
    refreshed = await web.client().post(f"{V1}/auth/refresh", json=given)
    newest = web.client(refreshed.json()["access_token"])
    assert (await newest.get(f"{V1}/profile")).status_code == 200
    await publisher.report(ada, 1)
    assert await ada.told(socket, "events")
    assert (await web.client().post(f"{V1}/auth/refresh", json=given)).status_code == 401
    async with asyncio.timeout(SOON):
        async with asyncio.timeout(DEAD_WITHIN):
            while (await newest.get(f"{V1}/profile")).status_code != 401:
                pass
        assert await _ended(socket) == 4401


async def test_a_stream_ends_with_its_key(web: Any, listener: Make, publisher: Any) -> None:
    ada = await listener()
    client = web.client(ada.token)

    async def make(name: str, *scopes: str) -> Any:
        made = await client.post(f"{V1}/api-keys", json={"name": name, "scopes": scopes})
        return made.json()

    first, second = await make("first", "read"), await make("second", "read")
    trader = await make("trader", "trade")
    url = f"http://{ada.address}{V1}/streams/events"
    async with AsyncClient() as http:
        headers = {"Authorization": f"Bearer {trader['key']}"}
        found = await http.get(url, params={"topics": "alerts"}, headers=headers)
    assert found.status_code == 403
    ada.token = first["key"]
    revoked = await ada.connect("alerts")
    ada.token = second["key"]
    kept = await ada.connect("alerts")
    assert (await client.delete(f"{V1}/api-keys/{first['id']}")).status_code in {200, 204}
    assert await _ended(revoked) == 4401
    await kept.send(ada.ask("ping"))
    assert await ada.told(kept, "pong")
    lasts = 2
    expire = text(
        "UPDATE api_keys SET created_at = now() - interval '1 day',"
        " expires_at = now() + :lasts * interval '1 second' WHERE id = :id"
    )
    async with transaction(publisher.engine, ada.user_id) as session:
        await session.execute(expire, {"id": second["id"], "lasts": lasts})
    assert await _ended(kept, lasts + SOON) == 4401


async def test_who_comes_as_the_last_one_goes_is_heard(desk: Desk) -> None:
    hub = Hub(desk)
    first = await hub.open(Holder(uuid4(), uuid4()), "here")
    before = hub._listening
    hub.close(first)
    # What is begun from here on is not ended with what listened for the first.
    ending = hub._work.copy()
    hub._do(asyncio.sleep(60))
    (news,) = hub._work - ending
    second = await hub.open(Holder(uuid4(), uuid4()), "here")
    assert before is not None
    await asyncio.wait({before})
    assert not news.done()
    assert hub._is_heard.is_set()
    hub.close(second)
    await asyncio.wait({news})
    assert news.cancelled()
    assert not hub._addresses


async def test_a_deaf_process_looks_sessions_up(
    web: Any, listener: Make, publisher: Any, admin: Any
) -> None:
    """What listens is cut off, again and again, while a session ends and a report is kept."""
    ada = await listener()
    socket = await ada.connect(f"portfolio:{ada.portfolio}")
    await ada.told(socket, "subscribed")
    deafen = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'seawall streams'"
    )
    async with admin.connect() as connection:
        assert len((await connection.execute(deafen)).all()) == 1
    await publisher.report(ada, 1)
    assert await ada.told(socket, "events")
    async with admin.connect() as connection:
        await connection.execute(deafen)
    await _log_out(web, ada)
    assert await _ended(socket) == 4401


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110 - metrics have no event
            await asyncio.sleep(0.01)


def _narrow(ada: Any) -> sockets.socket:
    """A connection of which the system takes little ahead."""
    found = sockets.socket()
    found.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    host, port = ada.address.split(":")
    found.connect((host, int(port)))
    return found


async def test_a_reader_that_does_not_read_is_cut_while_others_go_on(
    listener: Make, publisher: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drive, "FAREWELL_SECONDS", 0.3)
    ada = await listener()
    topics = f"risk:{ada.portfolio}", f"portfolio:{ada.portfolio}"
    before = STREAMS_CUT.labels("slow")._value.get()
    narrow, other = _narrow(ada), _narrow(ada)
    asked = f"{V1}/streams/events?topics={','.join(topics)}"
    request = f"GET {asked} HTTP/1.1\r\nHost: {ada.address}\r\n"
    narrow.sendall(f"{request}Authorization: Bearer {ada.token}\r\n\r\n".encode())
    deaf = await ada.connect(*topics, max_queue=1, sock=other)
    good = await ada.connect(*topics)
    await ada.told(good, "subscribed")
    await _until(lambda: STREAMS.labels("sse")._value.get() == 1)
    came, rounds = 0, 0
    while STREAMS_CUT.labels("slow")._value.get() < before + 2:
        await publisher.report(ada, rounds * 1000, more=200)
        while came < (rounds + 1) * 201 * 2:
            came += len((await ada.told(good, "events"))["events"])
        rounds += 1
        assert rounds < 30, "what waits has no bound"
    await _until(lambda: not STREAMS.labels("sse")._value.get())
    await _until(lambda: STREAMS.labels("websocket")._value.get() == 1)
    narrow.close()
    await good.send(ada.ask("ping"))
    assert await ada.told(good, "pong")
    last = ""
    with suppress(ConnectionClosed):
        async for message in deaf:
            last = orjson.loads(message).get("id", last)
    assert last
    again = await ada.connect(*topics, after=last)
    assert (await ada.told(again))["type"] in {"events", "reset"}


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_who_hung_up_before_the_answer_is_no_bug(new_loop: Any) -> None:
    async def hang_up() -> None:
        ours, theirs = sockets.socketpair()
        with theirs:
            _, protocol = await asyncio.open_connection(sock=ours)
            line = Line(cast(asyncio.Transport, protocol.transport))
            line.narrow()
            asked = ours.getsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF)
            assert asked in {KERNEL_BYTES, 2 * KERNEL_BYTES}, "Linux doubles it"
            theirs.close()
            protocol.close()
            await protocol.wait_closed()
            line.narrow()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(hang_up())


async def test_a_silent_stream_says_that_it_lives(
    listener: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "HEARTBEAT", 0.1)
    ada = await listener()
    socket = await ada.connect("alerts")
    id_ = (await ada.told(socket, "subscribed"))["id"]
    beat = await ada.told(socket, "heartbeat")
    assert beat["id"].split(".")[0] == id_.split(".")[0]
    async with ada.events("alerts", after=beat["id"]) as events:
        assert [(await anext(events))[1] for _ in range(2)] == ["ready", "heartbeat"]


async def test_a_server_that_stops_says_so(listener: Make, served: Any) -> None:
    ada = await listener()
    socket = await ada.connect("alerts")
    async with ada.events("alerts") as events:
        assert (await anext(events))[1] == "ready"
        begun = monotonic()
        served.server.should_exit = True
        assert await _ended(socket) == 1001
        _, kind, data = await anext(events)
        assert (kind, data["reason"]) == ("closing", "stopping")
        assert 0 < data["retry_seconds"] < 10
        assert [each async for each in events] == []
    assert monotonic() - begun < SOON


async def test_a_storm_of_readers_is_bounded(listener: Make, web: Any) -> None:
    ada = await listener()
    url = f"ws://{ada.address}{V1}/streams/ws"
    most = web.desk.settings.api.streams_per_user

    async def come() -> Any:
        try:
            return await connect(url, additional_headers=ada.headers, compression=None)
        except InvalidStatus as error:
            return error.response.status_code

    found = await asyncio.gather(*(come() for _ in range(3 * most)))
    let_in = [each for each in found if not isinstance(each, int)]
    assert len(let_in) == most
    assert {each for each in found if isinstance(each, int)} == {429}
    for each in let_in:
        await each.close()
