"""From database rows to stored rows: the risk of 100,000 portfolios of 20 holdings each.

Everything counts that a worker does: the prices, the holdings, the figures, the rows of risk and
the snapshots, on a durable server. Seeding does not count. SEAWALL_BENCH_PORTFOLIOS makes it
smaller; how many there were is in the result's name. The peer is the target, 8 s for 100,000.
"""

import os
import sys
from time import perf_counter

import numpy as np
import uvloop
from sqlalchemy import select

from benchmarks.installation import installation
from benchmarks.result import Result
from seawall.core.time import now
from seawall.db.database import Location
from seawall.db.engine import WORKER_ROLE, create_engine
from seawall.db.session import transaction
from seawall.ops.seeds.perf import seed_perf
from seawall.portfolios.store import get_portfolio
from seawall.quant.metrics.figures import lay_out
from seawall.risk.continuous import Remeasured, remeasure
from seawall.risk.report import report
from seawall.risk.schemas import FIGURES, RiskQuestion
from seawall.risk.tables import PortfolioRiskMetrics

SCALE = "SEAWALL_BENCH_PORTFOLIOS"
PORTFOLIOS, OF_A_USER = 100_000, 5
TARGET = 8.0
DAYS = 400
CHECKED = 5


def risk_batch_rows() -> list[Result]:
    """Seed, measure everybody once, and see that rows are those of reports."""
    count = int(os.environ.get(SCALE, PORTFOLIOS))
    with installation() as location:
        began = perf_counter()
        uvloop.run(seed_perf(location, count // OF_A_USER, now(), _ignore, days=DAYS))
        _say(f"seeded {count:,} portfolios in {perf_counter() - began:.0f} s")
        done = uvloop.run(_measure(location))
    assert done.kept == len(done.portfolios) == count
    assert not done.replayed
    _say(str(done.timings))
    target = TARGET * count / PORTFOLIOS
    took = done.timings.total
    name = "risk-batch-rows" if count == PORTFOLIOS else f"risk-batch-rows {count}"
    return [Result(name, took, "s", "target", target, target / took)]


async def _measure(location: Location) -> Remeasured:
    engine = create_engine(location.admin_url, role=WORKER_ROLE)
    # The kernel is compiled, or read from the disk, by whoever measures first in a process.
    lay_out(np.zeros((5, 1)), (None, None, None), 0.95).measure_one(np.ones(1))
    done = await remeasure(engine)
    for portfolio_id, user_id in done.portfolios[:: max(len(done.portfolios) // CHECKED, 1)]:
        async with transaction(engine, user_id) as session:
            portfolio = await get_portfolio(session, portfolio_id)
            made = await report(session, portfolio, done.as_of, RiskQuestion())
            kept = await session.execute(
                select(
                    PortfolioRiskMetrics.total_value_usd,
                    *(getattr(PortfolioRiskMetrics, name) for name in FIGURES),
                ).where(
                    PortfolioRiskMetrics.portfolio_id == portfolio_id,
                    PortfolioRiskMetrics.correlation_matrix.is_(None),
                )
            )
            total, *figures = kept.one()
            assert total == made.total_value_usd
            np.testing.assert_array_equal(
                np.array(figures, dtype=float),
                np.array([made.figures[name] for name in FIGURES], dtype=float),
            )
    await engine.dispose()
    return done


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _ignore(_step: str, _done: int, _total: int) -> None:
    """Show no progress."""
