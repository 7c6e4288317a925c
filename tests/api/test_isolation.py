"""No operation tells one user of another's things, or does anything to them."""

import itertools
from dataclasses import replace
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from sqlalchemy import text

from seawall.api import callers
from seawall.api.app import build_app
from seawall.db.engine import create_engine
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID, ensure_owner
from seawall.market.ingest import ingest
from seawall.market.schemas import CANDLE_DTYPE, ParsedFile, SeriesKind, Timeframe
from seawall.portfolios.portfolios import get_portfolio
from seawall.risk.limits import store as limits
from seawall.risk.report import report
from seawall.risk.scenarios.run import run_scenarios
from seawall.risk.scenarios.schemas import Basis, Depeg
from seawall.risk.schemas import RiskQuestion

Web = Any  # what the fixture is
V1 = "/api/v1"
CSV = b"date,type,asset,quantity,price_usd,fee_usd,notes\n2024-01-01,deposit,USD,1,,,canary\n"
TEXT = {"Content-Type": "text/csv"}
ACCOUNT = """
    INSERT INTO trading_accounts (name, currency_asset_id, initial_balance)
    SELECT 'canary', id, 0 FROM assets WHERE symbol = 'USD' RETURNING id
"""
UNDER = "/api/v1/auth/"
BODIES: dict[str, dict[str, Any]] = {
    "/api-keys": {"name": "Mine", "scopes": ["read"]},
    "/portfolios": {"name": "Mine"},
    "/transactions/voids": {"imported_at": "2024-01-01T00:00:00Z"},
    "/what-if": {"trades": [{"side": "buy", "asset": "BTC", "quantity": "1"}]},
}
"""What is sent where nothing at all would be refused."""
COMPUTING = ("/what-if", "/optimisation")
"""What is asked with a body, and changes nothing: a key that reads may."""


async def _victim(web: Web, email: str = "victim@example.com") -> dict[str, str]:
    """Somebody with a thing of each kind, by the names that paths have for their ids."""
    client = await web.known(email)
    await client.patch(f"{V1}/profile", json={"display_name": "canary", "bio": "canary"})
    made = await client.post(f"{V1}/portfolios", json={"name": "canary"})
    portfolio = made.json()["id"]
    path = f"{V1}/portfolios/{portfolio}"
    await client.post(f"{path}/transactions", content=CSV, headers=TEXT)
    (deposit,) = (await client.get(f"{path}/transactions")).json()["items"]
    key = await client.post(f"{V1}/api-keys", json={"name": "canary", "scopes": ["read"]})
    (session,) = (await client.get(f"{V1}/sessions")).json()["items"]
    me = (await client.get(f"{V1}/profile")).json()["id"]
    async with transaction(web.desk.engine, me) as opened:
        mine = await get_portfolio(opened, "canary")
        kept = await report(opened, mine, None, RiskQuestion())
        (stress,) = await run_scenarios(opened, mine, None, [Depeg()], Basis())
        assert stress.id is not None
        event = await limits.add_event(
            opened, {"event_type": "test", "severity": "info", "description": "canary"}
        )
        account = await opened.scalar(text(ACCOUNT))
    return {
        "portfolio_id": portfolio,
        "account_id": str(account),
        "transaction_id": deposit["id"],
        "key_id": key.json()["id"],
        "session_id": session["id"],
        "report_id": str(kept.id),
        "stress_id": str(stress.id),
        "event_id": str(event.id),
    }


async def _public(web: Web) -> dict[str, str]:
    """Things that are everybody's, by the names that paths have for their ids."""
    records = np.ones(2, CANDLE_DTYPE)
    records["time"] = np.array(["2024-01-01", "2024-01-02"], "M8[us]")
    parsed = ParsedFile(
        "generic",
        SeriesKind.CANDLES,
        records,
        len(records),
        symbol="ETH/USDT",
        exchange="binance",
        timeframe=Timeframe(86_400),
    )
    async with transaction(web.desk.engine, OWNER_ID) as session:
        await ensure_owner(session)
        await ingest(session, parsed, "file")
        query = "SELECT base_asset_id AS asset_id, id AS symbol_id FROM symbols"
        row = (await session.execute(text(query))).one()
        coverage = await session.scalar(text("SELECT id FROM data_coverage"))
    return {
        "asset_id": str(row.asset_id),
        "symbol_id": str(row.symbol_id),
        "coverage_id": str(coverage),
    }


def _filled(pattern: str, ids: dict[str, str]) -> str:
    for name, id_ in ids.items():
        pattern = pattern.replace(f"{{{name}}}", id_)
    return pattern


def _operations() -> list[tuple[str, str]]:
    schema = build_app().openapi()
    return [
        (method.upper(), path)
        for path, methods in schema["paths"].items()
        for method in methods
        if not path.startswith(UNDER)
    ]


