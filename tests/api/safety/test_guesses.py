"""Guessing is slow, codes and tokens are good once, and nobody tells who has an account."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pyotp
import pytest
from httpx import ASGITransport, AsyncClient
from pwdlib.hashers.argon2 import Argon2Hasher
from pydantic import SecretStr

from seawall.api.app import build_app
from seawall.core.time import now
from seawall.db.cache import Cache
from seawall.db.database import Location
from seawall.db.session import transaction
from seawall.identity import attempts, two_factor
from seawall.identity.desk import Desk
from seawall.identity.operators import NewUser, create_user
from seawall.identity.passwords import Passwords

V1, ADA = "/api/v1", "ada@example.com"
PASSWORD = "correct horse battery staple"  # noqa: S105 - of nobody
AT_ONCE = 50
NOON = datetime(2024, 5, 6, 12, tzinfo=UTC)


class Counting(Argon2Hasher):
    """Counts how often it really looks at a password."""

    looks = 0

    def verify(self, password: str | bytes, hash: str | bytes) -> bool:  # noqa: A002 - its name
        self.looks += 1
        return super().verify(password, hash)


@asynccontextmanager
async def _app(desk: Desk) -> AsyncIterator[Callable[[str], AsyncClient]]:
    app = build_app(desk)
    opened = []

    def client(address: str) -> AsyncClient:
        transport = ASGITransport(app, client=(address, 1))
        opened.append(AsyncClient(transport=transport, base_url="https://test"))
        return opened[-1]

    yield client
    for each in opened:
        await each.aclose()


async def _user(desk: Desk, email: str) -> Any:
    return await create_user(desk, NewUser(email, password=SecretStr(PASSWORD)))


async def _log_in(client: AsyncClient, email: str, password: str, **more: Any) -> Any:
    return await client.post(f"{V1}/auth/login", json={"email": email, "password": password} | more)


async def test_of_many_guesses_few_are_looked_at(
    module_location: Location, tmp_path: Path, open_desk: Any, figures: Any
) -> None:
    async with open_desk(module_location, tmp_path, Cache) as opened:
        hasher = Counting(time_cost=1, memory_cost=8, parallelism=1)
        moment = [now().replace(minute=14, second=0)]
        opened.cache._clock = lambda: moment[0]
        desk = replace(opened, passwords=Passwords(hasher))
        await _user(desk, ADA)
        await _user(desk, "eve@example.com")
        async with _app(desk) as client:
            mine = await _log_in(client("10.9.9.9"), "eve@example.com", PASSWORD)
            devices = (None, mine.json()["device"], "forged")
            hasher.looks, statuses = 0, set()
            guesses = figures.pick(400, 10_000)
            for start in range(0, guesses, AT_ONCE):
                if start >= guesses // 2:
                    # Into the next window, in less than a quarter of an hour.
                    moment[0] = moment[0].replace(minute=16)
                each = client(f"10.0.{start // AT_ONCE % 250}.1")
                email = (ADA, ADA.upper(), f" {ADA} ")[start // AT_ONCE % 3]
                found = await asyncio.gather(
                    *(
                        _log_in(each, email, f"guess {n}", device=devices[n % 3])
                        for n in range(start, start + AT_ONCE)
                    )
                )
                statuses |= {answer.status_code for answer in found}
            assert statuses <= {401, 429}
            looks = hasher.looks
            # Its owner is shut out no longer than the window lasts.
            moment[0] += timedelta(minutes=15)
            assert (await _log_in(client("10.1.1.1"), ADA, PASSWORD)).status_code == 200
    figures.at_least("guesses: tried", guesses, "", figures.pick(400, 10_000))
    figures.at_most("guesses: looked at in 15 minutes", looks, "", 10)
    assert looks > 0


async def test_after_the_cache_was_emptied_no_process_has_anybody_guess_anew(
    module_location: Location, tmp_path: Path, open_desk: Any
) -> None:
    hasher = Counting(time_cost=1, memory_cost=8, parallelism=1)
    async with open_desk(module_location, tmp_path, Cache) as opened:
        opened.cache._clock = lambda: NOON
        desk = replace(opened, passwords=Passwords(hasher))
        email = "emptied@example.com"
        await _user(desk, email)
        async with _app(desk) as client:
            # Who has no account is treated alike.
            for guessed_at in (email, "nobody-here@example.com"):
                asked = [await _log_in(client("10.0.0.1"), guessed_at, "guess") for _ in range(3)]
                await desk.cache._backend.clear()
                hasher.looks = 0
                asked += [await _log_in(client("10.0.0.2"), guessed_at, "guess") for _ in range(9)]
                assert [each.status_code for each in asked] == [401] * 5 + [429] * 7
                assert hasher.looks == 2


async def test_a_code_is_good_once_however_many_bring_it(
    module_location: Location,
    tmp_path: Path,
    open_desk: Any,
    uncounting: Any,
    figures: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    email = "totp@example.com"
    monkeypatch.setattr(attempts, "GUESSES", 100)
    async with open_desk(module_location, tmp_path, uncounting) as desk:
        user = await _user(desk, email)
        async with transaction(desk.engine, user.id) as session:
            secret = (await two_factor.begin(desk, session, user.id)).secret
            totp = pyotp.TOTP(secret.get_secret_value())
            await two_factor.confirm(desk, session, user.id, totp.at(time.time() - 30))
        async with _app(desk) as client:
            code = totp.now()
            found = await asyncio.gather(
                *(_log_in(client("10.0.0.1"), email, PASSWORD, code=code) for _ in range(50))
            )
        right = [each for each in found if each.status_code == 200]
        assert {each.status_code for each in found} == {200, 401}
    figures.at_most("second factor: logins by one code", len(right), "", 1)


async def test_a_refresh_token_that_comes_twice_ends_its_family(
    module_location: Location, start_api: Callable[..., Any], figures: Any
) -> None:
    api = await asyncio.to_thread(start_api, module_location)
    email = "family@example.com"
    await asyncio.to_thread(api.new_user, email)
    async with httpx.AsyncClient(base_url=api.url, timeout=30) as client:
        first = (await _log_in(client, email, PASSWORD)).json()
        given = {"refresh_token": first["refresh_token"]}
        second = (await client.post(f"{V1}/auth/refresh", json=given)).json()
        headers = {"Authorization": f"Bearer {second['access_token']}"}
        assert (await client.get(f"{V1}/profile", headers=headers)).status_code == 200
        assert (await client.post(f"{V1}/auth/refresh", json=given)).status_code == 401
        start = time.perf_counter()
        while (await client.get(f"{V1}/profile", headers=headers)).status_code != 401:
            assert time.perf_counter() < start + 30
        took = time.perf_counter() - start
        newest = {"refresh_token": second["refresh_token"]}
        assert (await client.post(f"{V1}/auth/refresh", json=newest)).status_code == 401
    figures.at_most("old refresh token: family dead after", took, "s", 1)


async def test_who_has_no_account_is_refused_as_late(
    module_location: Location, tmp_path: Path, open_desk: Any, uncounting: Any, figures: Any
) -> None:
    known = "known@example.com"
    async with open_desk(module_location, tmp_path, uncounting) as opened:
        # With the real cost of a hash only where there are hours: it is the same for both.
        desk = replace(opened, passwords=Passwords()) if figures.is_long else opened
        await _user(desk, known)
        async with _app(desk) as client:
            asker = client("10.0.0.1")

            async def timed(email: str) -> float:
                start = time.perf_counter()
                found = await _log_in(asker, email, "not the password")
                assert found.status_code == 401
                return time.perf_counter() - start

            gaps = []
            for number in range(figures.pick(150, 2_000) + 10):
                other = f"nobody-{number:05}@example.com"
                pair = (known, other) if number % 2 else (other, known)
                times = {email: await timed(email) for email in pair}
                gaps.append(times[known] - times[other])
    gap = abs(statistics.median(gaps[10:])) * 1_000
    figures.at_most("known against unknown user: median gap", gap, "ms", 2)
