"""Every user's portfolios measured at once: as a report would, once, and by a worker alone."""

from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import numpy as np
import pytest
from asyncpg.exceptions import CheckViolationError
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.errors import ForbiddenError, InvalidError, NotFoundError
from seawall.db.database import Location, open_admin
from seawall.db.engine import OWNER_ROLE, WORKER_ROLE, create_engine
from seawall.db.faults import translated
from seawall.db.locks import clock
from seawall.db.session import transaction, unbound_transaction
from seawall.identity.owner import OWNER_ID, ensure_owner
from seawall.identity.tables import User
from seawall.market.ingest import ingest
from seawall.market.schemas import CANDLE_DTYPE, PRICE_DTYPE, ParsedFile, SeriesKind, Timeframe
from seawall.market.store import find_assets
from seawall.portfolios.importers.csv import HEADER, parse_transactions
from seawall.portfolios.portfolios import create_portfolio, get_portfolio
from seawall.portfolios.schemas import PortfolioRecord
from seawall.portfolios.store import list_transactions
from seawall.portfolios.tables import PortfolioSnapshot
from seawall.portfolios.transactions import import_transactions
from seawall.portfolios.voiding.history import lock_history
from seawall.portfolios.voiding.void import void_transactions
from seawall.risk import continuous, store
from seawall.risk.continuous import Remeasured, remeasure
from seawall.risk.continuously.store import list_portfolios
from seawall.risk.report import recompute, report
from seawall.risk.schemas import FIGURES, RiskQuestion, RiskReport
from seawall.risk.tables import PortfolioRiskMetrics

CopyFilled = Callable[[Location, str, Callable[[Location], Coroutine[None, None, None]]], None]
DAYS = 130
AS_OF = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=DAYS)
QUESTION = RiskQuestion(window=120, confidence=0.9)
BOB = UUID(int=0xB0B)
DAY = Timeframe(86_400)
BUYS = {
    "All": "BTC,0.1,400 ETH,1.5,200 SOL,7,20 USDC,100,1",
    "One": "ETH,3,200",
    "Late": "BTC,0.25,400 SOL,3.3,20",
    "Gap": "ADA,1000,0.5 BTC,0.02,400",
    "Stale": "DOT,12,5 ETH,1,200",
    "Unpriced": "XMR,1,150 BTC,1,400",
    "Money": "USDC,100,1",
}
"""What a portfolio buys: asset, quantity and price."""


def _candles(pair: str, seed: int, keep: slice | list[int] = slice(None)) -> ParsedFile:
    random = np.random.default_rng(seed)
    records = np.zeros(DAYS, CANDLE_DTYPE)
    records["time"] = np.datetime64("2024-01-01", "us") + np.arange(DAYS) * np.timedelta64(1, "D")
    for name in ("open", "high", "low", "close"):
        records[name] = np.round(1_000 * np.exp(np.cumsum(random.normal(0, 0.03, DAYS))), 6)
        random = np.random.default_rng(seed)
    records["quote_volume"], records["trade_count"] = np.nan, -1
    kept = records[keep] if isinstance(keep, slice) else np.delete(records, keep)
    return ParsedFile("test", SeriesKind.CANDLES, kept, len(kept), (), pair, "kraken", DAY)


def _index() -> ParsedFile:
    records = np.zeros(DAYS, PRICE_DTYPE)
    records["time"] = np.datetime64("2024-01-02", "us") + np.arange(DAYS) * np.timedelta64(1, "D")
    records["price_usd"] = 4_000 + np.random.default_rng(9).normal(0, 20, DAYS)
    return ParsedFile("test", SeriesKind.PRICES, records, DAYS, (), "SP500", None, DAY)


async def _buy(session: AsyncSession, name: str, lines: str) -> None:
    parsed = parse_transactions(f"{HEADER}\n{lines}".encode(), AS_OF + timedelta(days=9))
    done = await import_transactions(session, await get_portfolio(session, name), parsed)
    assert not done.rejected