async def _ask(client: Any, method: str, path: str) -> Any:
    if path.endswith("/streams/events"):
        return await client.get(path, params={"topics": "alerts", "once": "true"})
    if path.endswith("/transactions") and method == "POST":
        return await client.request(method, path, content=CSV, headers=TEXT)
    body = next((body for ending, body in BODIES.items() if path.endswith(ending)), {})
    given = {"json": {} if method == "PATCH" else body} if method in {"POST", "PATCH"} else {}
    return await client.request(method, path, **given)


async def test_another_s_ids_are_as_good_as_none(web: Web, problem: Any) -> None:
    ids, public = await _victim(web), await _public(web)
    stranger = await web.known("stranger@example.com")
    with_ids = 0
    for method, public_pattern in _operations():
        pattern = _filled(public_pattern, public)
        path = _filled(pattern, ids)
        absent = _filled(pattern, {name: str(uuid4()) for name in ids})
        assert "{" not in path, "an id of a kind that the victim has none of"
        found = await _ask(stranger, method, path)
        assert "canary" not in found.text, (method, pattern)
        assert not [each for each in ids.values() if each in found.text and each not in path]
        if path != pattern:
            with_ids += 1
            told = problem(found, 404, "not-found")
            other = problem(await _ask(stranger, method, absent), 404, "not-found")
            assert (told["detail"], told.get("hint")) == (other["detail"], other.get("hint"))
    assert with_ids >= 12
    victim = await web.log_in("victim@example.com")
    client = web.client(victim["access_token"])
    held = (await client.get(f"{V1}/portfolios/{ids['portfolio_id']}/transactions")).json()
    assert len(held["items"]) == 1
    assert len((await client.get(f"{V1}/api-keys")).json()["items"]) == 1
    assert len((await client.get(f"{V1}/sessions")).json()["items"]) == 2


