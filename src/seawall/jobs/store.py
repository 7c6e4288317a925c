"""The SQL of the queue beside the library's: failures, rescue, joining jobs, how it stands."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.db.faults import translated
from seawall.jobs.retry import TRIES

LONGEST_ERROR = 4000
DIED = "The worker ended, or was cut off from the database, before the job did."

_FAILED = text("""
    INSERT INTO job_failures (job_id, attempt, task, error, retried)
    VALUES (:job_id, :attempt, :task, :error, :retried) ON CONFLICT DO NOTHING
""")

# One that ended its worker so often is not given to another.
_STALLED = """
    SELECT id, attempts, task_name, attempts + 1 < :tries AS again FROM queue.procrastinate_jobs
    WHERE status = 'doing' AND (worker_id IS NULL OR worker_id IN (
        SELECT id FROM queue.procrastinate_workers
        WHERE last_heartbeat < now() - CAST(:silent AS interval)))
    FOR UPDATE SKIP LOCKED
"""
_RESCUE = text(f"""
    WITH stalled AS ({_STALLED}), noted AS (
        INSERT INTO job_failures (job_id, attempt, task, error, retried)
        SELECT id, attempts + 1, task_name, :error, again FROM stalled ON CONFLICT DO NOTHING
    )
    UPDATE queue.procrastinate_jobs AS job
    SET status = CASE WHEN again THEN 'todo' ELSE 'failed' END::queue.procrastinate_job_status,
        attempts = job.attempts + 1, worker_id = NULL
    FROM stalled WHERE job.id = stalled.id RETURNING job.id
""")  # noqa: S608 - put together from constants

_LEAVE = text("DELETE FROM queue.procrastinate_workers WHERE id = ANY(:names)")

_JOIN = text("""
    WITH others AS (
        DELETE FROM queue.procrastinate_jobs WHERE id IN (
            SELECT id FROM queue.procrastinate_jobs
            WHERE task_name = :task AND status = 'todo'
                AND (scheduled_at IS NULL OR scheduled_at <= now())
            FOR UPDATE SKIP LOCKED
        ) RETURNING args
    ), mine AS (
        SELECT args FROM queue.procrastinate_jobs WHERE id = :job_id
    )
    UPDATE queue.procrastinate_jobs SET args = jsonb_set(args, ARRAY[CAST(:name AS text)], (
        SELECT jsonb_agg(DISTINCT each ORDER BY each)
        FROM (SELECT args FROM others UNION ALL SELECT args FROM mine) AS every,
            jsonb_array_elements(every.args -> CAST(:name AS text)) AS each
    )) WHERE id = :job_id RETURNING args -> CAST(:name AS text)
""")

_FORGET = text("""
    DELETE FROM queue.procrastinate_jobs AS job
    WHERE status IN ('succeeded', 'failed', 'cancelled', 'aborted') AND NOT EXISTS (
        SELECT FROM queue.procrastinate_events
        WHERE job_id = job.id AND at > now() - CAST(:keep AS interval))
""")

_DUE = text("""
    SELECT count(*) FROM queue.procrastinate_jobs
    WHERE status = 'todo' AND (scheduled_at IS NULL OR scheduled_at <= now())
""")

_LAG = text("SELECT jobs, oldest_seconds FROM queue_lag()")

_STATES = text("""
    SELECT task_name AS task, status::text AS state, count(*) AS jobs, min((
        SELECT min(at) FROM queue.procrastinate_events WHERE job_id = job.id AND type = 'deferred'
    )) FILTER (WHERE status = 'todo') AS waiting_since, max((
        SELECT max(at) FROM queue.procrastinate_events WHERE job_id = job.id
            AND type IN ('succeeded', 'failed')
    )) FILTER (WHERE status IN ('succeeded', 'failed')) AS finished_at
    FROM queue.procrastinate_jobs AS job GROUP BY task_name, status ORDER BY task_name, status
""")
_FAILURES = text("""
    SELECT job_id, attempt, task, error, retried, failed_at FROM job_failures
    ORDER BY failed_at DESC, job_id DESC, attempt DESC LIMIT :limit
