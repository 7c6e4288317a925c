"""Memory stays as it is, however long and whatever is asked: measured of each serving process.

`SEAWALL_TEST_MEMORY_MINUTES` says how long, where 30 minutes are too long or too short.
"""

import asyncio
import os
import random
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

WORKERS, PERSONS = 2, 12
MOST_GROWTH, WARM_UP_SECONDS = 0.05, 240
# What is loaded when it is first needed still comes in the short form.
SHORT_MOST_GROWTH, SHORT_SECONDS = 0.25, 8
MIB = 1 << 20
pytestmark = pytest.mark.skipif(
    not Path("/proc/self/smaps_rollup").exists(), reason="no /proc to read memory from"
)


def private_bytes(pid: int) -> int:
    """Return the memory that a process shares with no other."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(each.split()[1]) for each in lines if each.startswith("Private_")) * 1024


def growth(samples: Sequence[float]) -> float:
    """Return by what fraction memory grew, from the first fifth of samples to the last.

    Of each it is the median: a hash takes 64 MiB for a moment.
    """
    fifth = len(samples) // 5
    return statistics.median(samples[-fifth:]) / statistics.median(samples[:fifth]) - 1


def test_a_leak_would_be_seen() -> None:
    noise = random.Random(1)  # noqa: S311 - no secrets
    flat = [200.0 + noise.random() + 64 * (noise.random() < 0.2) for _ in range(1_000)]
    assert abs(growth(flat)) < 0.01
    # A hundred bytes for each of 100 requests a second, in half an hour.
    leaking = [each + 17.2 * number / 1_000 for number, each in enumerate(flat)]
    assert growth(leaking) > MOST_GROWTH


def test_a_leak_of_a_process_is_seen() -> None:
    program = (
        "kept = [bytearray(b'x' * (20 << 20))]\n"
        "for line in iter(input, ''):\n"
        "    kept += [bytearray(b'x' * (1 << 20))] if line == 'leak' else []\n"
        "    print(len(kept), flush=True)\n"
    )
    found, pipe = {}, subprocess.PIPE
    command = [sys.executable, "-c", program]
    for what in ("keep", "leak"):
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            samples = []
            for _ in range(10):
                process.stdin.write(f"{what}\n")
                process.stdin.flush()
                process.stdout.readline()
                samples.append(private_bytes(process.pid))
            process.stdin.write("\n")
            process.stdin.flush()
        found[what] = growth(samples)
    assert abs(found["keep"]) < 0.01
    assert found["leak"] > MOST_GROWTH


async def test_memory_stays_as_it_is(serve: Any, gather: Any, figures: Any) -> None:
    minutes = float(os.environ.get("SEAWALL_TEST_MEMORY_MINUTES", "30"))
    warm_up = figures.pick(SHORT_SECONDS, WARM_UP_SECONDS)
    seconds = minutes * 60 if figures.is_long else SHORT_SECONDS
    served = await serve(figures.pick(1, WORKERS))
    people = await gather(served.url, figures.pick(4, PERSONS))
    workers = served.workers()
    until = time.monotonic() + warm_up + seconds
    samples: dict[int, list[float]] = {each: [] for each in workers}
    async with asyncio.TaskGroup() as going:
        for each in people:
            going.create_task(each.go_on(until))
        await asyncio.sleep(warm_up)
        while time.monotonic() < until:
            for pid, found in samples.items():
                found.append(private_bytes(pid))
            assert served.workers() == workers, "one ended, and another came in its place"
            await asyncio.sleep(seconds / 1_000)
    for each in people:
        await each.end()
    done: Counter[str] = sum((each.done for each in people), Counter())
    figures.at_least("memory: things done", done.total(), "", figures.pick(20, 5_000))
    most = 100 * (MOST_GROWTH if figures.is_long else SHORT_MOST_GROWTH)
    for number, found in enumerate(samples.values()):
        figures.at_most(f"memory: of worker {number} at the end", found[-1] / MIB, "MiB", 1_024)
        more = 100 * growth(found)
        figures.at_most(f"memory: growth of worker {number}", more, "%", most)