async def _make(session: AsyncSession, user: UUID, name: str) -> None:
    await create_portfolio(session, user, name)
    bought = (each.split(",") for each in BUYS[name].split())
    lines = [f"2024-01-03,buy,{asset},{n},{usd},1," for asset, n, usd in bought]
    if name == "All":
        lines.insert(0, "2024-01-02,deposit,USD,5000,,,")
    await _buy(session, name, "\n".join(lines))


async def _fill(location: Location) -> None:
    engine = create_engine(location.url)
    async with transaction(engine, OWNER_ID) as session:
        await ensure_owner(session)
        for seed, pair in enumerate(("BTC/USD", "ETH/USDT"), 1):
            await ingest(session, _candles(pair, seed), pair)
        await ingest(session, _candles("SOL/USD", 3, slice(60, None)), "sol")
        await ingest(session, _candles("ADA/USD", 4, [60, 100]), "ada")
        await ingest(session, _candles("DOT/USD", 5, slice(0, 120)), "dot")
        await ingest(session, _index(), "sp500")
        for name in list(BUYS)[::2]:
            await _make(session, OWNER_ID, name)
        await create_portfolio(session, OWNER_ID, "Empty")
    async with transaction(engine, BOB) as session:
        session.add(User(id=BOB, username="bob"))
        await session.flush()
        for name in list(BUYS)[1::2]:
            await _make(session, BOB, name)
    await engine.dispose()


@pytest.fixture
def location(empty_location: Location, copy_filled: CopyFilled) -> Location:
    """A database of the test's own with a market of six assets and portfolios of two users."""
    copy_filled(empty_location, "measured_at_once", _fill)
    return empty_location


@pytest.fixture
async def worker(location: Location) -> AsyncIterator[AsyncEngine]:
    """A worker's engine, on that market."""
    made = create_engine(location.admin_url, role=WORKER_ROLE)
    yield made
    await made.dispose()


async def _kept(engine: AsyncEngine, user: UUID) -> dict[str, RiskReport]:
    async with transaction(engine, user) as session:
        ids = await session.scalars(select(PortfolioRiskMetrics.id))
        found = [await store.find_report(session, each) for each in ids]
    return {each.portfolio: each for each in found if each is not None}


async def _both(engine: AsyncEngine) -> dict[str, RiskReport]:
    return await _kept(engine, OWNER_ID) | await _kept(engine, BOB)


async def _count(engine: AsyncEngine, table: type[PortfolioRiskMetrics | PortfolioSnapshot]) -> int:
    found = 0
    for user in (OWNER_ID, BOB):
        async with transaction(engine, user) as session:
            found += await session.scalar(select(func.count()).select_from(table)) or 0
    return found


async def _run(worker: AsyncEngine, **given: object) -> Remeasured:
    return await remeasure(worker, **{"as_of": AS_OF, "question": QUESTION} | given)  # type: ignore[arg-type]


async def test_every_figure_is_that_of_a_report_to_the_last_bit(
    worker: AsyncEngine, engine: AsyncEngine
) -> None:
    done = await _run(worker)
    assert (done.kept, done.replayed, done.refused) == (len(BUYS), 0, {})
    assert {user for _, user in done.portfolios} == {OWNER_ID, BOB}
    for user in (OWNER_ID, BOB):
        brief = await _kept(engine, user)
        async with transaction(engine, user) as session:
            for name, kept in brief.items():
                assert kept.is_brief
                made = await report(session, await get_portfolio(session, name), AS_OF, QUESTION)
                assert made.figures == kept.figures, name
                assert made.total_value_usd == kept.total_value_usd
                assert made.observations == kept.observations
                assert made.missing == kept.missing
                assert {k: v for k, v in made.reasons.items() if k in made.figures} == kept.reasons
                assert made.benchmark_observations == kept.benchmark_observations
    brief = await _both(engine)
    assert brief["All"].observations == 69
    assert all(brief["One"].figures[name] is not None for name in FIGURES)
    assert brief["Unpriced"].reasons["beta"] == "no price of XMR is known"
    assert brief["Unpriced"].total_value_usd is None
    assert any("stale" in note for note in brief["Stale"].notes)


