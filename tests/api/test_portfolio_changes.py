"""Portfolios are changed as they were seen, and deleted; requests never wait for each other."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from httpx import AsyncClient, Response

from seawall.db.session import transaction
from seawall.portfolios import store
from seawall.portfolios.importers.csv import parse_rows
from seawall.portfolios.portfolios import get_portfolio
from seawall.portfolios.transactions import import_transactions
from seawall.risk.report import report
from seawall.risk.schemas import RiskQuestion

Web = Any  # what the fixture is
V1 = "/api/v1"
BOUGHT = [
    {"time": "2024-01-02T00:00:00Z", "type": "buy", "asset": "BTC", "quantity": "1",
     "price_usd": "100", "fee_usd": "1", "notes": "first"},
    {"time": "2024-01-03T00:00:00Z", "type": "buy", "asset": "BTC", "quantity": "1",
     "price_usd": "200"},
]  # fmt: skip


@pytest.fixture
async def ada(web: Web) -> AsyncIterator[AsyncClient]:
    async with await web.known("ada@example.com") as client:
        yield client


async def _made(client: AsyncClient, name: str) -> str:
    made = await client.post(f"{V1}/portfolios", json={"name": name})
    assert made.status_code == 201, made.text
    return f"{V1}/portfolios/{made.json()['id']}"


async def _record(client: AsyncClient, path: str, rows: Any, query: str = "") -> Any:
    return await client.post(f"{path}/transactions{query}", json={"transactions": rows})


async def test_what_is_given_is_changed_if_it_is_still_what_was_seen(
    ada: AsyncClient, problem: Any
) -> None:
    path, other = await _made(ada, "Main"), await _made(ada, "Other")
    seen = await ada.get(path)
    match = {"If-Match": seen.headers["etag"]}
    wanted = {"name": "Savings", "description": "for later", "color": "#00ff00"}
    changed = await ada.patch(path, json=wanted | {"is_public": True}, headers=match)
    assert changed.status_code == 200, changed.text
    assert changed.json() == seen.json() | wanted | {"is_public": True}
    problem(await ada.patch(path, json={"name": "Mine"}, headers=match), 412, "precondition-failed")
    match = {"If-Match": changed.headers["etag"]}
    assert (await ada.get(path, headers={"If-None-Match": match["If-Match"]})).status_code == 304

    # What is worth changes by itself, and is nothing that anybody could have overwritten.
    await _record(ada, path, [{**BOUGHT[0], "asset": "USD", "type": "deposit", "price_usd": None}])
    assert (await ada.get(path)).headers["etag"] != changed.headers["etag"]
    again = await ada.patch(path, json={"shows_quantities": True}, headers=match)
    assert again.status_code == 200, again.text
    assert again.json()["total_value_usd"] == "0"  # one USD came in, and paid the fee

    problem(await ada.patch(path, json={"name": "OTHER"}), 409, "conflict")
    assert (await ada.patch(path, json={"name": "SAVINGS"})).json()["name"] == "SAVINGS"
    for wrong in (
        {"name": ""},
        {"name": " \u200b"},
        {"color": "green"},
        {"description": "two\nlines"},
        {"lot_method": "best"},
        {"is_primary": False},
        {"owner": "me"},
    ):
        problem(await ada.patch(path, json=wrong), 422, "invalid")
    assert (await ada.patch(other, json={"is_primary": True})).json()["is_primary"] is True
    assert (await ada.get(path)).json()["is_primary"] is False


async def test_another_lot_method_writes_the_lots_anew(ada: AsyncClient) -> None:
    path = await _made(ada, "Main")
    await _record(ada, path, BOUGHT)
    sold = [{**BOUGHT[0], "type": "sell", "time": "2024-01-04T00:00:00Z", "price_usd": "300"}]
    await _record(ada, path, sold)
    assert [each["cost_basis_usd"] for each in (await ada.get(f"{path}/lots")).json()["items"]] == [
        "200"
    ]
    await ada.patch(path, json={"lot_method": "lifo"})
    assert [each["cost_basis_usd"] for each in (await ada.get(f"{path}/lots")).json()["items"]] == [
        "101"
    ]


async def test_what_is_deleted_is_found_no_more(web: Web, ada: AsyncClient, problem: Any) -> None:
    path, other, third = [await _made(ada, name) for name in ("Main", "Other", "Third")]
    await _record(ada, path, BOUGHT)
    await ada.patch(f"{path}/risk/limits", json={"max_drawdown": 0.2})
    owner = (await ada.get(f"{V1}/profile")).json()["id"]
    async with transaction(web.desk.engine, owner) as session:
        kept = await report(session, await get_portfolio(session, "Main"), None, RiskQuestion())
    stale = {"If-Match": '"0000000000000000.0"'}
    problem(await ada.delete(path, headers=stale), 412, "precondition-failed")
    assert (await ada.delete(path)).status_code == 204
    for gone in (path, f"{path}/holdings", f"{path}/risk", f"{V1}/risk/reports/{kept.id}"):
        problem(await ada.get(gone), 404, "not-found")
    problem(await ada.delete(path), 404, "not-found")
    problem(await ada.patch(path, json={"name": "x"}), 404, "not-found")
    left = (await ada.get(f"{V1}/portfolios")).json()["items"]
    assert [(each["name"], each["is_primary"]) for each in left] == [
        ("Other", True),
        ("Third", False),
    ]
    assert (await ada.get(f"{V1}/risk/limits")).json()["items"] == []
    assert (await ada.get(f"{V1}/risk/latest")).json()["items"] == []
    await _made(ada, "Main")
    id_ = path.rpartition("/")[2]
    told = (await ada.get(f"{V1}/audit/entries?record_id={id_}")).json()["items"]
    assert told[0]["operation"] == "UPDATE"
    assert told[0]["old_data"]["deleted_at"] is None
    assert told[0]["new_data"]["deleted_at"] is not None
    ids = f"ids={id_}&ids={third.rpartition('/')[2]}"
    chosen = (await ada.get(f"{V1}/portfolios?total=true&{ids}")).json()
    assert ([each["name"] for each in chosen["items"]], chosen["total"]) == (["Third"], 1)
    assert other != third


async def test_what_was_made_once_is_not_made_again_under_its_key(
    ada: AsyncClient, problem: Any
) -> None:
    named = {"Idempotency-Key": "portfolio-1"}
    first = await ada.post(f"{V1}/portfolios", json={"name": "Main"}, headers=named)

    async def again(name: str) -> Response:
        return await ada.post(f"{V1}/portfolios", json={"name": name}, headers=named)

    # The name is taken, by what the key has made.
    told = await again("Main")
    assert (told.status_code, told.content) == (201, first.content)
    problem(await again("Other"), 409, "conflict")
    problem(await again(" "), 409, "conflict")
    # The name is free again, so it is made once more, and undone when the key is seen.
    path = f"{V1}/portfolios/{first.json()['id']}"
    tag = (await ada.get(path)).headers["etag"]
    await ada.patch(path, json={"name": "Renamed"}, headers={"If-Match": tag})
    told = await again("Main")
    assert (told.status_code, told.content) == (201, first.content)
    assert told.headers["idempotency-replayed"] == "true"
    listed = (await ada.get(f"{V1}/portfolios")).json()["items"]
    assert [each["name"] for each in listed] == ["Renamed"]
    # What was refused leaves its key free.
    free = {"Idempotency-Key": "portfolio-2"}
    problem(
        await ada.post(f"{V1}/portfolios", json={"name": "renamed"}, headers=free), 409, "conflict"
    )
    made = await ada.post(f"{V1}/portfolios", json={"name": "New"}, headers=free)
    assert made.status_code == 201


async def test_a_list_is_recorded_as_a_file_is(ada: AsyncClient, problem: Any) -> None:
    path = await _made(ada, "Main")
    tried = await _record(ada, path, BOUGHT, "?dry_run=true")
    counts = {"rows_read": 2, "inserted": 2, "unchanged": 0, "left_out": 0}
    assert tried.json() == counts | {"imported_at": None, "dry_run": True}
    assert (await ada.get(f"{path}/transactions")).json()["items"] == []
    named = {"Idempotency-Key": "list-1"}
    done = [
        await ada.post(f"{path}/transactions", json={"transactions": BOUGHT}, headers=named)
        for _ in range(2)
    ]
    assert done[0].content == done[1].content
    assert done[1].headers["idempotency-replayed"] == "true"
    # The same by a file is the same: dates are instants, and 1.0 is 1.
    rows = b"date,type,asset,quantity,price_usd,fee_usd\n2024-01-02,buy,BTC,1.0,100,1.00\n"
    csv = {"Content-Type": "text/csv"}
    again = await ada.post(f"{path}/transactions", content=rows, headers=csv)
    assert (again.json()["inserted"], again.json()["unchanged"]) == (0, 1)
    wrong = [BOUGHT[0], {**BOUGHT[1], "type": "sell", "quantity": "9"}]
    told = problem(await _record(ada, path, wrong), 422, "invalid")
    assert [each["where"] for each in told["errors"]] == ["transactions.1"]
    for rows_ in (
        [],
        [{**BOUGHT[0], "quantity": "0"}],
        [{**BOUGHT[0], "quantity": 1}],
        [{**BOUGHT[0], "quantity": "NaN"}],
        [{**BOUGHT[0], "time": "2999-01-01T00:00:00Z"}],
        [{**BOUGHT[0], "time": 1704153600}],
        [{**BOUGHT[0], "asset": "B\u0000C"}],
        [{**BOUGHT[0], "notes": "a\u0000b"}],
        [{**BOUGHT[0], "id": "mine"}],
        [BOUGHT[0]] * 1_001,
    ):
        problem(await _record(ada, path, rows_), 422, "invalid")
    held = (await ada.get(f"{path}/transactions?total=true")).json()
    assert (held["total"], held["items"][1]["notes"]) == (2, "first")


async def test_an_import_and_a_change_of_the_same_portfolio_wait_and_do_not_lock_up(
    web: Web, ada: AsyncClient
) -> None:
    path = await _made(ada, "Main")
    owner = (await ada.get(f"{V1}/profile")).json()["id"]
    rows = [
        {"date": "2024-01-02", "type": "buy", "asset": "BTC", "quantity": "1", "price_usd": "1"}
    ]
    async with transaction(web.desk.engine, owner) as session:
        found = await get_portfolio(session, "Main")
        await store.lock_portfolio(session, found.id)
        # It waits for the portfolio; had it the chain by then, neither would ever end.
        renaming = asyncio.create_task(ada.patch(path, json={"name": "Savings"}))
        limiting = asyncio.create_task(ada.patch(f"{path}/risk/limits", json={"max_drawdown": 0.1}))
        await asyncio.sleep(0.5)
        assert not renaming.done()
        done = await import_transactions(session, found, parse_rows(rows, web.desk.clock()))
        assert done.inserted == 1
    assert [(await each).status_code for each in (renaming, limiting)] == [200, 200]
    told = (await ada.get(path)).json()
    assert told["name"] == "Savings"
    assert len((await ada.get(f"{path}/transactions")).json()["items"]) == 1
