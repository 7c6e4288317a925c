"""Whether this process lives, whether it can serve, and what it has counted."""

import asyncio
import hmac
from ipaddress import ip_address
from time import monotonic
from typing import Any

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from seawall.api import metrics
from seawall.api.deps import TheDesk
from seawall.api.metrics import READINESS
from seawall.core.errors import NotFoundError, SeawallError
from seawall.db import migrate
from seawall.db.cache.client import Cache
from seawall.db.pool import is_busy
from seawall.db.watch import PATIENCE, Watch
from seawall.identity.desk import Desk
from seawall.jobs.store import queue_lag

BUSY, UNAVAILABLE = "busy", "unavailable"
_CAN_SERVE = ("ok", BUSY)
KEPT = 1.0
"""Seconds for which what was found is told again."""
_PASSED_ON = ("forwarded", "x-forwarded-for")
router = APIRouter(include_in_schema=False)


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Say that this process answers."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(desk: TheDesk, request: Request, response: Response) -> dict[str, Any]:
    """Say whether requests can be served now: 503 when not; and how the queue stands.

    Where all connections are taken while the database answers, requests are served, if late.
    """
    readiness: Readiness = request.app.state.readiness
    told = await readiness.find(desk, getattr(request.app.state, "watch", None))
    response.status_code = 200 if told["status"] in _CAN_SERVE else 503
    # Load balancers need no more than that, and strangers are not to know how the queue stands.
    return dict(told) if _may_know(desk, request) else {"status": told["status"]}


class Readiness:
    """What was found last, which is kept for a moment: however many ask, one looks."""

    def __init__(self) -> None:
        self._looking: asyncio.Task[dict[str, Any]] | None = None
        self._until = 0.0
        self._was_down = False
        self._was_ok = False

    async def find(self, desk: Desk, watch: Watch | None) -> dict[str, Any]:
        """Return how things are, or were a moment ago."""
        is_down = watch is not None and watch.is_down
        is_over = self._looking is None or (self._looking.done() and monotonic() >= self._until)
        if self._looking is None or is_over or is_down != self._was_down:
            self._was_down = is_down
            self._looking = asyncio.create_task(self._look(desk, watch, is_down=is_down))
        # Who goes away does not end it for the others.
        return await asyncio.shield(self._looking)

    async def _look(self, desk: Desk, watch: Watch | None, *, is_down: bool) -> dict[str, Any]:
        began = monotonic()
        asked = asyncio.ensure_future(_database(desk))
        if not is_down:
            await asyncio.wait({asked}, timeout=PATIENCE)
        # Not waited for any longer: what hangs may be as slow to be cancelled.
        database, queue = asked.result() if asked.done() else (UNAVAILABLE, None)
        if asked.done():
            self._was_ok |= database == "ok"
        elif self._was_ok and is_busy(desk.engine) and _answers(watch, began):
            # Of what was never looked at nobody knows whether it is of this version.
            database = BUSY
        asked.cancel()
        checks = {"database": database, "cache": await _cache(desk.cache)}
        self._until = monotonic() + KEPT
        # Without the cache everything but logging in goes on, and without a worker reads do.
        status = database if database in _CAN_SERVE else UNAVAILABLE
        READINESS.labels(status).inc()
        return {"status": status, "checks": checks, "queue": queue}


async def _database(desk: TheDesk) -> tuple[str, dict[str, float | int] | None]:
    try:
        found = await migrate.version(desk.engine)
        if not found.is_current:
            return "not migrated", None
        lag = await queue_lag(desk.engine)
    except SeawallError:
        return UNAVAILABLE, None
    return "ok", {"waiting": lag.jobs, "oldest_seconds": round(lag.oldest_seconds, 1)}


def _answers(watch: Watch | None, began: float) -> bool:
    # It asks on a connection of its own, and more than once in the time that was waited.
    return watch is not None and not watch.is_down and watch.has_answered_since(began)


async def _cache(cache: Cache) -> str:
    try:
        await cache.hit("readyz", "readyz")
    except SeawallError:
        return UNAVAILABLE
    return "ok"


@router.get("/metrics")
async def tell_metrics(desk: TheDesk, request: Request) -> Response:
    """Tell the counts of all processes of this server to whoever may know them."""
    if not _may_know(desk, request):
        raise NotFoundError("Not Found")
    # Those of several processes are in files.
    written = await asyncio.to_thread(metrics.write)
    return Response(written, media_type=CONTENT_TYPE_LATEST)


def _may_know(desk: Desk, request: Request) -> bool:
    token = desk.settings.api.metrics_token
    if token is None:
        return _is_local(request)
    expected = f"Bearer {token.get_secret_value()}".encode()
    given = request.headers.get("authorization", "").encode(errors="replace")
    return hmac.compare_digest(given, expected)


def _is_local(request: Request) -> bool:
    # What a proxy on this machine passes on is not of this machine.
    if request.client is None or any(each in request.headers for each in _PASSED_ON):
        return False
    try:
        return ip_address(request.client.host).is_loopback
    except ValueError:
        return False
