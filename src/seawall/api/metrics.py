"""What is counted of requests, in Prometheus's format."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

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
STREAMS = Gauge("seawall_streams", "Streams that are open.", ("transport",), registry=REGISTRY)
STREAMED = Counter("seawall_stream_messages", "Messages that streams were sent.", registry=REGISTRY)
STREAMS_CUT = Counter(
    "seawall_streams_cut",
    "Streams that Seawall ended, by why.",
    ("reason",),
    registry=REGISTRY,
)


def write() -> bytes:
    """Write all counts of this process."""
    return generate_latest(REGISTRY)