async def test_what_was_kept_is_computed_again_exactly_whatever_came_later(
    worker: AsyncEngine, engine: AsyncEngine
) -> None:
    await _run(worker, as_of=None)
    kept = await _both(engine)
    async with transaction(engine, OWNER_ID) as session:
        await ingest(session, _candles("BTC/USD", 7), "btc")
        await _buy(session, "All", "2024-01-04,buy,ETH,0.5,200,,")
    for user, names in ((OWNER_ID, list(BUYS)[::2]), (BOB, list(BUYS)[1::2])):
        async with transaction(engine, user) as session:
            for name in names:
                made = kept[name]
                assert made.id is not None
                assert (await recompute(session, made.id)).differs == (), name
    forged = replace(kept["All"], id=None, figures={**kept["All"].figures, "beta": 0.5})
    async with transaction(engine, OWNER_ID) as session:
        forged_id = await store.add_report(session, OWNER_ID, forged)
        assert "beta" in (await recompute(session, forged_id)).differs


async def test_measuring_again_adds_nothing_until_something_is_learnt(
    worker: AsyncEngine, engine: AsyncEngine
) -> None:
    await _run(worker)
    again = await _run(worker)
    assert again.kept == 0
    assert await _count(engine, PortfolioRiskMetrics) == len(BUYS)
    async with transaction(engine, OWNER_ID) as session:
        await ingest(session, _candles("DOT/USD", 8, slice(0, 120)), "dot")
    later = await _run(worker)
    # Only what holds DOT has other figures than before.
    assert later.kept == 1
    assert await _count(engine, PortfolioSnapshot) == len(BUYS) - 1


async def test_what_else_was_asked_at_the_instant_is_another_question(
    worker: AsyncEngine, engine: AsyncEngine
) -> None:
    await _run(worker)
    async with transaction(engine, BOB) as session:
        other = replace(QUESTION, risk_free=0.05)
        made = await report(session, await get_portfolio(session, "One"), AS_OF, other)
        assert made.figures["sharpe_ratio"] is not None
    assert (await _run(worker)).kept == 0
    with pytest.raises(InvalidError, match="alone"):
        await _run(worker, question=other)


async def test_only_portfolios_that_hold_an_asset_are_measured(
    worker: AsyncEngine, engine: AsyncEngine
) -> None:
    async with transaction(engine, OWNER_ID) as session:
        sol = (await find_assets(session, ["SOL"]))["SOL"].id
    done = await _run(worker, assets=[sol])
    assert done.kept == 2
    assert set(await _both(engine)) == {"All", "Late"}


async def test_a_portfolio_that_traded_after_the_instant_is_replayed(
    worker: AsyncEngine, engine: AsyncEngine
) -> None:
    async with transaction(engine, OWNER_ID) as session:
        await _buy(session, "All", f"{AS_OF + timedelta(days=1):%Y-%m-%d},buy,ETH,1,300,,")
    done = await _run(worker)
    assert (done.kept, done.replayed, done.refused) == (len(BUYS) - 1, 1, {})
    found = await _both(engine)
    assert not found["All"].is_brief
    assert {each.asset: each.quantity for each in found["All"].holdings}["ETH"] == Decimal("1.5")


async def _void(session: AsyncSession, name: str, *assets: str) -> PortfolioRecord:
    found = await lock_history(session, (await get_portfolio(session, name)).id)
    held = await list_transactions(session, found.id)
    ids = [each.id for each in held if each.id is not None and each.asset in assets]
    await void_transactions(session, found, ids[-1:] if name == "All" else ids)
    return found


