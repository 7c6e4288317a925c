"""What is counted of requests, in Prometheus's format."""

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

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


def write() -> bytes:
    """Write all counts of this process."""
    return generate_latest(REGISTRY)
