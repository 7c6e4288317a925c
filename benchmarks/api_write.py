"""Durable writes through the API, beside a bare endpoint that inserts the same row.

A portfolio is made under an `Idempotency-Key` each time: key, portfolio and the entry in the audit
log are one transaction, which is on disk when the answer leaves. The bare endpoint inserts the
portfolio alone, as the tables' owner, so that the audit's trigger is in both.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from uuid import uuid4

from benchmarks.api_load import Ask, Caller, compare, servers
from benchmarks.result import Result

USERS = 512
"""Each may ask 600 times a minute, and together they ask more often."""


def api_write() -> Iterator[Result]:
    """Measure requests a second, and the 99th percentile of their latency."""
    with servers(USERS) as found:
        asks = (_asking(found.callers, _to_api), _asking(found.callers, _to_bare))
        api, peer = compare(found, asks, b"written ")
    yield Result("api-write", api.rate, "req/s", "bare", peer.rate, api.rate / peer.rate)
    yield Result("api-write-p99", api.p99, "ms", "bare", peer.p99, peer.p99 / api.p99)


def _asking(callers: Sequence[Caller], write: Callable[[Caller, bytes], bytes]) -> Ask:
    numbers = count()

    def ask(number: int) -> bytes:
        content = json.dumps({"name": f"written {next(numbers)} {uuid4()}"}).encode()
        return write(callers[number % USERS], content)

    return ask


def _to_api(caller: Caller, content: bytes) -> bytes:
    return (
        f"POST /api/v1/portfolios HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {caller.token}\r\nIdempotency-Key: {uuid4()}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    ).encode() + content


def _to_bare(caller: Caller, content: bytes) -> bytes:
    return (
        f"POST /{caller.user} HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    ).encode() + content