async def test_what_was_voided_is_measured_no_more_and_a_kept_report_is_as_it_was(
    worker: AsyncEngine, engine: AsyncEngine
) -> None:
    async with transaction(engine, OWNER_ID) as session:
        await _buy(session, "All", f"{AS_OF + timedelta(days=1):%Y-%m-%d},buy,ETH,1,300,,")
        kept = await report(session, await get_portfolio(session, "Late"), AS_OF, QUESTION)
        known = await clock(session)
    async with transaction(engine, OWNER_ID) as session:
        await _void(session, "All", "ETH")
        late = await _void(session, "Late", "SOL")
    async with transaction(engine, BOB) as session:
        gone = await _void(session, "One", "ETH")
    done = await _run(worker)
    # Nothing happened after the instant that still counts, and in one nothing ever did.
    assert (done.kept, done.replayed, done.refused) == (len(BUYS) - 1, 0, {})
    assert gone.id not in {id_ for id_, _ in done.portfolios}
    async with transaction(engine, OWNER_ID) as session:
        made = await report(session, await get_portfolio(session, "Late"), AS_OF, QUESTION)
        assert [each.asset for each in made.holdings] == ["BTC"]
        assert kept.id is not None
        again = await recompute(session, kept.id)
        assert not again.differs
        assert {each.asset for each in again.again.holdings} == {"BTC", "SOL"}
    # Stored holdings are not what it held as far as was known before the void.
    door = text("""
        SELECT elsewhere FROM portfolio_weights(
            ARRAY[CAST(:id AS uuid)], CAST(:as_of AS timestamptz), CAST(:known AS timestamptz), 0,
            '{}', '{}'
        )
    """)
    async with unbound_transaction(worker) as session:
        for at, elsewhere in ((known, True), (done.known_at, False)):
            asked = {"id": late.id, "as_of": AS_OF, "known": at}
            assert await session.scalar(door, asked) is elsewhere
    async with transaction(engine, BOB) as session:
        empty = await report(session, await get_portfolio(session, "One"), None, QUESTION)
    assert empty.total_value_usd == 0


async def test_a_snapshot_is_that_of_a_report(worker: AsyncEngine, engine: AsyncEngine) -> None:
    await _run(worker)
    rows = []
    for _ in range(2):
        async with transaction(engine, OWNER_ID) as session:
            portfolio = await get_portfolio(session, "All")
            (row,) = await session.execute(
                select(
                    PortfolioSnapshot.total_value_usd,
                    PortfolioSnapshot.total_invested_usd,
                    PortfolioSnapshot.cash_usd,
                    PortfolioSnapshot.holdings_count,
                ).where(PortfolioSnapshot.portfolio_id == portfolio.id)
            )
            rows.append(row)
            await report(session, portfolio, AS_OF, QUESTION)
    assert rows[0] == rows[1]


async def test_what_is_interrupted_keeps_whole_chunks_alone(
    worker: AsyncEngine, engine: AsyncEngine, location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(continuous, "CHUNK", 2)
    async with unbound_transaction(worker) as session:
        found = await list_portfolios(session, None)
    broken = f"""
        ALTER TABLE portfolio_risk_metrics ADD CONSTRAINT ck_broken
        CHECK (portfolio_id <> '{found[4][0]}')
    """
    async with open_admin(location, OWNER_ROLE) as owner:
        async with owner.begin() as connection:
            await connection.execute(text(broken))
        with pytest.raises(CheckViolationError):
            await _run(worker)
        assert await _count(engine, PortfolioRiskMetrics) in {0, 2, 4, len(BUYS) - 2}
        async with owner.begin() as connection:
            await connection.execute(
                text("ALTER TABLE portfolio_risk_metrics DROP CONSTRAINT ck_broken")
            )
    await _run(worker)
    assert await _count(engine, PortfolioRiskMetrics) == len(BUYS)


async def test_the_application_opens_none_of_the_doors(engine: AsyncEngine) -> None:
    for call in (
        "assets_held()",
        "portfolios_to_measure(NULL)",
        "portfolio_weights('{}', now(), now(), 0, '{}', '{}')",
    ):
        with pytest.raises(ForbiddenError, match="permission denied for function"):
            async with unbound_transaction(engine) as session:
                await session.execute(text(f"SELECT {call}"))
    with pytest.raises(ForbiddenError, match="permission denied for function"), translated():
        await remeasure(engine)


async def test_the_future_and_an_unknown_benchmark_are_refused(worker: AsyncEngine) -> None:
    with pytest.raises(InvalidError, match="in the future"):
        await _run(worker, as_of=datetime(2100, 1, 1, tzinfo=UTC))
    with pytest.raises(NotFoundError, match="NOPE"):
        await _run(worker, question=RiskQuestion(benchmark="NOPE"))
