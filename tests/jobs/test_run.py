"""A worker does each job once, tries again what may mend, gives up what will not, and says so."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.core.errors import InvalidError, UnavailableError
from seawall.jobs import store
from seawall.jobs.retry import TRIES, wait_before_next

Queue = Callable[..., Awaitable[None]]
Drain = Callable[[], Awaitable[tuple[int, list[str]]]]
SILENT = timedelta(seconds=30)


async def test_jobs_are_done_and_what_fails_holds_nobody_up(
    queue: Queue, drain_queue: Drain, worker: AsyncEngine, tmp_path: Path
) -> None:
    path = tmp_path / "notes"
    await queue("refuse")
    await queue("break_down")
    await queue("miss")
    for word in ("one", "two", "three"):
        await queue("note", word, path=str(path), word=word)

    done, said = await drain_queue()

    assert done == 3
    assert path.read_text().split() == ["one", "two", "three"]
    state = await store.describe(worker, SILENT, 10)
    jobs = {(each.task, each.state): each.jobs for each in state.tasks}
    # A bug may be mended meanwhile, and what is not there may come: both wait for another try.
    assert jobs == {
        ("note", "succeeded"): 3,
        ("refuse", "failed"): 1,
        ("break_down", "todo"): 1,
        ("miss", "todo"): 1,
    }
    failed = {each.task: (each.attempt, each.retried, each.error) for each in state.failures}
    assert failed["refuse"] == (1, False, "Job 1 is wrong. Do not try again.")
    assert failed["break_down"] == (1, True, "ZeroDivisionError: by zero")
    assert failed["miss"] == (1, True, "Job 3 has to wait.")
    assert any("refuse 1: failed, given up: Job 1 is wrong" in each for each in said)
    waiting = next(each for each in state.tasks if each.task == "miss")
    assert waiting.waiting_since is not None
    ended = next(each for each in state.tasks if each.task == "note")
    assert ended.finished_at is not None
    assert state.workers == 0


async def test_two_workers_do_each_job_once(
    queue: Queue, drain_queue: Drain, tmp_path: Path
) -> None:
    path = tmp_path / "notes"
    words = [f"word{number}" for number in range(12)]
    for word in words:
        await queue("note", word, path=str(path), word=word)
    first, second = await asyncio.gather(drain_queue(), drain_queue())
    assert sorted(path.read_text().split()) == sorted(words)
    assert first[0] + second[0] == len(words)


async def test_a_job_takes_over_what_waits_for_the_same(
    queue: Queue, drain_queue: Drain, worker: AsyncEngine, tmp_path: Path
) -> None:
    path = tmp_path / "notes"
    for word in ("b", "a", "c"):
        await queue("gather", word, path=str(path), words=[word, "b"])
    done, _ = await drain_queue()
    assert path.read_text() == "a b c\n"
    assert done == 1
    async with worker.connect() as connection:
        kept = await connection.scalar(text("SELECT args -> 'words' FROM queue.procrastinate_jobs"))
    assert kept == ["a", "b", "c"]


async def test_what_ended_is_forgotten_in_time(
    queue: Queue, drain_queue: Drain, worker: AsyncEngine, tmp_path: Path
) -> None:
    await queue("note", path=str(tmp_path / "notes"), word="one")
    await queue("refuse")
    await queue("miss")
    await drain_queue()
    await store.forget(worker, timedelta(hours=1))
    assert len((await store.describe(worker, SILENT, 10)).tasks) == 3
    await store.forget(worker, timedelta())
    state = await store.describe(worker, SILENT, 10)
    assert [(each.task, each.state) for each in state.tasks] == [("miss", "todo")]
    assert len(state.failures) == 2


async def test_a_job_of_no_task_is_given_up(
    queue: Queue, drain_queue: Drain, worker: AsyncEngine
) -> None:
    await queue("of_a_newer_seawall")
    await drain_queue()
    state = await store.describe(worker, SILENT, 10)
    assert [(each.task, each.state) for each in state.tasks] == [("of_a_newer_seawall", "failed")]


async def test_who_ends_its_workers_is_given_up(worker: AsyncEngine, queue: Queue) -> None:
    await queue("miss")
    for attempt in range(1, TRIES + 1):
        async with worker.begin() as connection:
            taken = await connection.execute(
                text("UPDATE queue.procrastinate_jobs SET status = 'doing' WHERE status = 'todo'")
            )
        assert taken.rowcount == 1
        assert len(await store.rescue(worker, SILENT)) == 1
        (failure,) = (await store.describe(worker, SILENT, 1)).failures
        assert (failure.attempt, failure.retried) == (attempt, attempt < TRIES)
        assert failure.error == store.DIED
    assert await store.count_due(worker) == 0


async def test_a_queue_of_another_library_is_refused(
    worker: AsyncEngine, drain_queue: Drain, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await store.count_due(worker) == 0
    monkeypatch.setattr("seawall.jobs.schema.installed_version", lambda: "99.00.00_01")
    with pytest.raises(UnavailableError, match=r"is of procrastinate 03\.\S+, and the installed"):
        await drain_queue()


def test_waits_grow_and_end() -> None:
    waits = [wait_before_next(OSError(), attempt) for attempt in range(1, TRIES + 1)]
    assert waits[:3] == [timedelta(seconds=seconds) for seconds in (2, 4, 8)]
    assert waits[-1] is None
    assert wait_before_next(InvalidError("no"), 1) is None
    assert wait_before_next(asyncio.CancelledError(), TRIES) == timedelta()
