"""What the API tells of risk is what the domain's own functions say, to the last digit."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from httpx import AsyncClient

from seawall.core.money import plain
from seawall.db.session import transaction
from seawall.market.ingest import ingest
from seawall.market.pairs import SP500
from seawall.market.schemas import CANDLE_DTYPE, ParsedFile, SeriesKind, Timeframe
from seawall.portfolios.browse.store import find_portfolio
from seawall.portfolios.schemas import PortfolioRecord
from seawall.portfolios.valuation import begin
from seawall.risk.attribution import Grouping, attribute_portfolio
from seawall.risk.benchmarks import BTC
from seawall.risk.optimise import optimise
from seawall.risk.report import report
from seawall.risk.scenarios.run import run_scenarios
from seawall.risk.scenarios.schemas import Basis, Depeg, Historical, Scenario, Shocks
from seawall.risk.schemas import ASKED, RiskQuestion
from seawall.risk.scores.score import score_assets
from seawall.risk.targets import Method, OptimiseQuestion
from seawall.risk.trades import parse_trade, parse_weights
from seawall.risk.whatif import Plan, what_if

Web = Any  # what the fixture is
V1 = "/api/v1"
DAYS = 130
AS_OF = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=DAYS)
WHEN = "2024-05-10T00:00:00Z"
QUESTION = RiskQuestion(window=120)
ROWS = [
    ("2024-01-02", "deposit", "USD", "10000", None),
    ("2024-01-03", "buy", "BTC", "2", "1000"),
    ("2024-01-03", "buy", "ETH", "2", "900"),
]


def _candles(pair: str, seed: int) -> ParsedFile:
    records = np.zeros(DAYS, CANDLE_DTYPE)
    random = np.random.default_rng(seed)
    records["time"] = np.datetime64("2024-01-01", "us") + np.arange(DAYS) * np.timedelta64(1, "D")
    closes = 1_000 * np.exp(np.cumsum(random.normal(0, 0.03, DAYS)))
    for name in ("open", "high", "low", "close"):
        records[name] = closes
    records["quote_volume"], records["trade_count"] = np.nan, -1
    return ParsedFile(
        "test", SeriesKind.CANDLES, records, DAYS, (), pair, "kraken", Timeframe(86_400)
    )


@dataclass
class Held:
    """A user with a portfolio whose prices are known, over HTTP and in the database."""

    web: Web
    client: AsyncClient
    user: UUID
    path: str

    async def ask(self, method: str, path: str, status: int = 200, **given: Any) -> Any:
        found = await self.client.request(method, f"{self.path}{path}", **given)
        assert found.status_code == status, found.text
        return found.json()

    async def portfolio(self, session: Any) -> PortfolioRecord:
        found = await find_portfolio(session, UUID(self.path.rpartition("/")[2]))
        assert found is not None
        return found


@pytest.fixture
async def held(web: Web) -> AsyncIterator[Held]:
    client = await web.known("ada@example.com")
    user = UUID((await client.get(f"{V1}/profile")).json()["id"])
    async with transaction(web.desk.engine, user) as session:
        await ingest(session, _candles("BTC/USD", 1), "btc")
        await ingest(session, _candles("ETH/USD", 2), "eth")
    made = await client.post(f"{V1}/portfolios", json={"name": "Main"})
    path = f"{V1}/portfolios/{made.json()['id']}"
    names = ("time", "type", "asset", "quantity", "price_usd")
    rows = [dict(zip(names, (f"{row[0]}T00:00:00Z", *row[1:]), strict=True)) for row in ROWS]
    done = await client.post(f"{path}/transactions", json={"transactions": rows})
    assert done.status_code == 201, done.text
    yield Held(web, client, user, path)
    await client.aclose()


async def test_whose_risk_it_is(held: Held, problem: Any) -> None:
    query = f"?as_of={WHEN}&window=120&by=class"
    told = await held.ask("GET", f"/risk/attribution{query}")
    async with transaction(held.web.desk.engine, held.user) as session:
        portfolio = await held.portfolio(session)
        moment = await begin(session, portfolio, AS_OF, {BTC, SP500})
        known = await attribute_portfolio(session, portfolio, moment, QUESTION, Grouping.CLASS)
    assert [each["measure"] for each in told["measures"]] == [m.measure for m in known.measures]
    for one, other in zip(told["measures"], known.measures, strict=True):
        assert one["total"] == other.total
        assert [(p["name"], p["weight"], p["component"], p["share"]) for p in one["parts"]] == [
            (p.name, p.weight, p.component, p.share) for p in other.parts
        ]
        assert one["total"] is not None
    for wrong in ("by=colour", "window=0", "confidence=1", "as_of=2999-01-01T00:00:00Z"):
        bad = await held.client.get(f"{held.path}/risk/attribution?{wrong}")
        problem(bad, 422, "invalid")


async def test_what_trades_would_change(held: Held, problem: Any) -> None:
    asked = {"as_of": WHEN, "window": 120, "fee": "0.001"}
    trade = {"side": "buy", "asset": "btc", "quantity": "0.5"}
    by_trade = await held.ask("POST", "/risk/what-if", json=asked | {"trades": [trade]})
    weights = {"BTC": "0.5", "ETH": "0.25", "USD": "0.25"}
    by_weight = await held.ask("POST", "/risk/what-if", json=asked | {"weights": weights})
    fee = Plan().fee + parse_weights("A=0.1%,B=99.9%")["A"]
    plans = (
        Plan((parse_trade("buy 0.5 BTC"),), fee=fee),
        Plan(weights=parse_weights("BTC=50%,ETH=25%,USD=25%"), fee=fee),
    )
    for told, plan in zip((by_trade, by_weight), plans, strict=True):
        async with transaction(held.web.desk.engine, held.user) as session:
            portfolio = await held.portfolio(session)
            known = await what_if(session, portfolio, AS_OF, QUESTION, plan)
        assert [each["quantity"] for each in told["trades"]] == [
            plain(each.quantity) for each in known.trades
        ]
        assert {name: each["change"] for name, each in told["figures"].items()} == known.changes
        assert {name: each["after"] for name, each in told["figures"].items()} == dict(
            known.after.report.figures
        )
        assert known.value_change is not None
        assert told["value_change_usd"] == plain(known.value_change)
        assert told["paid_from"] == "cash"
    assert (await held.ask("GET", "/transactions?total=true"))["total"] == len(ROWS)
    for wrong, status in (
        ({}, 422),
        ({"trades": [trade], "weights": weights}, 422),
        ({"weights": {"BTC": "0.5"}}, 422),
        ({"weights": {"BTC": "0.5", "btc": "0.5"}}, 422),
        ({"trades": [trade | {"quantity": "0"}]}, 422),
        ({"trades": [trade | {"asset": "USD"}]}, 422),
        ({"trades": [trade | {"side": "short"}]}, 422),
        ({"trades": [trade | {"quantity": "1e400"}]}, 422),
        ({"trades": [trade | {"side": "sell", "quantity": "99"}]}, 422),
        ({"trades": [trade | {"asset": "NOPE"}]}, 404),
        ({"trades": [trade], "benchmark": "N-O"}, 422),
    ):
        found = await held.client.post(f"{held.path}/risk/what-if", json=asked | wrong)
        told = problem(found, status, "invalid" if status == 422 else "not-found")
        assert "--" not in told.get("hint", ""), told


async def test_scenarios_are_run_and_kept_once(held: Held, problem: Any) -> None:
    chosen = [
        {"kind": "shocks", "name": "mine", "shocks": {"btc": -0.4, "all": -0.1}},
        {"kind": "depeg", "price": 0.5},
        {"kind": "historical", "event": "ftx-2022-11"},
    ]
    body = {"scenarios": chosen, "as_of": WHEN, "window": 120}
    named = {"Idempotency-Key": "run-1"}
    told = await held.ask("POST", "/risk/stress-tests", 201, json=body, headers=named)
    again = await held.ask("POST", "/risk/stress-tests", 201, json=body, headers=named)
    assert again == told
    asked: list[Scenario] = [
        Shocks("mine", (("BTC", -0.4), ("all", -0.1))),
        Depeg(price=0.5),
        Historical("ftx-2022-11"),
    ]
    async with transaction(held.web.desk.engine, held.user) as session:
        portfolio = await held.portfolio(session)
        known = await run_scenarios(session, portfolio, AS_OF, asked, Basis(120))
    for one, other in zip(told["items"], known, strict=True):
        # Equal to one that is kept, so it is that one.
        assert one["id"] == str(other.id)
        assert other.loss_usd is not None
        assert (one["loss_usd"], one["loss"]) == (plain(other.loss_usd), other.loss)
        assert one["question"] == dict(other.question)
        assert [each["shock"] for each in one["assets"]] == [each.shock for each in other.assets]
    page = await held.ask("GET", "/risk/stress-tests?limit=2")
    rest = await held.ask("GET", f"/risk/stress-tests?cursor={page['next_cursor']}")
    kept = {each["id"]: each for each in page["items"] + rest["items"]}
    assert set(kept) == {each["id"] for each in told["items"]}
    first = told["items"][0]["id"]
    assert (await held.client.get(f"{V1}/risk/stress-tests/{first}")).json() == kept[first]
    done = (await held.client.get(f"{V1}/risk/stress-tests/{first}/recomputation")).json()
    assert (done["identical"], done["differs"]) == (True, [])
    listed = (await held.client.get(f"{V1}/risk/scenarios")).json()
    assert "ftx-2022-11" in {each["slug"] for each in listed["events"]}
    assert {"correlations", "liquidity", "reverse"} <= set(listed["models"])
    everything = await held.ask("POST", "/risk/stress-tests", 201, json={"as_of": WHEN})
    assert len(everything["items"]) == len(listed["events"]) + len(listed["models"])
    for wrong, status in (
        ({"kind": "shocks", "shocks": {}}, 422),
        ({"kind": "shocks", "shocks": {"BTC": -2}}, 422),
        ({"kind": "flood"}, 422),
        ({"kind": "historical", "event": "nope"}, 404),
        ({"kind": "default", "place": "nope", "recovery": 2}, 422),
        ({"kind": "correlations", "target": 2}, 422),
    ):
        found = await held.client.post(
            f"{held.path}/risk/stress-tests", json={"scenarios": [wrong]}
        )
        told = problem(found, status, "invalid" if status == 422 else "not-found")
        assert "--" not in told.get("hint", "")


async def test_weights_are_proposed(held: Held, problem: Any) -> None:
    body = {"method": "risk-parity", "as_of": WHEN, "window": 100, "fee": "0"}
    told = await held.ask("POST", "/risk/optimisation", json=body | {"slippage": "0"})
    async with transaction(held.web.desk.engine, held.user) as session:
        portfolio = await held.portfolio(session)
        question = OptimiseQuestion(Method.RISK_PARITY)
        question = OptimiseQuestion(
            Method.RISK_PARITY, type(question.covariance)(window=100), costs=question.costs
        )
        known = await optimise(session, portfolio, AS_OF, question)
    assert [(each["asset"], each["target"]) for each in told["weights"]] == [
        (each.asset, each.target) for each in known.weights
    ]
    assert told["target"]["volatility"] == known.target.volatility
    assert [each["quantity"] for each in told["plan"]["trades"]] == [
        plain(each.quantity) for each in known.plan.trades
    ]
    for wrong in (
        {"method": "magic"},
        {"max_weight": 0.1},
        {"fee": "1"},
        {"caps": [{"names": ["NOPE"], "most": 0.5}]},
        {"keep": ["NOPE"]},
        {"window": 1},
    ):
        found = await held.client.post(
            f"{held.path}/risk/optimisation", json={"as_of": WHEN, "window": 100} | wrong
        )
        assert "--" not in problem(found, 422, "invalid").get("hint", "")


async def test_reports_are_measured_as_asked_and_computed_again(held: Held, problem: Any) -> None:
    body = {"as_of": WHEN, "window": 90, "horizon": 5}
    covariance = {"estimator": "ledoit-wolf"}
    told = await held.ask("POST", "/risk/reports/now", 201, json=body | {"covariance": covariance})
    plain_one = await held.ask("POST", "/risk/reports/now", 201, json={"as_of": WHEN})
    async with transaction(held.web.desk.engine, held.user) as session:
        known = await report(session, await held.portfolio(session), AS_OF, RiskQuestion())
    assert plain_one["id"] == str(known.id)
    assert plain_one["figures"] == dict(known.figures)
    assert (plain_one["all_figures"], plain_one["covariance"]) == ({}, None)
    assert set(told["all_figures"]) == set(ASKED)
    assert told["covariance"]["volatility"] > 0
    url = f"{V1}/risk/reports/{told['id']}"
    assert (await held.client.get(url)).json() == told
    again = (await held.client.get(f"{url}/recomputation")).json()
    assert (again["identical"], again["again"]["figures"]) == (True, told["figures"])
    sheet = await held.client.get(f"{V1}/risk/reports/{plain_one['id']}/tear-sheet")
    assert sheet.headers["content-type"] == "text/html; charset=utf-8"
    assert sheet.headers["content-disposition"].startswith("attachment")
    assert "<svg" in sheet.text
    made = await held.client.post(f"{V1}/portfolios", json={"name": "Empty"})
    empty = f"{V1}/portfolios/{made.json()['id']}"
    await held.client.post(f"{empty}/risk/reports/now", json={})
    page = (await held.client.get(f"{V1}/risk/latest?limit=1")).json()
    rest = (await held.client.get(f"{V1}/risk/latest?cursor={page['next_cursor']}")).json()
    both = {each["portfolio_id"] for each in page["items"] + rest["items"]}
    assert both == {empty.rpartition("/")[2], held.path.rpartition("/")[2]}
    for wrong in ({"window": 0}, {"method": "x"}, {"benchmark": "N-O"}, {"confidence": 0}):
        bad = await held.client.post(f"{held.path}/risk/reports/now", json=wrong)
        problem(bad, 422, "invalid")
    unknown = await held.client.post(f"{held.path}/risk/reports/now", json={"benchmark": "NOPE"})
    assert "--" not in problem(unknown, 404, "not-found")["hint"]


async def test_scores_are_the_newest_that_are_kept(held: Held) -> None:
    async with transaction(held.web.desk.engine, held.user) as session:
        known = {each.asset: each for each in await score_assets(session, AS_OF)}
    told = (await held.client.get(f"{V1}/risk/scores")).json()["items"]
    assert {each["asset"]: each["score"] for each in told} == {
        name: each.score for name, each in known.items()
    }
    one = (await held.client.get(f"{V1}/risk/scores?assets=btc&assets=NOPE")).json()["items"]
    assert [each["asset"] for each in one] == ["BTC"]
    parts = {each["component"]: each["contribution"] for each in one[0]["components"]}
    assert sum(parts.values()) == pytest.approx(one[0]["score"], rel=1e-12)
    early = (await held.client.get(f"{V1}/risk/scores?as_of=2024-01-01T00:00:00Z")).json()
    assert early["items"] == []
    assert (await held.client.get(f"{V1}/risk/assets?window=90")).json()["items"] == []
    assert (await held.client.get(f"{V1}/risk/assets?window=7")).status_code == 422
