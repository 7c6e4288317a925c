"""How long the designs' queries take beside their targets, warm, as the number of users grows.

Each is measured through Seawall (a transaction bound to a user, and the store's own function) and
at the database (the same statement, prepared, on one connection that is bound already). Of whom
and of what is asked is drawn anew for every run.
"""

import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from statistics import median
from time import perf_counter
from uuid import UUID

import numpy as np
import uvloop
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.installation import installation
from benchmarks.result import Result
from benchmarks.scales import scales
from benchmarks.statements import Work, as_application, bind, sent_by
from seawall.core.time import now
from seawall.db.database import Location
from seawall.db.engine import create_engine
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID
from seawall.identity.store.users import find_user_by_email
from seawall.learning.schemas import PredictionTimeframe, PredictionType
from seawall.learning.store import find_prediction
from seawall.market import series
from seawall.market.tables import Asset, Symbol
from seawall.ops.seeds.claim import Seed
from seawall.ops.seeds.ledgers import NAMES, email, portfolio_id, user_id
from seawall.ops.seeds.perf import seed_perf
from seawall.portfolios.store import list_holdings, list_portfolios

WARM_UP, RUNS = 100, 1_000
ASKED = 100
MONTH = timedelta(days=30)
Question = Callable[[random.Random], tuple[UUID, Work]]


@dataclass(frozen=True, slots=True)
class Target:
    """What a query may take, in ms: half of the runs, and all but a twentieth of them, if said."""

    name: str
    p50: float
    p95: float | None = None


TARGETS = (
    Target("user-by-email", 2, 8),
    Target("portfolios-of-user", 5, 15),
    Target("holdings-of-portfolio", 10, 30),
    Target("latest-prices", 20, 50),
    Target("prices-of-month", 50, 100),
    Target("prediction", 50, 50),
    Target("latest-quote", 1),
)


def query_targets() -> Iterator[Result]:
    """Seed as many users as each scale has, and measure every query."""
    with installation() as location:
        for users in scales():
            began = perf_counter()
            seed, added = uvloop.run(seed_perf(location, users, now(), _ignore))
            took = perf_counter() - began
            print(f"seeded {added:,} users in {took:.0f} s", file=sys.stderr, flush=True)
            yield from uvloop.run(_measure(location, seed))


def _ignore(_step: str, _done: int, _total: int) -> None:
    """Show no progress."""


async def _measure(location: Location, seed: Seed) -> list[Result]:
    engine = create_engine(location.url)
    draw = random.Random(1)  # noqa: S311 - nothing secret is drawn
    results: list[Result] = []
    try:
        questions = await _questions(engine, seed)
        for target in TARGETS:
            ask = questions[target.name]
            times = await _through_seawall(engine, ask, draw)
            at_database = await _at_database(location, engine, ask, draw)
            results += _results(target, seed.users, times, at_database)
    finally:
        await engine.dispose()
    return results


def _results(
    target: Target, users: int, times: Sequence[float], at_database: Sequence[float]
) -> Iterator[Result]:
    measured = [("p50", median(times), target.p50), ("db-p50", median(at_database), target.p50)]
    if target.p95 is not None:
        measured.append(("p95", float(np.percentile(times, 95)), target.p95))
    for what, value, wanted in measured:
        name = f"query-{target.name}-{what}@{users}"
        yield Result(name, value, "ms", "the target", wanted, wanted / value)


async def _questions(engine: AsyncEngine, seed: Seed) -> dict[str, Question]:
    """Return what is asked by the name of its target; each run asks about another subject."""
    async with transaction(engine, OWNER_ID) as session:
        assets = (await session.scalars(select(Asset.id).where(Asset.is_simulated))).all()
        symbols = (await session.scalars(select(Symbol.id))).all()

    def user(draw: random.Random) -> int:
        return draw.randrange(seed.users)

    def portfolio(draw: random.Random) -> tuple[UUID, Work]:
        owner, place = user(draw), draw.randrange(len(NAMES))
        wanted = portfolio_id(owner, place)
        return user_id(owner), lambda session: list_holdings(session, wanted)

    def prediction(draw: random.Random) -> tuple[UUID, Work]:
        wanted = (
            draw.choice(assets),
            draw.choice(list(PredictionType)),
            draw.choice(list(PredictionTimeframe)),
        )
        return OWNER_ID, lambda session: find_prediction(session, *wanted)

    def anybody(work: Callable[[random.Random], Work]) -> Question:
        return lambda draw: (OWNER_ID, work(draw))

    return {
        "user-by-email": anybody(lambda draw: partial(find_user_by_email, email=email(user(draw)))),
        "portfolios-of-user": lambda draw: (user_id(user(draw)), list_portfolios),
        "holdings-of-portfolio": portfolio,
        "latest-prices": anybody(
            lambda draw: partial(series.latest_prices, asset_ids=draw.sample(assets, 10))
        ),
        "prices-of-month": anybody(
            lambda draw: partial(
                series.price_history_between,
                asset_id=draw.choice(assets),
                start=seed.until - MONTH,
                end=seed.until,
            )
        ),
        "prediction": prediction,
        "latest-quote": anybody(
            lambda draw: partial(series.latest_quote, symbol_id=draw.choice(symbols))
        ),
    }


async def _through_seawall(engine: AsyncEngine, ask: Question, draw: random.Random) -> list[float]:
    """Return the ms of each run, from before its transaction begins until it has ended."""
    times = []
    for _ in range(WARM_UP + RUNS):
        user, work = ask(draw)
        began = perf_counter()
        async with transaction(engine, user) as session:
            found = await work(session)
        times.append((perf_counter() - began) * 1e3)
        assert found is not None
    return times[WARM_UP:]


async def _at_database(
    location: Location, engine: AsyncEngine, ask: Question, draw: random.Random
) -> list[float]:
    """Return the ms of each run of the prepared statement."""
    asked = [await sent_by(engine, *ask(draw)) for _ in range(ASKED)]
    connection = await as_application(location.url, OWNER_ID)
    try:
        prepared = {each.query: await connection.prepare(each.query) for each in asked}
        times = []
        for each in asked * (RUNS // ASKED + 1):
            await bind(connection, each.user)
            began = perf_counter()
            rows = await prepared[each.query].fetch(*each.arguments)
            times.append((perf_counter() - began) * 1e3)
            assert rows
    finally:
        await connection.close()
    # Every statement has run once by then.
    return times[ASKED:]
