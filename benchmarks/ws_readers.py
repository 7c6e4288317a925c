"""A process of a thousand WebSocket clients, which notes when each message came.

Its standard input says where to connect, with which tokens, and when to stop. It tells for each
client the numbers that came, and when on the machine's monotonic clock.
"""

import asyncio
import json
import sys
import time
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

AT_ONCE = 20
TOPIC = "prices:BTC"


async def _open(port: int, token: str, gate: asyncio.Semaphore) -> ClientConnection:
    async with gate:
        found = await connect(
            f"ws://127.0.0.1:{port}/api/v1/streams/ws",
            additional_headers={"Authorization": f"Bearer {token}"},
            compression=None,
            ping_interval=None,
            open_timeout=120,
        )
        await found.send(json.dumps({"type": "subscribe", "topics": [TOPIC]}))
        while json.loads(await found.recv())["type"] != "subscribed":
            pass
        return found


async def _read(client: ClientConnection, came: list[tuple[int, float]]) -> None:
    try:
        async for message in client:
            now = time.monotonic()
            told = json.loads(message)
            if told["type"] == "events":
                came.extend((int(each["price_usd"]), now) for each in told["events"])
    except ConnectionClosed:
        return


async def _main(asked: dict[str, Any]) -> None:
    gate = asyncio.Semaphore(AT_ONCE)
    clients = await asyncio.gather(
        *(_open(asked["port"], token, gate) for token in asked["tokens"])
    )
    arrivals: list[list[tuple[int, float]]] = [[] for _ in clients]
    reading = [
        asyncio.create_task(_read(client, came))
        for client, came in zip(clients, arrivals, strict=True)
    ]
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    cut = sum(task.done() for task in reading)
    for task in reading:
        task.cancel()
    print(json.dumps({"arrivals": arrivals, "cut": cut}), flush=True)


if __name__ == "__main__":
    asyncio.run(_main(json.loads(sys.stdin.readline())))
