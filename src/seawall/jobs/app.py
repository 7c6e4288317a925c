"""The procrastinate app of a crew: on the queue's schema, as the worker's role."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from procrastinate import App, BaseRetryStrategy, JobContext, PsycopgConnector, RetryDecision
from procrastinate.jobs import Job
from procrastinate.worker import Worker
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.core.errors import SeawallError
from seawall.core.settings import Settings
from seawall.db.engine import WORKER_ROLE, libpq_url
from seawall.jobs import store
from seawall.jobs.crew import Crew, Given, Task
from seawall.jobs.retry import wait_before_next
from seawall.jobs.schema import SCHEMA
from seawall.jobs.store import Attempt

Say = Callable[[str], None]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Post:
    """Where a worker works: the database as a worker and by its address, and whom it tells."""

    engine: AsyncEngine
    url: str = field(repr=False)
    settings: Settings
    say: Say
    names: set[int] = field(default_factory=set)
    """By which numbers the queue has known this worker."""


class _Backoff(BaseRetryStrategy):
    """Wait longer after each attempt, and give up where trying again mends nothing."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        wait = wait_before_next(exception, job.attempts + 1)
        if wait is None:
            return None
        return RetryDecision(retry_in={"seconds": int(wait.total_seconds())})


def build_app(crew: Crew, post: Post, concurrency: int, *, scheduled: bool) -> App:
    """Make the app of a crew; without `scheduled` nothing is due by itself."""
    app = App(connector=_connector(post.url, concurrency))
    tasks = {}
    for each in crew.tasks:
        declare = app.task(name=each.name, pass_context=True, retry=_Backoff())
        tasks[each.name] = declare(_run(each, post))
    if scheduled:
        for due in crew.schedules:
            app.periodic_registry.register_task(
                tasks[due.task],
                due.cron,
                due.cron,
                {"lock": due.task, "queueing_lock": f"{due.task}:"},
            )
    return app


def _connector(url: str, concurrency: int) -> PsycopgConnector:
    # A job waits without a connection of this pool: it is for the queue's own statements.
    options = f"-c role={WORKER_ROLE} -c search_path={SCHEMA},pg_temp -c timezone=UTC"
    return PsycopgConnector(
        conninfo=libpq_url(url),
        kwargs={"options": options, "application_name": "seawall worker", "connect_timeout": 10},
        min_size=1,
        max_size=concurrency + 3,
        timeout=10,
        reconnect_timeout=5,
    )


def _run(task: Task, post: Post) -> Callable[..., Awaitable[None]]:
    async def run(context: JobContext, timestamp: int | None = None, **ids: Any) -> None:
        del timestamp  # When a schedule was due: what is to be done does not depend on it.
        assert context.job.id is not None  # noqa: S101 - it came out of the queue
        await task.run(Given(post.engine, post.settings, context.job.id), **ids)

    return run


def keep_account(post: Post) -> Callable[..., Awaitable[Any]]:
    """Return what goes around every job: it says what became of it, and keeps why it failed."""

    async def around(run: Callable[[], Awaitable[Any]], context: JobContext, worker: Worker) -> Any:
        if worker.worker_id is not None:
            post.names.add(worker.worker_id)
        start, job = perf_counter(), context.job
        try:
            result = await run()
        except asyncio.CancelledError:
            post.say(f"{job.task_name} {job.id}: put back, for the worker stops")
            raise
        except Exception as error:
            await _note(post, job, error)
            raise
        post.say(f"{job.task_name} {job.id}: done in {perf_counter() - start:.2f} s")
        return result

    return around


async def _note(post: Post, job: Job, error: Exception) -> None:
    assert job.id is not None  # noqa: S101 - it came out of the queue
    attempt = Attempt(job.id, job.attempts + 1, job.task_name)
    wait = wait_before_next(error, attempt.number)
    what = str(error) if isinstance(error, SeawallError) else f"{type(error).__name__}: {error}"
    then = "given up" if wait is None else f"tried again in {wait.total_seconds():.0f} s"
    post.say(f"{job.task_name} {job.id}: failed, {then}: {what}")
    try:
        await store.add_failure(post.engine, attempt, what, retried=wait is not None)
    except SeawallError as lost:
        # The database is gone: then the job is put back when its worker is found to be silent.
        _log.warning("The failure of job %s was not kept: %s", job.id, lost)
