"""The bare server that streams are measured beside: `websockets`, and no more.

It sends everybody whatever number its standard input says, in a message like the API's.
"""

import asyncio
import sys

from websockets.asyncio.server import ServerConnection, broadcast, serve

_MESSAGE = (
    '{{"type":"events","id":"","events":[{{"topic":"prices:BTC","asset":"BTC","price_usd":{0},'
    '"time":"2026-01-01T00:00:00Z","source":"test BTC/USD 1m","note":""}}]}}'
)
_clients: set[ServerConnection] = set()


async def _listen(client: ServerConnection) -> None:
    await client.recv()
    await client.send('{"type":"subscribed"}')
    _clients.add(client)
    await client.wait_closed()
    _clients.discard(client)


async def _main(port: int) -> None:
    async with serve(_listen, "127.0.0.1", port, compression=None, ping_interval=None):
        while line := await asyncio.to_thread(sys.stdin.readline):
            broadcast(_clients, _MESSAGE.format(line.strip()))


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1])))
