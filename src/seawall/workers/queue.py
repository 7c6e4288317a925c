"""The queue's own task: what ended long ago is removed."""

from datetime import timedelta

from seawall.jobs import store
from seawall.jobs.crew import Given, Task

KEEP = timedelta(days=7)


async def tidy(given: Given) -> None:
    """Remove jobs that ended a week ago; why one failed is kept longer, by the retention policy."""
    await store.forget(given.engine, KEEP)


TASKS = (Task("queue.tidy", tidy),)
