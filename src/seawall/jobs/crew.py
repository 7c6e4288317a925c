"""What a worker is made of: its tasks by name, and when they are due by themselves."""

import importlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.core.settings import Settings


@dataclass(frozen=True, slots=True)
class Given:
    """What every task is given besides the ids of its job; the engine acts as a worker."""

    engine: AsyncEngine
    settings: Settings
    job_id: int


@dataclass(frozen=True, slots=True)
class Task:
    """What is run for the jobs of a name; it takes `Given`, and the job's ids by their names.

    It may be run again after it was done, or half done, and has to come to the same.
    """

    name: str
    run: Callable[..., Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a task without ids is due by itself, as a crontab's five fields in UTC."""

    task: str
    cron: str


@dataclass(frozen=True, slots=True)
class Crew:
    """All tasks and schedules of a worker, and the tasks without ids that it begins with.

    What `load` loads is what its first jobs would have to wait for.
    """

    tasks: tuple[Task, ...]
    schedules: tuple[Schedule, ...] = ()
    first: tuple[str, ...] = ()
    load: Callable[[], None] | None = None


def load_crew(module: str) -> Crew:
    """Return the `CREW` of a module that is named, because it stands above whoever starts it."""
    found = importlib.import_module(module).CREW
    assert isinstance(found, Crew)  # noqa: S101 - the project names its own module
    return found
