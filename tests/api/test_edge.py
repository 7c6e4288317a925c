"""Every answer has its headers, every error is a problem, and too much is refused."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import orjson
import pytest
from pydantic import SecretStr
from sqlalchemy import event

from seawall.api import callers, health
from seawall.api.app import build_app
from seawall.core.settings import ApiSettings, CacheSettings, Settings
from seawall.db import watch
from seawall.db.cache import open_cache
from seawall.db.database import Location
from seawall.db.engine import create_engine

Web = Any  # what the fixture is
ADA = "ada@example.com"


async def test_every_answer_is_guarded(web: Web) -> None:
    client = web.client()
    for path in ("/healthz", "/api/v1/profile", "/nothing", "/api/v1/openapi.json"):
        headers = (await client.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert headers["strict-transport-security"]
        assert "access-control-allow-origin" not in headers
        assert len(headers["x-request-id"]) == 32
    given = await client.get("/healthz", headers={"X-Request-ID": "mine-12345"})
    assert given.headers["x-request-id"] == "mine-12345"
    strange = await client.get("/healthz", headers={"X-Request-ID": "<script>alert(1)"})
    assert len(strange.headers["x-request-id"]) == 32


async def test_other_origins_are_told_nothing(web: Web) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    found = await web.client().options("/api/v1/auth/login", headers=asked)
    assert "access-control-allow-origin" not in found.headers


async def test_what_is_not_there_is_a_problem(web: Web, problem: Any) -> None:
    client = web.client()
    problem(await client.get("/nothing"), 404, "not-found")
    problem(await client.get("/docs"), 404, "not-found")
    wrong = await client.get("/api/v1/auth/login")
    assert wrong.headers["content-type"] == "application/problem+json"
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")


async def test_too_much_is_refused_however_it_comes(web: Web, problem: Any) -> None:
    much = b"x" * ((1 << 20) + 1)

    async def in_parts() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield much[: 1 << 19]

    client = web.client()
    headers = {"Content-Type": "application/json"}
    for content in (much, in_parts()):
        found = await client.post("/api/v1/auth/login", content=content, headers=headers)
        problem(found, 413, "too-large")
    lied = headers | {"Content-Length": "many"}
    problem(await client.post("/api/v1/auth/login", content=b"{}", headers=lied), 413, "too-large")


async def test_a_bug_is_told_without_what_it_was(
    web: Web, problem: Any, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def __getattr__(self, name: str) -> None:
            raise RuntimeError("canary-1234")

    web.app.state.desk = Broken()
    found = await web.client("a.b.c").get("/api/v1/profile")
    problem(found, 500, "bug")
    assert "canary" not in found.text
    assert found.headers["x-content-type-options"] == "nosniff"
    assert found.json()["instance"] in caplog.text
    assert "canary-1234" in caplog.text


async def test_requests_are_counted_and_the_rest_is_told(
    web: Web, problem: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await web.known(ADA)
    monkeypatch.setitem(callers.REQUESTS_A_MINUTE, "user", 3)
    seen = []
    for _ in range(4):
        found = await client.get("/api/v1/profile")
        headers = found.headers
        seen.append((found.status_code, headers["ratelimit-limit"], headers["ratelimit-remaining"]))
    assert seen == [(200, "3", "2"), (200, "3", "1"), (200, "3", "0"), (429, "3", "0")]
    problem(await client.get("/api/v1/settings"), 429, "too-many-requests")
    # Another user has a count of their own.
    other = await web.known("bob@example.com")
    assert (await other.get("/api/v1/profile")).status_code == 200


async def test_a_key_leaves_room_for_its_owner(
    web: Web, problem: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await web.known(ADA)
    made = await client.post("/api/v1/api-keys", json={"name": "script", "scopes": ["read"]})
    script = web.client(made.json()["key"])
    monkeypatch.setitem(callers.REQUESTS_A_MINUTE, "user", 9)
    seen = [await script.get("/api/v1/profile") for _ in range(7)]
    assert [each.status_code for each in seen] == [200] * 6 + [429]
    assert seen[0].headers["ratelimit-limit"] == "6"
    assert seen[0].headers["ratelimit-remaining"] == "5"
    assert (await client.get("/api/v1/profile")).headers["ratelimit-limit"] == "9"
    problem(await client.get("/api/v1/profile"), 429, "too-many-requests")


async def test_who_guesses_at_keys_is_counted_by_address(
    web: Web, problem: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(callers.REQUESTS_A_MINUTE, "refused", 2)
    for guess in ("sw_abcdef_guess", "a.b.c"):
        problem(await web.client(guess).get("/api/v1/profile"), 401, "not-authenticated")
    problem(await web.client("sw_abcdef_more").get("/api/v1/profile"), 429, "too-many-requests")
    # Who is known may come from the same address.
    assert (await (await web.known(ADA)).get("/api/v1/profile")).status_code == 200


async def test_strangers_are_counted_by_address(
    web: Web, problem: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(callers.REQUESTS_A_MINUTE, "address", 2)
    asked = {"email": "nobody@example.com"}
    for _ in range(2):
        found = await web.client().post("/api/v1/auth/forgot-password", json=asked)
        assert found.status_code == 202
    found = await web.client().post("/api/v1/auth/forgot-password", json=asked)
    problem(found, 429, "too-many-requests")


async def test_without_a_cache_reads_go_on_and_nobody_logs_in(web: Web, problem: Any) -> None:
    client = await web.known(ADA)
    settings = Settings(cache=CacheSettings(url=SecretStr("redis://127.0.0.1:1/0")))
    async with open_cache(settings, web.desk.engine) as dead:
        web.app.state.desk = replace(web.desk, cache=dead)
        assert (await client.get("/api/v1/profile")).status_code == 200
        given = {"email": ADA, "password": web.password}
        found = await client.post("/api/v1/auth/login", json=given)
        problem(found, 503, "unavailable")
        assert found.headers["retry-after"] == "1"
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["checks"]["cache"]) == (200, "unavailable")


async def test_health_is_told(web: Web) -> None:
    client = web.client()
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    ready = await client.get("/readyz")
    checks = {"database": "ok", "cache": "ok"}
    queue = {"waiting": 0, "oldest_seconds": 0.0}
    assert ready.json() == {"status": "ok", "checks": checks, "queue": queue}


async def test_strangers_are_told_whether_it_is_ready_and_no_more(web: Web) -> None:
    passed_on = {"X-Forwarded-For": "203.0.113.7"}
    found = await web.client().get("/readyz", headers=passed_on)
    assert (found.status_code, found.json()) == (200, {"status": "ok"})


async def test_however_many_ask_one_looks(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def note(*args: Any) -> None:
        asked.append(args[2])

    event.listen(web.desk.engine.sync_engine, "before_cursor_execute", note)
    client = web.client()
    await client.get("/readyz")
    alone = len(asked)
    found = await asyncio.gather(*(client.get("/readyz") for _ in range(50)))
    assert {each.status_code for each in found} == {200}
    assert len(asked) == alone > 0
    monkeypatch.setattr(health, "monotonic", lambda: time.monotonic() + health.KEPT)
    await client.get("/readyz")
    assert len(asked) == 2 * alone


async def test_a_full_pool_is_busy_and_not_away(
    web: Web, location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PATIENCE", 0.3)
    monkeypatch.setattr(watch, "EVERY", 0.05)
    engine = create_engine(location.url, connections=1)
    web.app.state.desk = replace(web.desk, engine=engine)
    monkeypatch.setattr(health, "KEPT", 0.0)
    client = web.client()

    async def look() -> tuple[int, str]:
        found = await client.get("/readyz")
        return found.status_code, found.json()["checks"]["database"]

    away, busy = (503, "unavailable"), (200, "busy")
    async with watch.watching(engine) as web.app.state.watch:
        async with engine.connect():
            assert await look() == away, "whether it is of this version nobody knows yet"
        assert await look() == (200, "ok")
    async with engine.connect():
        # Whether it answers others nobody knows now.
        web.app.state.watch = watch.Watch(engine)
        assert await look() == away
        async with watch.watching(engine) as web.app.state.watch:
            assert await look() == busy
            handed_at, seconds = engine.pool.handed_at, engine.pool.timeout()  # type: ignore[attr-defined]
            monkeypatch.setattr(engine.pool, "handed_at", handed_at - seconds)
            assert await look() == away, "nothing moves any more, and all who ask are refused"
        assert 'seawall_readiness_total{status="busy"}' in (await client.get("/metrics")).text
    assert (await client.get("/readyz")).json()["status"] == "ok"
    await engine.dispose()


async def test_counts_are_for_this_machine_or_who_has_the_token(web: Web, problem: Any) -> None:
    client = web.client()
    await client.get("/api/v1/profile")
    found = await client.get("/metrics")
    assert 'operation="getProfile",status="401"' in found.text
    passed_on = {"X-Forwarded-For": "192.0.2.1"}
    problem(await client.get("/metrics", headers=passed_on), 404, "not-found")
    api = ApiSettings(metrics_token=SecretStr("a token for metrics"))
    settings = web.desk.settings.model_copy(update={"api": api})
    web.app.state.desk = replace(web.desk, settings=settings)
    problem(await client.get("/metrics"), 404, "not-found")
    given = {"Authorization": "Bearer a token for metrics"}
    assert (await client.get("/metrics", headers=given)).status_code == 200


async def test_the_log_has_a_line_for_each_request_and_no_secret(
    web: Web, caplog: pytest.LogCaptureFixture
) -> None:
    client = await web.known(ADA)
    caplog.set_level(logging.INFO, "seawall.access")
    await client.get("/api/v1/profile?token=canary")
    (line,) = [each.message for each in caplog.records if each.name == "seawall.access"]
    told = orjson.loads(line)
    assert (told["operation"], told["status"]) == ("getProfile", 200)
    assert told["user"]
    assert "canary" not in caplog.text


def test_the_schema_names_and_describes_every_operation() -> None:
    schema = build_app().openapi()
    assert schema["openapi"].startswith("3.1")
    operations = [
        (path, method, each)
        for path, methods in schema["paths"].items()
        for method, each in methods.items()
    ]
    names = [each["operationId"] for _, _, each in operations]
    assert len(set(names)) == len(names) >= 20
    for path, method, each in operations:
        assert each["summary"], (path, method)
        assert each["description"], (path, method)
        assert each["tags"], (path, method)
        assert [*each["responses"]["4XX"]["content"]] == ["application/problem+json"]
    assert "writeOnly" not in str(schema["components"]["schemas"]["LoginTokens"])


async def test_a_path_tells_all_its_methods(web: Web) -> None:
    client = web.client()
    for path, methods in (("/profile", "GET, PATCH"), ("/portfolios", "GET, POST")):
        found = await client.put(f"/api/v1{path}")
        assert (found.status_code, found.headers["allow"]) == (405, methods)


async def test_what_is_only_nearly_right_is_refused(web: Web, problem: Any) -> None:
    client = await web.known(ADA)
    problem(await client.patch("/api/v1/settings", json={"price_alerts": 0}), 422, "invalid")
    made = {"name": "bot", "scopes": ["read"], "expires_at": 1_900_000_000}
    problem(await client.post("/api/v1/api-keys", json=made), 422, "invalid")
    portfolio = (await client.post("/api/v1/portfolios", json={"name": "Main"})).json()["id"]
    found = await client.get(f"/api/v1/portfolios/{portfolio}/performance?as_of=0.5")
    problem(found, 422, "invalid")


@pytest.mark.parametrize(
    ("host", "other", "is_same"),
    [
        ("2001:db8:0:1::5", "2001:db8:0:1:ffff::9", True),
        ("2001:db8:0:1::5", "2001:db8:0:2::5", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("unknown", "unknown", True),
    ],
)
def test_addresses_of_one_network_count_together(host: str, other: str, *, is_same: bool) -> None:
    assert (callers.whole_network(host) == callers.whole_network(other)) == is_same
