"""A job is there when what caused it is, once, and no worker sees it before."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID
from seawall.jobs.defer import defer

WAITING = text(
    "SELECT task_name, lock, queueing_lock, priority, args FROM queue.procrastinate_jobs"
    " WHERE status = 'todo' ORDER BY id"
)
TAKE = text(
    "UPDATE queue.procrastinate_jobs SET status = 'doing' WHERE id = ("
    " SELECT id FROM queue.procrastinate_jobs WHERE status = 'todo' FOR UPDATE SKIP LOCKED LIMIT 1"
    ") RETURNING id"
)
ADD = text("INSERT INTO exchanges (code) VALUES (:code)")
END = text("DELETE FROM queue.procrastinate_jobs WHERE id = ANY(:ids)")
FETCH = text("SELECT id FROM queue.procrastinate_fetch_job_v2(NULL, :worker)")


async def _waiting(worker: AsyncEngine) -> list[tuple[object, ...]]:
    async with worker.connect() as connection:
        return [tuple(row) for row in await connection.execute(WAITING)]


async def _fetch(worker: AsyncEngine) -> int | None:
    async with worker.begin() as connection:
        number = await connection.scalar(
            text("SELECT worker_id FROM queue.procrastinate_register_worker_v1()")
        )
        found: int | None = await connection.scalar(FETCH, {"worker": number})
        return found


async def test_a_job_is_queued_with_the_transaction(
    engine: AsyncEngine, worker: AsyncEngine
) -> None:
    async with transaction(engine, OWNER_ID) as session:
        await defer(session, "risk.remeasure", key="BTC", urgency=3, assets=["BTC"], user=OWNER_ID)
        assert await _waiting(worker) == []
    told = {"assets": ["BTC"], "user": str(OWNER_ID)}
    assert await _waiting(worker) == [
        ("risk.remeasure", "risk.remeasure", "risk.remeasure:BTC", 3, told)
    ]


async def test_what_is_rolled_back_leaves_no_job(engine: AsyncEngine, worker: AsyncEngine) -> None:
    async def fail() -> None:
        async with transaction(engine, OWNER_ID) as session:
            await defer(session, "risk.remeasure", key="BTC")
            raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        await fail()
    assert await _waiting(worker) == []


async def test_ten_of_one_key_are_one_job(engine: AsyncEngine, worker: AsyncEngine) -> None:
    async def once() -> None:
        async with transaction(engine, OWNER_ID) as session:
            await defer(session, "risk.remeasure", key="BTC")

    await asyncio.gather(*(once() for _ in range(10)))
    async with transaction(engine, OWNER_ID) as session:
        await defer(session, "risk.remeasure", key="ETH")
        await defer(session, "risk.assets", key="BTC")
    assert [row[2] for row in await _waiting(worker)] == [
        "risk.remeasure:BTC",
        "risk.remeasure:ETH",
        "risk.assets:BTC",
    ]


async def test_a_job_that_waits_is_not_taken_before_the_transaction_ends(
    engine: AsyncEngine, worker: AsyncEngine
) -> None:
    async with transaction(engine, OWNER_ID) as session:
        await defer(session, "risk.remeasure", key="BTC")
    async with transaction(engine, OWNER_ID) as session:
        await defer(session, "risk.remeasure", key="BTC")
        assert await _fetch(worker) is None
    assert await _fetch(worker) is not None


async def test_a_job_that_runs_leaves_room_for_the_next(
    engine: AsyncEngine, worker: AsyncEngine
) -> None:
    for taken in (True, False):
        async with transaction(engine, OWNER_ID) as session:
            await defer(session, "risk.remeasure", key="BTC")
        assert len(await _waiting(worker)) == 1
        # The second waits for the first to end, and the first may come back beside it.
        assert (await _fetch(worker) is not None) is taken
    async with worker.begin() as connection:
        await connection.execute(
            text(
                "SELECT queue.procrastinate_retry_job_v2(id, NULL, NULL, NULL, NULL)"
                " FROM queue.procrastinate_jobs WHERE status = 'doing'"
            )
        )
    assert len(await _waiting(worker)) == 2


async def test_a_deferral_races_with_a_worker_and_nothing_is_lost(
    engine: AsyncEngine, worker: AsyncEngine
) -> None:
    """Whoever takes the last job sees all that was written with a deferral, or a job waits."""
    written, seen, stop = 40, 0, asyncio.Event()

    async def keep_taking() -> None:
        nonlocal seen
        while not stop.is_set():
            async with worker.begin() as connection:
                taken = list((await connection.execute(TAKE)).scalars())
            if taken:
                async with worker.begin() as connection:
                    seen = int(await connection.scalar(text("SELECT count(*) FROM exchanges")) or 0)
                    await connection.execute(END, {"ids": taken})
            await asyncio.sleep(0)

    taker = asyncio.create_task(keep_taking())
    for number in range(written):
        async with transaction(engine, OWNER_ID) as session:
            # The job waits already: its deferral comes first, and what it is about after it.
            await defer(session, "race", key="it")
            await session.execute(ADD, {"code": f"race{number}"})
    stop.set()
    await taker
    assert seen == written or await _waiting(worker)
