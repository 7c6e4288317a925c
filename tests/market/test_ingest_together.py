"""Several imports at once, and imports that are cut off."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.errors import UnavailableError
from seawall.db import bulk
from seawall.db.database import Location
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID
from seawall.market import coverage
from seawall.market.coverage import list_coverage
from seawall.market.ingest import ingest
from seawall.market.schemas import ImportResult, ParsedFile
from seawall.market.tables import Asset, Candle, CandleRevision, DataCoverage

Make = Callable[..., ParsedFile]
START = datetime(2023, 12, 25, tzinfo=UTC)


def _days(*numbers: int) -> list[datetime]:
    return [START + timedelta(days=number) for number in numbers]


async def _import(engine: AsyncEngine, parsed: ParsedFile) -> ImportResult:
    async with transaction(engine, OWNER_ID) as session:
        return await ingest(session, parsed, "file")


async def test_the_same_series_from_two_sides_ends_whole(
    engine: AsyncEngine, candles: Make
) -> None:
    days = _days(*range(20))
    files = [candles(days[:12]), candles(days[8:]), candles(days[4:16:3]), candles(days)]
    done = await asyncio.gather(*(_import(engine, parsed) for parsed in files))
    assert sum(result.inserted for result in done) == 20
    assert sum(result.updated for result in done) == 0
    assert [result.inserted + result.unchanged for result in done] == [12, 12, 4, 20]
    async with transaction(engine, OWNER_ID) as session:
        (held,) = await list_coverage(session)
        assert (held.rows, held.missing) == (20, 0)
        counted = select(func.count(), func.count(Candle.time.distinct()))
        assert tuple((await session.execute(counted)).one()) == (20, 20)


async def test_changes_from_two_sides_are_all_kept(engine: AsyncEngine, candles: Make) -> None:
    closes = [100.0, 200.0, 300.0, 400.0]
    done = await asyncio.gather(*(_import(engine, candles(_days(0, 1), close)) for close in closes))
    assert sum(result.inserted for result in done) == 2
    assert sum(result.updated for result in done) == 6
    async with transaction(engine, OWNER_ID) as session:
        now = list(await session.scalars(select(Candle.close).where(Candle.time == START)))
        before = select(CandleRevision).where(CandleRevision.time == START)
        kept = list(await session.scalars(before.order_by(CandleRevision.superseded_at)))
        assert sorted([*now, *(row.close for row in kept)]) == closes
        ends = [row.superseded_at for row in kept]
        assert [row.ingested_at for row in kept][1:] == ends[:-1]


async def test_different_assets_do_not_hinder_each_other(
    engine: AsyncEngine, candles: Make
) -> None:
    symbols = [f"{base}/USDT" for base in ("BTC", "ETH", "SOL", "ADA")]
    # Known already, so that nothing but the new chunks is shared.
    for symbol in symbols:
        await _import(engine, candles(["2019-01-01"], symbol=symbol))
    days = _days(*range(10))
    done = await asyncio.gather(
        *(_import(engine, candles(days, symbol=symbol)) for symbol in symbols)
    )
    assert [result.inserted for result in done] == [10] * 4


Cut = Callable[[AsyncSession, "asyncio.Task[object]"], Awaitable[None]]


async def _cancel(session: AsyncSession, task: "asyncio.Task[object]") -> None:
    assert session.is_active
    task.cancel()
    await asyncio.sleep(0)


async def _terminate(session: AsyncSession, task: "asyncio.Task[object]") -> None:
    assert not task.done()
    pid = await session.scalar(text("SELECT pg_backend_pid()"))
    bind = session.bind
    assert isinstance(bind, AsyncEngine)
    async with transaction(bind, OWNER_ID) as other:
        assert await other.scalar(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})


@pytest.mark.parametrize(
    ("cut", "error"), [(_cancel, asyncio.CancelledError), (_terminate, UnavailableError)]
)
async def test_an_import_that_is_cut_off_before_its_end_leaves_nothing(
    engine: AsyncEngine,
    candles: Make,
    monkeypatch: pytest.MonkeyPatch,
    cut: Cut,
    error: type[BaseException],
) -> None:
    await _import(engine, candles(_days(0, 1)))
    record = coverage.record

    async def cut_off(session: AsyncSession, *rest: object) -> object:
        """All rows are written, when the import is cut off."""
        assert await session.scalar(select(func.count()).select_from(Candle)) == 4
        task = asyncio.current_task()
        assert task is not None
        await cut(session, task)
        return await record(session, *rest)  # type: ignore[arg-type] # handed through

    with monkeypatch.context() as patch:
        patch.setattr(coverage, "record", cut_off)
        task = asyncio.create_task(_import(engine, candles(_days(1, 2, 3), 200)))
        with pytest.raises(error):
            await task
    await _assert_as_before(engine)
    assert (await _import(engine, candles(_days(1, 2, 3), 200))).inserted == 2


def _minutes(candles: Make) -> ParsedFile:
    """Make a file so long that it is copied in several blocks."""
    start, minute = np.datetime64("2024-01-01", "us"), np.timedelta64(1, "m")
    minutes = start + np.arange(4 * bulk._BLOCK_ROWS) * minute
    return candles(minutes.tolist(), timeframe="1m")


def _fail() -> None:
    raise ArithmeticError


def _cancel_this() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


@pytest.mark.parametrize(
    ("stop", "error"), [(_fail, ArithmeticError), (_cancel_this, asyncio.CancelledError)]
)
async def test_an_import_that_is_stopped_while_it_copies_leaves_nothing(
    engine: AsyncEngine,
    candles: Make,
    monkeypatch: pytest.MonkeyPatch,
    stop: Callable[[], None],
    error: type[BaseException],
) -> None:
    await _import(engine, candles(_days(0, 1)))
    with monkeypatch.context() as patch:
        patch.setattr(bulk, "_encode", _encode_until_the_third(stop))
        async with asyncio.timeout(30):
            with pytest.raises(error):
                await asyncio.create_task(_import(engine, _minutes(candles)))
    await _assert_as_before(engine)
    assert (await _import(engine, candles(_days(2)))).inserted == 1


def _encode_until_the_third(stop: Callable[[], None]) -> Callable[..., bytes]:
    encode, blocks = bulk._encode, count(1)

    def encode_until(*given: Any) -> bytes:
        if next(blocks) == 3:
            stop()
        return encode(*given)

    return encode_until


async def test_a_program_that_is_killed_while_it_copies_leaves_nothing(
    engine: AsyncEngine, location: Location, candles: Make, tmp_path: Path
) -> None:
    await _import(engine, candles(_days(0, 1)))
    file = tmp_path / "BTCUSDT-1m.csv"
    start = 1_704_067_200_000
    rows = (f"{start + n * 60_000},2,2,2,2,1\n" for n in range(4 * bulk._BLOCK_ROWS))
    file.write_text("timestamp,open,high,low,close,volume\n" + "".join(rows), encoding="utf-8")
    program = (
        "import os, signal, sys\n"
        "from itertools import count\n"
        "from seawall.cli.app import main\n"
        "from seawall.db import bulk\n"
        "encode, blocks = bulk._encode, count(1)\n"
        "def until_the_third(*given):\n"
        "    if next(blocks) == 3:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return encode(*given)\n"
        "bulk._encode = until_the_third\n"
        f"sys.argv = ['seawall', 'market', 'import', {str(file)!r}]\n"
        "main()\n"
    )
    environment = os.environ | {
        "SEAWALL_DATABASE__URL": location.url,
        "SEAWALL_HOME": str(tmp_path),
    }
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, env=environment, stderr=asyncio.subprocess.PIPE
    )
    _, said = await started.communicate()
    assert started.returncode == -signal.SIGKILL, said.decode()
    await _assert_as_before(engine)


async def _assert_as_before(engine: AsyncEngine) -> None:
    async with transaction(engine, OWNER_ID) as session:
        assert list(await session.scalars(select(Candle.close))) == [100, 100]
        assert await session.scalar(select(func.count()).select_from(CandleRevision)) == 0
        assert await session.scalar(select(func.count()).select_from(Asset)) == 2
        (held,) = (await session.scalars(select(DataCoverage))).all()
        assert (held.rows, held.last_time) == (2, _days(1)[0])
