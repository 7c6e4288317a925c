"""Limits over HTTP: set, taken away, checked, and their events resolved."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from httpx import AsyncClient
from sqlalchemy import text

from seawall.db.session import transaction
from seawall.risk.limits import store
from seawall.risk.limits.schemas import ALL_OF_USER, LimitName, Subject

Web = Any  # what the fixture is
V1 = "/api/v1"
ALL = f"{V1}/risk/limits/everything"


@pytest.fixture
async def ada(web: Web) -> AsyncIterator[AsyncClient]:
    async with await web.known("ada@example.com") as client:
        yield client


async def _rich(client: AsyncClient, usd: str) -> str:
    made = await client.post(f"{V1}/portfolios", json={"name": "Main"})
    path = f"{V1}/portfolios/{made.json()['id']}"
    row = {"time": "2024-01-02T00:00:00Z", "type": "deposit", "asset": "USD", "quantity": usd}
    done = await client.post(f"{path}/transactions", json={"transactions": [row]})
    assert done.status_code == 201, done.text
    return path


async def test_a_limit_is_set_seen_and_taken_away(web: Web, ada: AsyncClient, problem: Any) -> None:
    path = await _rich(ada, "100")
    limits = f"{path}/risk/limits"
    empty = await ada.get(limits)
    assert {name: empty.json()[name] for name in LimitName} == dict.fromkeys(LimitName)
    wanted = {"max_position_value": "50.123456789012345678", "max_weight": 0.4, "max_volatility": 2}
    match = {"If-Match": empty.headers["etag"]}
    done = await ada.patch(limits, json=wanted | {"blocking": ["max_weight"]}, headers=match)
    assert done.status_code == 200, done.text
    assert done.json()["max_position_value"] == "50.123456789012345678"
    assert (done.json()["max_weight"], done.json()["blocking"]) == (0.4, ["max_weight"])
    problem(await ada.patch(limits, json=wanted, headers=match), 412, "precondition-failed")
    again = await ada.get(limits, headers={"If-None-Match": done.headers["etag"]})
    assert again.status_code == 304

    me, id_ = (await ada.get(f"{V1}/profile")).json()["id"], path.rpartition("/")[2]
    async with transaction(web.desk.engine, me) as session:
        (kept,) = await store.find_limits(session, (Subject(portfolio_id=id_),))  # type: ignore[arg-type]
    assert kept.allowed[LimitName.MAX_WEIGHT] == 0.4
    assert kept.blocking == {LimitName.MAX_WEIGHT}

    left = await ada.patch(limits, json={"max_weight": None, "max_var_95": 0.05})
    assert (left.json()["max_weight"], left.json()["max_var_95"]) == (None, 0.05)
    assert left.json()["blocking"] == []
    assert left.json()["max_volatility"] == 2
    await ada.patch(ALL, json={"max_daily_loss": "10", "max_orders_per_hour": 5})
    listed = (await ada.get(f"{V1}/risk/limits")).json()["items"]
    assert [(each["portfolio_id"], each["max_daily_loss"]) for each in listed] == [
        (None, "10"),
        (id_, None),
    ]
    for wrong in (
        {"max_weight": 1.5},
        {"max_weight": -0.1},
        {"max_weight": "20%"},
        {"max_position_value": "1e3"},
        {"max_position_value": "-1"},
        {"max_position_value": 5},
        {"max_orders_per_hour": 1.5},
        {"max_leverage": 3},
        {"max_fun": 1},
        {"blocking": ["max_fun"]},
    ):
        problem(await ada.patch(limits, json=wrong), 422, "invalid")
    infinite = b'{"max_volatility": 1e999}'
    json = {"Content-Type": "application/json"}
    problem(await ada.patch(limits, content=infinite, headers=json), 422, "invalid")
    told = problem(await ada.patch(ALL, json={"blocking": ["max_weight"]}), 409, "conflict")
    assert "--" not in told["hint"]


async def test_what_is_broken_has_an_event_until_it_is_resolved(
    web: Web, ada: AsyncClient, problem: Any
) -> None:
    path = await _rich(ada, "100")
    await ada.patch(f"{path}/risk/limits", json={"max_position_value": "0", "max_drawdown": 0.5})
    looked = (await ada.get(f"{path}/risk/limits/use")).json()
    assert looked["events"] == []
    use = {each["name"]: each for each in looked["uses"]}
    # Cash is no position, so there is none that could be too large; and it never fell.
    assert (use["max_position_value"]["used"], use["max_position_value"]["state"]) == ("0", "kept")
    assert (use["max_drawdown"]["used"], use["max_drawdown"]["state"]) == (0, "kept")
    row = {"time": "2024-01-03T00:00:00Z", "type": "buy", "asset": "BTC", "quantity": "1"}
    rows = {"transactions": [row | {"price_usd": "1"}]}
    assert (await ada.post(f"{path}/transactions", json=rows)).status_code == 201
    looked = (await ada.get(f"{path}/risk/limits/use")).json()
    assert {each["state"] for each in looked["uses"]} == {"unknown"}
    assert all(each["reason"] for each in looked["uses"])

    me = (await ada.get(f"{V1}/profile")).json()["id"]
    async with transaction(web.desk.engine, me) as session:
        for severity in ("info", "critical"):
            values = {"event_type": "test", "severity": severity, "description": severity}
            await store.add_event(session, values)
    named = {"Idempotency-Key": "check-1"}
    checks = [await ada.post(f"{path}/risk/limits/check", headers=named) for _ in range(2)]
    assert checks[0].content == checks[1].content
    assert checks[1].headers["idempotency-replayed"] == "true"
    page = (await ada.get(f"{V1}/risk/events?limit=1")).json()
    rest = (await ada.get(f"{V1}/risk/events?cursor={page['next_cursor']}")).json()
    both = page["items"] + rest["items"]
    assert {each["severity"] for each in both} == {"info", "critical"}
    assert rest["next_cursor"] is None
    (critical,) = (await ada.get(f"{V1}/risk/events?severity=critical")).json()["items"]
    event = f"{V1}/risk/events/{critical['id']}"
    done = await ada.post(f"{event}/resolution")
    assert (done.status_code, done.json()["resolved_by"]) == (200, me)
    assert (await ada.get(event)).json() == done.json()
    problem(await ada.post(f"{event}/resolution"), 409, "conflict")
    (open_,) = (await ada.get(f"{V1}/risk/events?unresolved=true")).json()["items"]
    assert open_["severity"] == "info"
    only = f"{V1}/risk/events?portfolio_id={path.rpartition('/')[2]}"
    assert (await ada.get(only)).json()["items"] == []
    user = (await ada.get(f"{ALL}/use")).json()
    assert user == {"uses": [], "events": [], "resolved": []}
    async with transaction(web.desk.engine, me) as session:
        assert await store.find_limits(session, (ALL_OF_USER,)) == []


ACCOUNT = """
    INSERT INTO trading_accounts (name, currency_asset_id, initial_balance)
    SELECT 'Paper', id, 0 FROM assets WHERE symbol = 'USD' RETURNING id
