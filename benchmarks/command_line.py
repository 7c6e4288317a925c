"""How long whole commands take, as a user waits for them."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks.result import Result

RUNS = 9
WARM_RUNS = 3
ROOT = Path(__file__).parents[1]
SEAWALL = Path(sys.executable).with_name("seawall")


def cli_help() -> list[Result]:
    """Print the help, beside an interpreter that does nothing."""
    ours = _median_seconds([str(SEAWALL), "--help"], RUNS)
    bare = _median_seconds([sys.executable, "-c", "pass"], RUNS)
    return [Result("cli-help", ours, "s", "python -c pass", bare, bare / ours)]


def demo_warm() -> list[Result]:
    """Run `make demo` again, beside its first run with the environment set up already."""
    home = tempfile.mkdtemp(prefix="seawall-benchmark-")
    environment = os.environ | {"SEAWALL_HOME": home}
    try:
        cold = _median_seconds(["make", "demo"], 1, environment)
        warm = _median_seconds(["make", "demo"], WARM_RUNS, environment)
        _run([str(SEAWALL), "db", "down"], environment)
    finally:
        pointer = Path(home, "postgres.location")
        if pointer.exists():
            shutil.rmtree(pointer.read_text(encoding="utf-8").strip(), ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)
    return [Result("demo-warm", warm, "s", "the first run", cold, cold / warm)]


def _median_seconds(
    command: Sequence[str], runs: int, environment: dict[str, str] | None = None
) -> float:
    found = []
    for _ in range(runs):
        start = perf_counter()
        _run(command, environment)
        found.append(perf_counter() - start)
    return median(found)


def _run(command: Sequence[str], environment: dict[str, str] | None = None) -> None:
    subprocess.run(command, check=True, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
