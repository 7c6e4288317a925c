"""Running a crew: until it is told to stop, or until nothing is left to do."""

import asyncio
import contextlib
import gc
import logging
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta

import psycopg
from procrastinate import App
from procrastinate.exceptions import ConnectorException
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.core.errors import SeawallError, UnavailableError
from seawall.core.settings import Settings
from seawall.db import database
from seawall.db.faults import translated
from seawall.db.journal import journal
from seawall.db.session import unbound_transaction
from seawall.jobs import schema, store
from seawall.jobs.app import Post, Say, build_app, keep_account
from seawall.jobs.crew import Crew
from seawall.jobs.defer import defer

_LOST = (ConnectorException, psycopg.Error, UnavailableError)
_SIGNS = 6
"""How many signs of life a worker gives within the time after which it counts as dead."""
_POLL, _AGAIN, _AGAIN_AT_MOST = 5.0, 0.5, 15.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How many jobs run at once, and after how long a silent worker counts as dead.

    `grace` is how long a running job may go on after the worker was told to stop.
    """

    concurrency: int
    silent: timedelta
    grace: timedelta

    @classmethod
    def of(cls, settings: Settings, concurrency: int | None = None) -> "Pace":
        """Return what the settings say, but for what is given."""
        told = settings.worker
        return cls(
            concurrency or told.concurrency,
            timedelta(seconds=told.silent_seconds),
            timedelta(seconds=told.grace_seconds),
        )


async def work(settings: Settings, crew: Crew, pace: Pace, say: Say) -> None:
    """Work the queue off until SIGTERM or SIGINT, through restarts of the database.

    A job that runs then has `pace.grace` to end, and is put back into the queue otherwise.
    """
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
    async with _post(settings, say) as post:
        if crew.load is not None:
            await asyncio.to_thread(crew.load)
        # What is loaded by now stays. To look through it for garbage would halt every job for a
        # quarter of a second, every few jobs.
        gc.collect()
        gc.freeze()
        going = asyncio.create_task(_keep_going(crew, post, pace))
        with _stopped_by_signals(going), contextlib.suppress(asyncio.CancelledError):
            await going
    say("Stopped.")


async def drain(settings: Settings, crew: Crew, pace: Pace, say: Say) -> int:
    """Do what the worker begins with and all that waits, then return how many jobs were done.

    What is to be tried again later stays in the queue.

    Raises:
        UnavailableError: the database cannot be reached.
    """
    done = 0

    def count(said: str) -> None:
        nonlocal done
        done += ": done in " in said
        say(said)

    async with _post(settings, count) as post:
        app = build_app(crew, post, pace.concurrency, scheduled=False)
        with _queue_faults():
            async with app.open_async():
                await _begin(crew, post, pace)
                while await store.count_due(post.engine):
                    going = asyncio.create_task(_run(app, post, pace, wait=False))
                    with _stopped_by_signals(going), contextlib.suppress(asyncio.CancelledError):
                        await going
                    if going.cancelled():
                        break
    return done


@contextlib.asynccontextmanager
async def _post(settings: Settings, say: Say) -> AsyncIterator[Post]:
    location = await database.make_ready(settings)
    async with database.open_worker(settings) as engine:
        await _require_schema(engine)
        async with journal(engine, "worker"):
            yield Post(engine, location.admin_url, settings, say)


async def _require_schema(engine: AsyncEngine) -> None:
    """Refuse a queue that the installed library was not made for."""
    with translated():
        async with engine.connect() as connection:
            said = await connection.scalar(
                text("SELECT obj_description(to_regnamespace(:name), 'pg_namespace')"),
                {"name": schema.SCHEMA},
            )
    if said != f"procrastinate {schema.installed_version()}":
        raise UnavailableError(
            f"The queue is of {said or 'no version'}, and the installed library of procrastinate"
            f" {schema.installed_version()}.",
            hint="Run `seawall db migrate`, or install the libraries that this Seawall names.",
        )


@contextlib.contextmanager
def _queue_faults() -> Iterator[None]:
    try:
        yield
    except (ConnectorException, psycopg.Error) as error:
        raise UnavailableError(
            "The queue cannot be reached.", hint="See that the database runs, then try again."
        ) from error


@contextlib.contextmanager
def _stopped_by_signals(going: "asyncio.Task[None]") -> Iterator[None]:
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    for each in signals:
        loop.add_signal_handler(each, going.cancel)
    try:
        yield
    finally:
        for each in signals:
            loop.remove_signal_handler(each)


async def _keep_going(crew: Crew, post: Post, pace: Pace) -> None:
    wait = _AGAIN
    while True:
        app = build_app(crew, post, pace.concurrency, scheduled=True)
        try:
            async with app.open_async():
                await _begin(crew, post, pace)
                post.say(f"Working, {pace.concurrency} at a time. Stop with Ctrl-C or SIGTERM.")
                wait = _AGAIN
                await _run(app, post, pace, wait=True)
        except _LOST as error:
            why = str(error).partition("\n")[0] or type(error).__name__
            post.say(f"The database cannot be reached, trying again: {why}")
        await asyncio.sleep(wait)
        wait = min(wait * 2, _AGAIN_AT_MOST)


async def _begin(crew: Crew, post: Post, pace: Pace) -> None:
    await store.leave(post.engine, post.names)
    await store.rescue(post.engine, pace.silent)
    async with unbound_transaction(post.engine) as session:
        for name in crew.first:
            await defer(session, name, key="")


async def _run(app: App, post: Post, pace: Pace, *, wait: bool) -> None:
    rescuing = asyncio.create_task(_keep_rescuing(post, pace))
    try:
        await app.run_worker_async(
            concurrency=pace.concurrency,
            wait=wait,
            fetch_job_polling_interval=_POLL,
            shutdown_graceful_timeout=pace.grace.total_seconds(),
            install_signal_handlers=False,
            update_heartbeat_interval=pace.silent.total_seconds() / _SIGNS,
            stalled_worker_timeout=pace.silent.total_seconds(),
            worker_middleware=[keep_account(post)],
        )
    finally:
        rescuing.cancel()


async def _keep_rescuing(post: Post, pace: Pace) -> None:
    while True:
        await asyncio.sleep(pace.silent.total_seconds() / 2)
        with contextlib.suppress(SeawallError):
            if found := await store.rescue(post.engine, pace.silent):
                post.say(f"Put back {len(found)} jobs of a worker that gave no sign of life.")
