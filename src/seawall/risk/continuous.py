"""Measuring every user's portfolios again when prices have moved: rows to rows.

The figures are those of a report, to the last bit: both ask the same kernel, price by the same
choice, and weigh in the same order. What is kept is brief, without holdings and correlations.
"""

import asyncio
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.core.errors import InvalidError, SeawallError
from seawall.db.session import transaction, unbound_transaction
from seawall.market.prices import USD
from seawall.portfolios.store import get_portfolio
from seawall.portfolios.valuation import as_decimal
from seawall.risk.continuously import rows, store
from seawall.risk.continuously.market import KnownMarket, know_market
from seawall.risk.report import report
from seawall.risk.schemas import RiskQuestion

CHUNK = 2_500
"""Portfolios in one transaction, and so locked at a time: well under a second of work."""
TOGETHER = 2
"""Transactions at a time: while the server writes one, the other is measured."""

Found = Sequence[tuple[UUID, UUID]]
"""Portfolios, each with its user."""


@dataclass(slots=True)
class Timings:
    """Seconds spent; what is done together counts each for itself."""

    prices: float = 0.0
    portfolios: float = 0.0
    weights: float = 0.0
    measuring: float = 0.0
    keeping: float = 0.0
    replaying: float = 0.0
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class Remeasured:
    """What was done: of how many portfolios, how many rows are new, and who was passed over.

    `replayed` had transactions after the instant, or after the prices were read, or no stored
    holdings: these are measured one by one from their ledgers. `refused` could not be measured,
    each with the reason.
    """

    as_of: datetime
    known_at: datetime
    portfolios: Found
    kept: int
    replayed: int
    refused: dict[UUID, str]
    timings: Timings


@dataclass(slots=True)
class _Run:
    """What the transactions of one run share."""

    engine: AsyncEngine
    known: KnownMarket
    priced: store.Priced
    timings: Timings
    gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(TOGETHER))


async def remeasure(
    engine: AsyncEngine,
    as_of: datetime | None = None,
    assets: Collection[int] | None = None,
    question: RiskQuestion | None = None,
) -> Remeasured:
    """Measure the portfolios of all users that hold one of the assets, or all, and keep the rows.

    The engine is a worker's. Each chunk is a transaction, so that what is interrupted is whole as
    far as it came; doing it again adds nothing. A portfolio's stored holdings are its ledger's:
    what exchanges and wallets report of themselves is left out, as it is in a report.

    Raises:
        InvalidError: `as_of` is in the future, or before anything can have happened, or the
            question asks what only a report answers.
        NotFoundError: the benchmark is not known here.
    """
    question = question or RiskQuestion()
    if question != RiskQuestion(question.window, question.confidence, question.benchmark):
        raise InvalidError(
            "Many portfolios are asked for a window, a confidence and a benchmark alone.",
            hint="Ask for anything else with a report: seawall risk report NAME.",
        )
    begun = time.perf_counter()
    timings = Timings()
    async with unbound_transaction(engine) as session:
        held = await store.list_held(session)
        known = await know_market(session, held, as_of, question)
        timings.prices = time.perf_counter() - begun
        found = await store.list_portfolios(session, assets)
    timings.portfolios = time.perf_counter() - begun - timings.prices
    run = _Run(engine, known, _priced(known), timings)
    chunk = max(min(CHUNK, -(-len(found) // TOGETHER)), 1)
    done = await _all(run, [found[at : at + chunk] for at in range(0, len(found), chunk)])
    apart = [each for _, left in done for each in left]
    start = time.perf_counter()
    refused = await _replay(run, apart)
    timings.replaying = time.perf_counter() - start
    timings.total = time.perf_counter() - begun
    kept = sum(count for count, _ in done)
    return Remeasured(known.as_of, known.known_at, found, kept, len(apart), refused, timings)


async def _all(run: _Run, chunks: Sequence[Found]) -> list[tuple[int, Found]]:
    """Measure every chunk; when one fails, nothing goes on behind the error's back."""
    tasks = [asyncio.ensure_future(_measure_chunk(run, chunk)) for chunk in chunks]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


async def _measure_chunk(run: _Run, found: Found) -> tuple[int, Found]:
    """Measure portfolios in one transaction; return how many rows are new, and who is left."""
    known, timings = run.known, run.timings
    moment = (known.as_of, known.known_at)
    async with run.gate, unbound_transaction(run.engine) as session:
        start = time.perf_counter()
        portfolios = [portfolio for portfolio, _ in found]
        read = await store.lock_holdings(session, portfolios, moment, run.priced)
        weighed = time.perf_counter()
        brief, apart = await asyncio.to_thread(_measure, found, read, known)
        measured = time.perf_counter()
        kept = await store.keep(session, moment, known.question, brief)
        timings.weights += weighed - start
        timings.measuring += measured - weighed
        timings.keeping += time.perf_counter() - measured
    return kept, [found[at] for at in apart]


def _measure(
    found: Found, read: store.Holdings, known: KnownMarket
) -> tuple[store.BriefRows, list[int]]:
    held = rows.weigh_all(read, known)
    at, weights = rows.measurable(held)
    measured = known.market.measure(weights)
    brief = rows.to_rows(found, read, held, (at, measured), known)
    return brief, held.apart.nonzero()[0].tolist()


def _priced(known: KnownMarket) -> store.Priced:
    pairs = list(zip(known.assets, known.prices, strict=True))
    return store.Priced(
        [asset.id for asset, price in pairs if price is not None],
        [as_decimal(price.usd) for _, price in pairs if price is not None],
        next((asset.id for asset in known.assets if asset.symbol == USD), 0),
    )


async def _replay(run: _Run, found: Found) -> dict[UUID, str]:
    """Report, one by one, on portfolios whose ledgers have to be replayed."""
    refused = {}
    for portfolio_id, user_id in found:
        try:
            async with transaction(run.engine, user_id) as session:
                portfolio = await get_portfolio(session, portfolio_id)
                await report(session, portfolio, run.known.as_of, run.known.question)
        except SeawallError as error:
            refused[portfolio_id] = error.message
    return refused