async def test_nothing_is_told_to_nobody(
    web: Web, problem: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(callers.REQUESTS_A_MINUTE, "refused", 10_000)
    ids = await _victim(web) | await _public(web)
    schema = build_app().openapi()
    asked = 0
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            if not operation.get("security"):
                assert path.startswith(UNDER), path
                continue
            asked += 1
            filled = _filled(path, ids)
            for client in (web.client(), web.client("sw_abcdef_guess"), web.client("a.b.c")):
                problem(await _ask(client, method.upper(), filled), 401, "not-authenticated")
    assert asked >= 25


async def test_a_key_that_reads_changes_nothing(web: Web, problem: Any) -> None:
    ids = await _victim(web) | await _public(web)
    client = web.client((await web.log_in("victim@example.com"))["access_token"])
    made = await client.post(f"{V1}/api-keys", json={"name": "reader", "scopes": ["read"]})
    reader = web.client(made.json()["key"])
    for method, pattern in _operations():
        path = _filled(pattern, ids)
        found = await _ask(reader, method, path)
        if path.endswith(COMPUTING):
            # No price is known of anything.
            assert found.status_code in {404, 422}, (path, found.text)
        elif method != "GET" or path.endswith(("/sessions", "/api-keys")):
            problem(found, 403, "forbidden")
        else:
            assert found.status_code == 200, (path, found.text)


# However it is asked: what changes in the request, and who asks by an API key.
WAYS: tuple[tuple[dict[str, Any], bool], ...] = (
    ({}, False),
    ({}, True),
    ({"params": {"limit": "1", "total": "true"}}, False),
    ({"params": {"fields": "id"}}, False),
    ({"params": {"include_deleted": "true", "user_id": "{victim}"}}, True),
    ({"headers": {"If-None-Match": "*"}}, False),
    ({"headers": {"If-Match": "*"}}, False),
    ({"headers": {"If-Match": '"0123456789abcdef0123456789abcdef"'}}, True),
    ({"headers": {"Accept": "text/csv"}}, False),
    ({"headers": {"Accept-Encoding": "gzip"}}, False),
    ({"headers": {"Idempotency-Key": "the-same-for-all"}}, False),
    ({"headers": {"X-User-Id": "{victim}", "X-Forwarded-For": "127.0.0.1"}}, False),
    ({"json": {"user_id": "{victim}", "name": "Mine"}}, False),
    ({"json": {"id": "{victim}", "portfolio_id": "{portfolio_id}"}}, True),
    ({"content": CSV, "headers": TEXT}, False),
    ({"content": CSV, "headers": TEXT, "params": {"dry_run": "true"}}, True),
    ({"content": b"{", "headers": {"Content-Type": "application/json"}}, False),
)
CHANGES_BY_ASKING = frozenset({"user_sessions", "user_api_keys", "api_keys"})
"""When a session or a key was last used stands in its row."""
CHECKSUM = """
    SELECT md5(string_agg(each::text, ',' ORDER BY each::text)) FROM {} AS each
"""
TABLES = """
    SELECT c.table_name FROM information_schema.columns AS c JOIN information_schema.tables AS t
        USING (table_schema, table_name)
    WHERE c.table_schema = 'public' AND c.column_name = 'user_id' AND t.table_type = 'BASE TABLE'
"""


async def _checksums(url: str) -> dict[str, str | None]:
    engine = create_engine(url, role=None, pooled=False)
    async with engine.connect() as connection:
        names = sorted(set((await connection.execute(text(TABLES))).scalars()) - CHANGES_BY_ASKING)
        found = {name: await connection.scalar(text(CHECKSUM.format(name))) for name in names}
    await engine.dispose()
    return found


def _written_for(way: Any, ids: dict[str, str]) -> Any:
    if isinstance(way, dict):
        return {name: _written_for(each, ids) for name, each in way.items()}
    return _filled(way, ids) if isinstance(way, str) else way


def _but_for_the_request(found: Any, ids: dict[str, str]) -> tuple[int, bytes]:
    content = found.content.replace(found.headers["x-request-id"].encode(), b"")
    for id_ in ids.values():
        content = content.replace(id_.encode(), b"")
    return found.status_code, content


class Walk:
    """Everybody asks for what is everybody else's, in every way."""

    def __init__(self, public: dict[str, str], step: int = 1) -> None:
        self.asked = self.leaks = 0
        self._step = step
        self._absent: dict[tuple[str, str, int], tuple[int, bytes]] = {}
        patterns = [(method, _filled(path, public)) for method, path in _operations()]
        self._patterns = [each for each in patterns if "{" in each[1]]

    async def round(self, clients: tuple[Any, Any], theirs: dict[str, str]) -> None:
        nobody = {name: str(uuid4()) for name in theirs}
        for turn, (method, pattern) in enumerate(self._patterns):
            # Each operation in some of the ways, and all ways by turns, where time is short.
            for number in range(turn % self._step, len(WAYS), self._step):
                way, by_key = WAYS[number]
                client, place = clients[by_key], (method, pattern, number)
                asked = _written_for(way, theirs)
                found = await client.request(method, _filled(pattern, theirs), **asked)
                self.asked += 1
                if place not in self._absent:
                    asked = _written_for(way, nobody)
                    absent = await client.request(method, _filled(pattern, nobody), **asked)
                    self._absent[place] = _but_for_the_request(absent, nobody)
                is_alike = _but_for_the_request(found, theirs) == self._absent[place]
                if found.is_success or b"canary" in found.content or not is_alike:
                    self.leaks += 1
                    print(place, found.status_code, found.text, self._absent[place])  # noqa: T201


async def _key_of(web: Web, email: str, things: dict[str, str]) -> Any:
    """A client with an API key that may do all that keys may; the user's id joins their things."""
    person = web.client((await web.log_in(email))["access_token"])
    scopes = ["read", "trade", "manage"]
    made = await person.post(f"{V1}/api-keys", json={"name": "mine", "scopes": scopes})
    things["victim"] = (await person.get(f"{V1}/profile")).json()["id"]
    return web.client(made.json()["key"])


async def test_users_learn_nothing_of_each_other(
    web: Web, location: Any, uncounting: Any, figures: Any
) -> None:
    web.desk = replace(web.desk, cache=uncounting(web.desk.cache._backend, "test:walk"))
    web.app.state.desk = web.desk
    emails = [f"user-{number}@example.com" for number in range(figures.pick(2, 10))]
    things = {email: await _victim(web, email) for email in emails}
    walk, changed = Walk(await _public(web), figures.pick(3, 1)), set[str]()
    keys = {email: await _key_of(web, email, things[email]) for email in emails}
    least = figures.pick(0, 50_000)
    # Everybody asks once for all that is another's, and again until it is often enough.
    for number, asker in enumerate(itertools.cycle(emails)):
        if number >= len(emails) and walk.asked >= least:
            break
        # Tokens last a quarter of an hour, and all of it takes longer.
        person = web.client((await web.log_in(asker))["access_token"])
        before = await _checksums(location.admin_url)
        for other in emails:
            if other != asker and (number < len(emails) or walk.asked < least):
                await walk.round((person, keys[asker]), things[other])
        after = await _checksums(location.admin_url)
        changed |= {name for name, found in before.items() if after[name] != found}
    assert not changed
    figures.at_least("isolation: users", len(emails), "", figures.pick(2, 10))
    figures.at_least("isolation: requests", walk.asked, "", figures.pick(300, 50_000))
    figures.at_most("isolation: leaks", walk.leaks, "", 0)
    figures.at_most("isolation: tables that changed", len(changed), "", 0)
