"""A crew whose tasks leave a line in a file, so that a test sees what ran; started as a program."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from seawall.core.errors import InvalidError, UnavailableError
from seawall.core.settings import load_settings
from seawall.db.session import unbound_transaction
from seawall.jobs.crew import Crew, Given, Task
from seawall.jobs.run import Pace, work
from seawall.jobs.store import join
from seawall.market import catalog


def _note(path: str, line: str) -> None:
    with Path(path).open("a") as file:
        file.write(f"{line}\n")


async def note(given: Given, *, path: str, word: str) -> None:
    """Write a word, and an asset named like it, which is there once however often this runs."""
    async with unbound_transaction(given.engine) as session:
        await catalog.ensure_asset(session, word.upper())
    _note(path, word)


async def dawdle(given: Given, *, path: str, seconds: int) -> None:
    """Write when it begins; end after a while, quicker the second time."""
    is_first = await asyncio.to_thread(Path(path).exists) is False
    _note(path, "begun")
    await asyncio.sleep(seconds if is_first else 0)
    await note(given, path=path, word="ended")


async def gather(given: Given, *, path: str, words: Sequence[str]) -> None:
    """Write the words of this job and of all that wait."""
    _note(path, " ".join(await join(given.engine, given.job_id, "gather", "words") or words))


async def refuse(given: Given) -> None:
    """Fail for good."""
    raise InvalidError(f"Job {given.job_id} is wrong.", hint="Do not try again.")


async def miss(given: Given) -> None:
    """Fail for now."""
    raise UnavailableError(f"Job {given.job_id} has to wait.")


async def break_down(_given: Given) -> None:
    """Fail by a bug."""
    raise ZeroDivisionError("by zero")


CREW = Crew(
    (
        Task("note", note),
        Task("dawdle", dawdle),
        Task("gather", gather),
        Task("refuse", refuse),
        Task("miss", miss),
        Task("break_down", break_down),
    )
)


def _say(what: str) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    settings = load_settings()
    asyncio.run(work(settings, CREW, Pace.of(settings), _say))
    sys.exit(0)
