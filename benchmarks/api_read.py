"""Authenticated, row-secured reads of the API, beside a bare endpoint that asks the same.

Both run in a process of their own on the same machine and database, and are asked in turns over 32
connections that stay open, for one of `USERS` portfolios each time. Every answer is checked.
"""

from collections.abc import Iterator

from benchmarks.api_load import compare, servers
from benchmarks.result import Result

USERS = 256
"""Each may ask 600 times a minute, and together they ask more often."""


def api_read() -> Iterator[Result]:
    """Measure requests a second, and the 99th percentile of their latency."""
    with servers(USERS) as found:
        ours = [
            f"GET /api/v1/portfolios/{each.portfolio} HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {each.token}\r\n\r\n".encode()
            for each in found.callers
        ]
        bare = [
            f"GET /{each.user}/{each.portfolio} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
            for each in found.callers
        ]
        api, peer = compare(
            found, (lambda n: ours[n % USERS], lambda n: bare[n % USERS]), b'"Main"'
        )
    yield Result("api-read", api.rate, "req/s", "bare", peer.rate, api.rate / peer.rate)
    yield Result("api-read-p99", api.p99, "ms", "bare", peer.p99, peer.p99 / api.p99)
