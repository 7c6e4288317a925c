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
MOST_KEYS = 40
"""A user may have some more."""


@dataclass
class Writer:
    """Somebody who asks for each thing until it is there, always by the same name."""

    client: httpx.AsyncClient
    number: int
    told: dict[str, str] = field(default_factory=dict)
    broken: int = 0
    first: str = ""

    async def write(self, is_over: asyncio.Event) -> None:
        while not is_over.is_set():
            await self._write_one(len(self.told))

    async def _write_one(self, at: int) -> None:
        name = f"{self.number}-{at}"
        path, body = self._asked(at, name)
        headers = {"Idempotency-Key": uuid4().hex}
        while True:
            try:
                found = await self.client.post(path, json=body, headers=headers)
            except httpx.TransportError:
                self.broken += 1
                await asyncio.sleep(0.02)
                continue
            if found.status_code == 201:
                told = found.json()
                self.told[name] = told.get("id", "")
                self.first = self.first or told["id"]
                return
            # What is refused once is refused for ever, and would be asked for ever.
            assert found.status_code in {429, 503}, found.text
            await asyncio.sleep(0.05)

    def _asked(self, at: int, name: str) -> tuple[str, dict[str, Any]]:
        if at % 3 == 1 and at < 3 * MOST_KEYS:
            return f"{V1}/api-keys", {"name": name, "scopes": ["read"]}
        if at % 3 == 2:
            row = {"time": "2024-01-01T00:00:00Z", "type": "deposit", "asset": "USD"}
            rows = [row | {"quantity": str(at), "notes": name}]
            return f"{V1}/portfolios/{self.first}/transactions", {"transactions": rows}
        return f"{V1}/portfolios", {"name": name}

    async def kept(self) -> list[tuple[str, str]]:
        """What is there: its name, and the id that was answered."""
        keys = await self._all(f"{V1}/api-keys")
        portfolios = await self._all(f"{V1}/portfolios")
        transactions = await self._all(f"{V1}/portfolios/{self.first}/transactions")
        found = [(each["name"], each["id"]) for each in keys + portfolios]
        return found + [(each["notes"], "") for each in transactions]

    async def _all(self, path: str) -> list[Any]:
        items: list[Any] = []
        cursor: str | None = ""
        while cursor is not None:
            asked = {"limit": "200"} | ({"cursor": cursor} if cursor else {})
            found = await self.client.get(path, params=asked)
            assert found.status_code == 200, found.text
            items += found.json()["items"]
            cursor = found.json().get("next_cursor")
        return items


async def _kill_often(api: Any, writers: list[Writer], times: int) -> None:
    chosen = random.Random(7)  # noqa: S311 - moments, not secrets
    for _ in range(times):
        before = sum(len(each.told) for each in writers)
        async with asyncio.timeout(60):
            while sum(len(each.told) for each in writers) < before + WRITERS:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        await asyncio.sleep(chosen.random() * 0.03)
        api.kill()
        await asyncio.to_thread(api.start)


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
    kills = figures.pick(10, 100)
    async with asyncio.TaskGroup() as writing:
        for each in writers:
            writing.create_task(each.write(is_over))
        await _kill_often(api, writers, kills)
        is_over.set()
    lost = doubled = 0
    for each in writers:
        kept = await each.kept()
        lost += len(set(each.told.items()) - set(kept))
        doubled += sum(times - 1 for times in Counter(name for name, _ in kept).values())
        await each.client.aclose()
    assert sum(each.broken for each in writers) >= kills, "nobody was asking when it was killed"
    figures.at_least("kill -9: kills", kills, "", figures.pick(10, 100))
    figures.at_least("kill -9: writes answered", sum(len(w.told) for w in writers), "", kills)
    figures.at_most("kill -9: answered writes lost", lost, "", 0)
    figures.at_most("kill -9: writes doubled", doubled, "", 0)
