"""No operation tells one user of another's things, or does anything to them."""

from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from sqlalchemy import text

from seawall.api import callers
from seawall.api.app import build_app
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
UNDER = "/api/v1/auth/"
BODIES: dict[str, dict[str, Any]] = {
    "/api-keys": {"name": "Mine", "scopes": ["read"]},
    "/portfolios": {"name": "Mine"},
    "/what-if": {"trades": [{"side": "buy", "asset": "BTC", "quantity": "1"}]},
}
"""What is sent where nothing at all would be refused."""
COMPUTING = ("/what-if", "/optimisation")
"""What is asked with a body, and changes nothing: a key that reads may."""


async def _victim(web: Web) -> dict[str, str]:
    """Somebody with a thing of each kind, by the names that paths have for their ids."""
    client = await web.known("victim@example.com")
    await client.patch(f"{V1}/profile", json={"display_name": "canary", "bio": "canary"})
    made = await client.post(f"{V1}/portfolios", json={"name": "canary"})
    portfolio = made.json()["id"]
    path = f"{V1}/portfolios/{portfolio}"
    await client.post(f"{path}/transactions", content=CSV, headers=TEXT)
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
    return {
        "portfolio_id": portfolio,
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