"""


async def test_limits_of_a_trading_account_are_set_and_checked(
    web: Web, ada: AsyncClient, problem: Any
) -> None:
    await _rich(ada, "100")
    me = (await ada.get(f"{V1}/profile")).json()["id"]
    async with transaction(web.desk.engine, me) as session:
        account = await session.scalar(text(ACCOUNT))
    (told,) = (await ada.get(f"{V1}/trading-accounts")).json()["items"]
    assert told == {"id": str(account), "name": "Paper", "currency": "USD"}
    limits = f"{V1}/trading-accounts/{account}/risk/limits"
    empty = await ada.get(limits)
    match = {"If-Match": empty.headers["etag"]}
    wanted = {"max_orders_per_hour": 2, "max_leverage": 3, "blocking": ["max_orders_per_hour"]}
    done = await ada.patch(limits, json=wanted, headers=match)
    assert (done.status_code, done.json()["account_id"]) == (200, str(account))
    assert (done.json()["max_orders_per_hour"], done.json()["max_leverage"]) == (2, 3)
    problem(await ada.patch(limits, json=wanted, headers=match), 412, "precondition-failed")
    # What is of portfolios alone cannot be set for an account.
    problem(await ada.patch(limits, json={"max_weight": 0.5}), 422, "invalid")
    used = {each["name"]: each for each in (await ada.get(f"{limits}/use")).json()["uses"]}
    assert (used["max_orders_per_hour"]["used"], used["max_orders_per_hour"]["state"]) == (
        0,
        "kept",
    )
    assert used["max_leverage"]["state"] == "unknown"
    named = {"Idempotency-Key": "account"}
    checks = [await ada.post(f"{limits}/check", headers=named) for _ in range(2)]
    assert checks[0].content == checks[1].content
    (kept,) = (await ada.get(f"{V1}/risk/limits")).json()["items"]
    assert kept["account_id"] == str(account)
