"""How many users the benchmarks of queries have."""

import os

SCALES = "SEAWALL_BENCH_USERS"
DEFAULT = "1000"


def scales() -> list[int]:
    """Return the numbers that SEAWALL_BENCH_USERS names, as in 1000,10000, in ascending order."""
    return sorted(int(each) for each in os.environ.get(SCALES, DEFAULT).split(","))
