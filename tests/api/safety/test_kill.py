"""A process may be killed while it writes: nothing that was answered is lost, or doubled."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx

from seawall.db.database import Location

V1, WRITERS = "/api/v1", 6


@dataclass
class Writer:
    """Somebody who asks for each thing until it is there, always by the same name."""

    client: httpx.AsyncClient
    number: int
    told: dict[str, str] = field(default_factory=dict)
    broken: int = 0
    refused: list[str] = field(default_factory=list)

    async def write(self, is_over: asyncio.Event) -> None:
        while not is_over.is_set():
            await self._write_one(len(self.told))

    async def _write_one(self, at: int) -> None:
        name = f"{self.number}-{at}"
        path, body = f"{V1}/portfolios", dict[str, Any](name=name)
        if at % 2:
            path, body = f"{V1}/api-keys", {"name": name, "scopes": ["read"]}
        headers = {"Idempotency-Key": uuid4().hex}
        while True:
            try:
                found = await self.client.post(path, json=body, headers=headers)
            except httpx.TransportError:
                self.broken += 1
                await asyncio.sleep(0.02)
                continue
            if found.status_code == 201:
                self.told[name] = found.json()["id"]
                return
            if found.status_code not in {429, 503}:
                self.refused.append(found.text)
            await asyncio.sleep(0.05)


async def _kill_often(api: Any, writers: list[Writer], times: int) -> None:
    chosen = random.Random(7)  # noqa: S311 - moments, not secrets
    for _ in range(times):
        before = sum(len(each.told) for each in writers)
        while sum(len(each.told) for each in writers) < before + WRITERS:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        await asyncio.sleep(chosen.random() * 0.03)
        api.kill()
        await asyncio.to_thread(api.start)


async def _kept(client: httpx.AsyncClient) -> list[tuple[str, str]]:
    keys = (await client.get(f"{V1}/api-keys", params={"limit": 200})).json()["items"]
    cursor: str | None = ""
    while cursor is not None:
        asked = {"limit": "200"} | ({"cursor": cursor} if cursor else {})
        page = (await client.get(f"{V1}/portfolios", params=asked)).json()
        keys += page["items"]
        cursor = page["next_cursor"]
    return [(each["name"], each["id"]) for each in keys]


async def test_what_was_answered_is_there_once(
    module_location: Location, start_api: Callable[..., Any], figures: Any
) -> None:
    api = await asyncio.to_thread(start_api, module_location)
    writers = []
    for number in range(WRITERS):
        token = await asyncio.to_thread(api.new_user, f"writer-{number}@example.com")
        headers = {"Authorization": f"Bearer {token}"}
        client = httpx.AsyncClient(base_url=api.url, headers=headers, timeout=30)
        writers.append(Writer(client, number))
    is_over = asyncio.Event()
    tasks = [asyncio.create_task(each.write(is_over)) for each in writers]
    kills = figures.pick(6, 100)
    await _kill_often(api, writers, kills)
    is_over.set()
    await asyncio.gather(*tasks)
    lost = doubled = 0
    for each in writers:
        kept = await _kept(each.client)
        lost += len(set(each.told.items()) - set(kept))
        doubled += sum(times - 1 for times in Counter(name for name, _ in kept).values())
        assert not each.refused, each.refused
        await each.client.aclose()
    assert sum(each.broken for each in writers) >= kills, "nobody was asking when it was killed"
    figures.at_least("kill -9: kills", kills, "", figures.pick(6, 100))
    figures.at_least("kill -9: writes answered", sum(len(w.told) for w in writers), "", kills)
    figures.at_most("kill -9: answered writes lost", lost, "", 0)
    figures.at_most("kill -9: writes doubled", doubled, "", 0)