""")
_WORKERS = text("""
    SELECT count(*) FROM queue.procrastinate_workers
    WHERE last_heartbeat > now() - CAST(:silent AS interval)
""")


@dataclass(frozen=True, slots=True)
class TaskState:
    """How many jobs of a task are in a state; since when the oldest waits, when one last ended."""

    task: str
    state: str
    jobs: int
    waiting_since: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt of a job that failed, and whether it is to be tried again."""

    job_id: int
    attempt: int
    task: str
    error: str
    retried: bool
    failed_at: datetime


@dataclass(frozen=True, slots=True)
class QueueState:
    """What the queue holds, how many workers are alive, and what failed, the newest first."""

    workers: int
    tasks: tuple[TaskState, ...]
    failures: tuple[Failure, ...]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a job, which began to count at 1."""

    job_id: int
    number: int
    task: str


async def add_failure(worker: AsyncEngine, attempt: Attempt, error: str, *, retried: bool) -> None:
    """Keep why an attempt failed."""
    values = {
        "job_id": attempt.job_id,
        "attempt": attempt.number,
        "task": attempt.task,
        "error": error[:LONGEST_ERROR],
        "retried": retried,
    }
    with translated():
        async with worker.begin() as connection:
            await connection.execute(_FAILED, values)


async def rescue(worker: AsyncEngine, silent: timedelta) -> list[int]:
    """Put back the jobs of workers that gave no sign for so long; return the jobs' ids."""
    values = {"silent": silent, "error": DIED, "tries": TRIES}
    with translated():
        async with worker.begin() as connection:
            found = list((await connection.execute(_RESCUE, values)).scalars())
            if found:
                await connection.execute(
                    text("SELECT pg_notify('procrastinate_any_queue_v1', :said)"),
                    {"said": f'{{"type": "job_inserted", "job_id": {found[0]}}}'},
                )
            return found


async def leave(worker: AsyncEngine, names: Collection[int]) -> None:
    """Let the queue know that a worker no longer works by these numbers."""
    with translated():
        async with worker.begin() as connection:
            await connection.execute(_LEAVE, {"names": sorted(names)})


async def join(worker: AsyncEngine, job_id: int, task: str, name: str) -> Sequence[str]:
    """Take what other jobs of a task wait for into one that runs; return all of its `name`.

    The others are gone. The one that runs has taken their list over before, in the same
    transaction, so that it is tried again with all of it when it fails.
    """
    with translated():
        async with worker.begin() as connection:
            found: list[str] | None = await connection.scalar(
                _JOIN, {"job_id": job_id, "task": task, "name": name}
            )
    return found or []


async def forget(worker: AsyncEngine, keep: timedelta) -> None:
    """Remove jobs that ended longer ago than `keep`."""
    with translated():
        async with worker.begin() as connection:
            await connection.execute(_FORGET, {"keep": keep})


async def count_due(worker: AsyncEngine) -> int:
    """Count the jobs that wait and could be run now."""
    with translated():
        async with worker.connect() as connection:
            return int(await connection.scalar(_DUE) or 0)


@dataclass(frozen=True, slots=True)
class Lag:
    """How many jobs wait that could run now, and for how long the oldest does."""

    jobs: int
    oldest_seconds: float


async def queue_lag(engine: AsyncEngine) -> Lag:
    """Tell how far behind the queue is; the engine acts as the application."""
    with translated():
        async with engine.connect() as connection:
            return Lag(*(await connection.execute(_LAG)).one())


async def describe(worker: AsyncEngine, silent: timedelta, failures: int) -> QueueState:
    """Tell what the queue holds, with so many of the newest failures."""
    with translated():
        async with worker.connect() as connection:
            workers = await connection.scalar(_WORKERS, {"silent": silent})
            states = (await connection.execute(_STATES)).all()
            failed = (await connection.execute(_FAILURES, {"limit": failures})).all()
    return QueueState(
        workers=int(workers or 0),
        tasks=tuple(TaskState(*row) for row in states),
        failures=tuple(Failure(*row) for row in failed),
    )
