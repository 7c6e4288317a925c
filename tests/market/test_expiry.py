"""Coverage tells the truth of rows that expire and come back, among imports in any order."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.db.database import Location, open_admin
from seawall.db.engine import OWNER_ROLE
from seawall.market import expiry
from seawall.market.coverage import Coverage, list_coverage
from seawall.market.gaps import ABSENT, EXPIRED, NOT_IMPORTED
from seawall.market.ingest import ingest
from seawall.market.schemas import ParsedFile, SeriesKind
from seawall.market.series import timeframes_of
from seawall.market.tables import DataCoverage, DataGap

Make = Callable[..., ParsedFile]
START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
DAYS = 20
NAMES = count()
TAKE_OUT = text("DELETE FROM candles WHERE symbol_id = :symbol AND time < :before")
PUT_BACK = text(
    "INSERT INTO candles VALUES (:symbol, 86400, :time, 2, 3, 1, 2, NULL, NULL, NULL, now())"
)


class Series:
    """A series of daily candles, in the database and as a model of it by day."""

    def __init__(self, session: AsyncSession, make: Make) -> None:
        self.session, self.make = session, make
        self.name = f"C{next(NAMES)}/USD"
        self.held: set[int] = set()
        self.why: dict[int, str] = {}
        self.symbol = 0

    async def bring_in(self, days: set[int]) -> None:
        """Import a file."""
        times = [START + day * DAY for day in sorted(days)]
        await ingest(self.session, self.make(times, symbol=self.name), "file")
        query = text("SELECT id FROM symbols WHERE symbol = :name")
        self.symbol = await self.session.scalar(query, {"name": self.name}) or 0
        self.held |= days
        known = self.held | set(self.why)
        for day in range(min(known), max(known)):
            if min(days) <= day <= max(days):
                self.why[day] = ABSENT
            self.why.setdefault(day, NOT_IMPORTED)
        self.why = {day: why for day, why in self.why.items() if day not in self.held}

    async def take_out(self, before: int) -> None:
        """Let what is older expire."""
        moment = START + before * DAY
        condition = f"symbol_id = {self.symbol}"
        gone = await expiry.find_leaving(self.session, "candles", condition, moment)
        await self.session.execute(TAKE_OUT, {"symbol": self.symbol, "before": moment})
        await expiry.mark_expired(self.session, "candles", gone)
        self.why |= {day: EXPIRED for day in self.held if day < before}
        self.held = {day for day in self.held if day >= before}

    async def put_back(self, days: set[int]) -> None:
        """Restore what has expired of some days."""
        back = sorted(day for day in days if self.why.get(day) == EXPIRED)
        if not back:
            return
        times = [START + day * DAY for day in back]
        for time in times:
            await self.session.execute(PUT_BACK, {"symbol": self.symbol, "time": time})
        subject = {"symbol_id": self.symbol, "timeframe": 86400}
        await expiry.mark_restored(self.session, "candles", subject, times)
        self.held |= set(back)
        for day in back:
            del self.why[day]

    async def check(self) -> None:
        """Compare the two."""
        coverage = (
            await self.session.scalars(
                select(DataCoverage)
                .where(DataCoverage.symbol_id == self.symbol)
                .execution_options(populate_existing=True)
            )
        ).one()
        gaps = await self.session.execute(
            select(DataGap.start_time, DataGap.end_time, DataGap.missing, DataGap.reason).where(
                DataGap.coverage_id == coverage.id
            )
        )
        found: dict[int, str] = {}
        for start, end, missing, reason in gaps:
            days = range((start - START) // DAY, (end - START) // DAY)
            assert len(days) == missing
            assert found.keys().isdisjoint(days)
            found |= dict.fromkeys(days, reason)
        assert found == self.why
        assert coverage.rows == len(self.held)
        if self.held:
            first = min(self.held)
            assert (coverage.first_time - START) // DAY == first
            assert (coverage.last_time - START) // DAY == max(self.held)
            later = [why for day, why in self.why.items() if day > first]
            assert coverage.missing == sum(why != EXPIRED for why in later)
        else:
            assert coverage.missing == 0


DAYS_OF = st.sets(st.integers(0, DAYS - 1), min_size=1, max_size=8)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("bring_in"), DAYS_OF),
        st.tuples(st.just("take_out"), st.integers(0, DAYS)),
        st.tuples(st.just("put_back"), st.sets(st.integers(0, DAYS - 1), min_size=3)),
    ),
    max_size=7,
)


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(DAYS_OF, STEPS)
@example({2}, [("take_out", 3), ("bring_in", {0}), ("take_out", 1)])
async def test_every_day_is_held_or_it_is_told_why_not(
    location: Location,
    candles: Make,
    days: set[int],
    steps: list[tuple[str, set[int] | int]],
) -> None:
    async with open_admin(location, OWNER_ROLE) as owner, AsyncSession(owner) as session:
        series = Series(session, candles)
        for name, given_to_it in [("bring_in", days), *steps]:
            await getattr(series, name)(given_to_it)
            await series.check()


async def _only(session: AsyncSession) -> Coverage:
    (found,) = await list_coverage(session)
    return found


async def test_coverage_begins_where_the_rows_begin(location: Location, candles: Make) -> None:
    async with open_admin(location, OWNER_ROLE) as owner, AsyncSession(owner) as session:
        series = Series(session, candles)
        await series.bring_in({0, 1, 3, 4, 6, 9})
        before = await _only(session)
        assert (before.missing, before.gap_count) == (4, 3)
        await series.take_out(4)
        await series.take_out(6)
        after = await _only(session)
        assert (after.rows, after.first_time, after.missing) == (2, START + 6 * DAY, 2)
        assert [(gap.missing, why) for gap, why in after.gaps] == [
            (2, EXPIRED),
            (2, EXPIRED),
            (2, ABSENT),
        ]
        await series.take_out(10)
        assert (await _only(session)).rows == 0
        assert await timeframes_of(session, [series.symbol]) == {}
        await series.put_back(set(range(DAYS)))
        assert await _only(session) == before


async def test_quotes_begin_where_they_begin(location: Location, candles: Make) -> None:
    async with open_admin(location, OWNER_ROLE) as owner, AsyncSession(owner) as session:
        series = Series(session, candles)
        await series.bring_in({0})
        await session.execute(
            text(
                "INSERT INTO data_coverage (kind, symbol_id, rows, first_time, last_time, missing,"
                " updated_at) VALUES (:kind, :symbol, 3, :first, :last, 0, now())"
            ),
            {"kind": SeriesKind.QUOTES, "symbol": series.symbol}
            | {"first": START, "last": START + 2 * DAY},
        )
        await session.execute(text("SELECT ensure_chunks('quotes', :t, :t)"), {"t": START})
        for day in range(3):
            await session.execute(
                text("INSERT INTO quotes (symbol_id, time, ingested_at) VALUES (:s, :t, now())"),
                {"s": series.symbol, "t": START + day * DAY},
            )
        gone = await expiry.find_leaving(session, "quotes", "true", START + DAY)
        assert [(each.rows, each.next_time) for each in gone] == [(1, START + DAY)]
        await expiry.mark_expired(session, "quotes", gone)
        found = await session.execute(
            text("SELECT rows, first_time, missing FROM data_coverage WHERE kind = 'quotes'")
        )
        assert tuple(found.one()) == (2, START + DAY, 0)
        assert await session.scalar(text("SELECT count(*) FROM data_gaps")) == 0
