"""Start `seawall worker run` for each line that is read, as a fork of what is imported already."""

import os
import signal
import sys

import numpy as np

import seawall.jobs.run
import seawall.workers.app  # noqa: F401 - what takes seconds is imported once, and forked
from seawall.cli.app import app
from seawall.quant.metrics.measure import measure


def _start() -> int:
    """Start a worker that tells nobody what it does; return its process."""
    child = os.fork()
    if not child:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDWR), sys.stdin.fileno())
        os.dup2(sys.stdin.fileno(), sys.stdout.fileno())
        app(["worker", "run"])
    return child


if __name__ == "__main__":
    measure(np.ones(1), np.zeros((2, 1)))
    # Whoever ends is forgotten at once, so that the test sees that the process is gone.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for _ in sys.stdin:
        sys.stdout.write(f"{_start()}\n")
        sys.stdout.flush()
