"""Portfolios over HTTP: filled, paged, exact, once, and one's own alone."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from httpx import AsyncClient
from sqlalchemy import text

from seawall.db.database import Location, open_admin
from seawall.db.session import transaction
from seawall.portfolios.portfolios import get_portfolio
from seawall.risk.report import report
from seawall.risk.schemas import RiskQuestion

Web = Any  # what the fixture is
V1 = "/api/v1"
ADA, BOB = "ada@example.com", "bob@example.com"
HEADER = "date,type,asset,quantity,price_usd,fee_usd,notes"
ROWS = (
    "2024-01-01,deposit,USD,1000000,,,",
    "2024-01-02,buy,BTC,1.123456789012345678,40000,10,first",
    "2024-01-03,buy,BTC,1,41000,0,",
    "2024-01-03,buy,ETH,2,2000,0,",
    "2024-01-04,sell,BTC,0.5,42000,0,",
)
TEXT = {"Content-Type": "text/csv"}


def csv(*rows: str) -> bytes:
    return "\n".join((HEADER, *rows, "")).encode()


@pytest.fixture
async def ada(web: Web) -> AsyncIterator[AsyncClient]:
    async with await web.known(ADA) as client:
        yield client


async def _filled(client: AsyncClient, *rows: str) -> str:
    made = await client.post(f"{V1}/portfolios", json={"name": "Main"})
    assert made.status_code == 201, made.text
    path = f"{V1}/portfolios/{made.json()['id']}"
    if rows:
        done = await client.post(f"{path}/transactions", content=csv(*rows), headers=TEXT)
        assert done.status_code == 201, done.text
        told = done.json()
        assert told.pop("imported_at") is not None
        assert told == {
            "rows_read": len(rows),
            "inserted": len(rows),
            "unchanged": 0,
            "left_out": 0,
            "dry_run": False,
        }
    return path


async def test_what_was_imported_is_told_to_the_last_digit(ada: AsyncClient) -> None:
    path = await _filled(ada, *ROWS)
    found = (await ada.get(f"{path}/transactions")).json()["items"]
    assert [each["type"] for each in found] == ["sell", "buy", "buy", "buy", "deposit"]
    assert found[3]["quantity"] == "1.123456789012345678"
    assert found[3]["time"] == "2024-01-02T00:00:00Z"
    held = {each["asset"]: each for each in (await ada.get(f"{path}/holdings")).json()["items"]}
    assert held["BTC"]["quantity"] == "1.623456789012345678"
    assert held["BTC"]["current_price"] is None
    lots = (await ada.get(f"{path}/lots")).json()["items"]
    assert [(each["asset"], each["position"]) for each in lots] == [
        ("BTC", 1),
        ("BTC", 2),
        ("ETH", 1),
    ]
    assert lots[0]["quantity"] == "0.623456789012345678"
    did = (await ada.get(f"{path}/performance")).json()
    assert did["total_value_usd"] is None
    assert did["time_weighted_return"] is None
    assert did["time_weighted_return_reason"]
    assert did["cost_basis_usd"].count(".") <= 1
    past = (await ada.get(f"{path}/performance?as_of=2024-01-01T12:00:00%2B02:00")).json()
    assert (past["as_of"], past["total_value_usd"]) == ("2024-01-01T10:00:00Z", "1000000")


async def test_the_same_file_changes_nothing_and_a_wrong_one_nothing_either(
    ada: AsyncClient, problem: Any
) -> None:
    path = await _filled(ada, *ROWS)
    again = await ada.post(f"{path}/transactions", content=csv(*ROWS), headers=TEXT)
    assert (again.json()["inserted"], again.json()["unchanged"]) == (0, 5)
    wrong = csv("2024-02-01,buy,SOL,1,100,0,", "2024-02-01,sell,SOL,2,100,0,", "x,buy,SOL,1,1,0,")
    found = await ada.post(f"{path}/transactions", content=wrong, headers=TEXT)
    told = problem(found, 422, "invalid")
    assert [each["where"] for each in told["errors"]] == ["line 4"]
    for content in (b"", b"\xff\xfe", b"no,header\n", csv()):
        found = await ada.post(f"{path}/transactions", content=content, headers=TEXT)
        problem(found, 422, "invalid")
    assert (await ada.get(f"{path}/transactions?total=true")).json()["total"] == 5


async def test_a_dry_run_keeps_and_queues_nothing(ada: AsyncClient, location: Location) -> None:
    path = await _filled(ada)
    tried = await ada.post(f"{path}/transactions?dry_run=true", content=csv(*ROWS), headers=TEXT)
    assert tried.json() == {
        "rows_read": 5,
        "inserted": 5,
        "unchanged": 0,
        "left_out": 0,
        "imported_at": None,
        "dry_run": True,
    }
    assert (await ada.get(f"{path}/transactions")).json()["items"] == []
    queued = text("SELECT count(*) FROM queue.procrastinate_jobs")
    async with open_admin(location) as admin, admin.connect() as connection:
        assert await connection.scalar(queued) == 0


async def test_an_import_with_a_key_happens_once_whoever_is_first(ada: AsyncClient) -> None:
    path = await _filled(ada)
    named = TEXT | {"Idempotency-Key": "import-1"}
    done = await asyncio.gather(
        *(ada.post(f"{path}/transactions", content=csv(*ROWS), headers=named) for _ in range(4))
    )
    assert {(each.status_code, each.content) for each in done} == {(201, done[0].content)}
    assert done[0].json()["inserted"] == 5
    made = await asyncio.gather(
        *(
            ada.post(f"{V1}/portfolios", json={"name": "B"}, headers={"Idempotency-Key": "p"})
            for _ in range(4)
        )
    )
    assert len({each.content for each in made}) == 1
    listed = (await ada.get(f"{V1}/portfolios?total=true")).json()
    assert ([each["name"] for each in listed["items"]], listed["total"]) == (["Main", "B"], 2)


async def test_pages_go_through_everything_once(ada: AsyncClient, problem: Any) -> None:
    path = await _filled(ada, *ROWS)
    for name in ("B", "C"):
        await ada.post(f"{V1}/portfolios", json={"name": name})
    for url, count in ((f"{path}/transactions", 5), (f"{V1}/portfolios", 3)):
        seen: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            query = f"?limit=2&cursor={cursor}" if cursor else "?limit=2"
            page = (await ada.get(url + query)).json()
            assert page["total"] is None
            seen += [each["id"] for each in page["items"]]
            cursor = page["next_cursor"]
        assert len(seen) == len(set(seen)) == count
        for wrong in ("x", "W10", "WyJ4Il0", "e30", "WzFd", "Wzk5OTk5OTk5OTk5OTk5OTk5OTksInkiXQ"):
            problem(await ada.get(f"{url}?cursor={wrong}"), 422, "invalid")
        for wrong in ("limit=0", "limit=201", "limit=x"):
            problem(await ada.get(f"{url}?{wrong}"), 422, "invalid")


@pytest.mark.parametrize("sort", ["name", "-name", "created_at", "-created_at"])
async def test_portfolios_are_sorted_as_is_asked(ada: AsyncClient, sort: str, problem: Any) -> None:
    made = ["C", "A", "D", "B"]
    for name in made:
        await ada.post(f"{V1}/portfolios", json={"name": name})
    expected = sorted(made) if sort.endswith("name") else made
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        more = f"&cursor={cursor}" if cursor else ""
        page = (await ada.get(f"{V1}/portfolios?limit=3&sort={sort}{more}")).json()
        seen += [each["name"] for each in page["items"]]
        first, cursor = cursor or page["next_cursor"], page["next_cursor"]
    assert seen == (expected[::-1] if sort.startswith("-") else expected)
    other = "name" if sort != "name" else "created_at"
    problem(await ada.get(f"{V1}/portfolios?sort={other}&cursor={first}"), 422, "invalid")
    problem(await ada.get(f"{V1}/portfolios?sort=color"), 422, "invalid")


async def test_transactions_are_chosen_by_what_is_asked(ada: AsyncClient, problem: Any) -> None:
    path = await _filled(ada, *ROWS)
    for query, count in (
        ("type=buy", 3),
        ("type=buy&asset=BTC", 2),
        ("since=2024-01-03T00:00:00Z", 3),
        ("until=2024-01-03T00:00:00Z", 2),
        ("since=2024-01-03T01:00:00%2B01:00&until=2024-01-04T00:00:00Z", 2),
        ("asset=NONE", 0),
    ):
        found = (await ada.get(f"{path}/transactions?total=true&{query}")).json()
        assert (len(found["items"]), found["total"]) == (count, count), query
    for wrong in ("type=steal", "since=x", "since=0001-01-01T00:00:00%2B14:00", "asset=%00"):
        problem(await ada.get(f"{path}/transactions?{wrong}"), 422, "invalid")


async def test_a_portfolio_that_is_known_is_not_sent_again(ada: AsyncClient) -> None:
    path = await _filled(ada)
    tag = (await ada.get(path)).headers["etag"]
    assert (await ada.get(path, headers={"If-None-Match": tag})).status_code == 304
    rows = csv(*ROWS[:1])
    await ada.post(f"{path}/transactions", content=rows, headers=TEXT)
    assert (await ada.get(path, headers={"If-None-Match": tag})).status_code == 200


async def test_risk_is_told_as_it_was_kept(web: Web, ada: AsyncClient, problem: Any) -> None:
    path = await _filled(ada, *ROWS)
    problem(await ada.get(f"{path}/risk"), 404, "not-found")
    owner = (await ada.get(f"{V1}/profile")).json()["id"]
    async with transaction(web.desk.engine, owner) as session:
        portfolio = await get_portfolio(session, "Main")
        for window in (30, 90, 365):
            kept = await report(session, portfolio, None, RiskQuestion(window))
    told = (await ada.get(f"{path}/risk/history?limit=2")).json()
    rest = (await ada.get(f"{path}/risk/history?cursor={told['next_cursor']}")).json()
    windows = [each["question"]["window"] for each in told["items"] + rest["items"]]
    assert sorted(windows) == [30, 90, 365]
    assert rest["next_cursor"] is None
    for sort in ("as_of", "-as_of", "known_at", "-known_at"):
        history = f"{path}/risk/history?sort={sort}"
        whole = (await ada.get(f"{history}&total=true")).json()
        times = [each[sort.removeprefix("-")] for each in whole["items"]]
        assert times == sorted(times, reverse=sort.startswith("-"))
        first = (await ada.get(f"{history}&limit=1")).json()
        following = (await ada.get(f"{history}&cursor={first['next_cursor']}")).json()
        assert first["items"] + following["items"] == whole["items"]
        assert whole["total"] == 3
        other = f"{path}/risk/history?cursor={first['next_cursor']}&sort="
        other += "as_of" if sort != "as_of" else "known_at"
        problem(await ada.get(other), 422, "invalid")
    none = (await ada.get(f"{path}/risk/history?until=2024-01-01T00:00:00Z&total=true")).json()
    assert (none["items"], none["total"]) == ([], 0)
    found = (await ada.get(f"{V1}/risk/reports/{kept.id}")).json()
    assert found["figures"].keys() == dict(kept.figures).keys()
    assert found["figures"]["volatility"] is None
    assert found["reasons"]["volatility"]
    assert found["known_at"].endswith("Z")
    assert (await ada.get(f"{path}/risk")).json()["portfolio_id"] == str(portfolio.id)
    snapshots = (await ada.get(f"{path}/snapshots")).json()
    assert snapshots["items"] == []
    metrics = (await ada.get(f"{V1}/risk/metrics")).json()["items"]
    assert {"sharpe_ratio", "var_95"} <= {each["slug"] for each in metrics}
    queued = await ada.post(f"{path}/risk/reports")
    assert (queued.status_code, queued.json()["job"]) == (202, "risk.report_portfolio")
