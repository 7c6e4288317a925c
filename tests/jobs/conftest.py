"""What the tests of the queue share: deferring, workers in this process and as programs."""

import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.core.settings import load_settings
from seawall.db.database import Location
from seawall.db.engine import WORKER_ROLE, create_engine
from seawall.db.session import unbound_transaction
from seawall.jobs.crew import Crew
from seawall.jobs.defer import defer
from seawall.jobs.run import Pace, drain

CREW = Path(__file__).parent / "crew.py"
PACE = Pace(concurrency=2, silent=timedelta(seconds=30), grace=timedelta(seconds=5))

Queue = Callable[..., Awaitable[None]]
Drain = Callable[[], Awaitable[tuple[int, list[str]]]]
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
async def worker(location: Location) -> AsyncIterator[AsyncEngine]:
    """An engine that acts as a worker."""
    made = create_engine(location.admin_url, role=WORKER_ROLE)
    yield made
    await made.dispose()


@pytest.fixture
def queue(engine: AsyncEngine) -> Queue:
    """Queue a job in a transaction of its own."""

    async def put(name: str, key: str = "", **ids: Any) -> None:
        async with unbound_transaction(engine) as session:
            await defer(session, name, key=key, **ids)

    return put


@pytest.fixture
def drain_queue(installation: Location) -> Drain:  # noqa: ARG001 - it sets the environment
    """Work off what waits in this process; return how many jobs were done, and what was said."""
    spec = importlib.util.spec_from_file_location("crew_of_tests", CREW)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    crew: Crew = module.CREW

    async def go() -> tuple[int, list[str]]:
        said: list[str] = []
        return await drain(load_settings(), crew, PACE, said.append), said

    return go


@pytest.fixture
def start(installation: Location) -> Iterator[Start]:  # noqa: ARG001 - it sets the environment
    """Start workers as programs, which are dead after 3 s of silence; all are ended."""
    started: list[subprocess.Popen[str]] = []

    def go(**variables: str) -> "subprocess.Popen[str]":
        told = {"SEAWALL_WORKER__SILENT_SECONDS": "3", "SEAWALL_WORKER__GRACE_SECONDS": "5"}
        process = subprocess.Popen(
            [sys.executable, str(CREW)],
            env=os.environ | told | variables,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield go
    for process in started:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
