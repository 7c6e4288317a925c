"""What is counted of requests, in Prometheus's format, by one process or by several together."""

import os
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)

_TOGETHER = "PROMETHEUS_MULTIPROC_DIR"
"""Folder that the processes of one server count in; `prometheus_client` reads it as it loads."""

REGISTRY = CollectorRegistry()
REQUESTS = Counter(
    "seawall_requests",
    "Requests that were answered.",
    ("operation", "status"),
    registry=REGISTRY,
)
SECONDS = Histogram(
    "seawall_request_seconds",
    "How long answers took.",
    ("operation",),
    registry=REGISTRY,
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
READINESS = Counter(
    "seawall_readiness",
    "Looks at whether requests can be served, by what was found: ok, busy or unavailable.",
    ("status",),
    registry=REGISTRY,
)
STREAMS = Gauge(
    "seawall_streams",
    "Streams that are open.",
    ("transport",),
    registry=REGISTRY,
    multiprocess_mode="livesum",
)
STREAMED = Counter("seawall_stream_messages", "Messages that streams were sent.", registry=REGISTRY)
STREAMS_CUT = Counter(
    "seawall_streams_cut",
    "Streams that Seawall ended, by why.",
    ("reason",),
    registry=REGISTRY,
)


def write() -> bytes:
    """Write all counts: of this process, or of all that serve with it."""
    folder = os.environ.get(_TOGETHER)
    if not folder:
        return generate_latest(REGISTRY)
    _forget_the_dead(Path(folder))
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def _forget_the_dead(folder: Path) -> None:
    # What has ended has no open streams, and may have been killed before it could say so.
    for path in folder.glob("gauge_live*_*.db"):
        pid = int(path.stem.rpartition("_")[2])
        if not _lives(pid):
            multiprocess.mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
