"""Whether this process lives, whether it can serve, and what it has counted."""

import asyncio
import hmac
from ipaddress import ip_address
from typing import Any

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from seawall.api import metrics
from seawall.api.deps import TheDesk
from seawall.core.errors import NotFoundError, SeawallError
from seawall.db import migrate
from seawall.db.cache.client import Cache
from seawall.db.watch import PATIENCE, Watch
from seawall.jobs.store import queue_lag

UNAVAILABLE = "unavailable"
_PASSED_ON = ("forwarded", "x-forwarded-for")
router = APIRouter(include_in_schema=False)


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Say that this process answers."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(desk: TheDesk, request: Request, response: Response) -> dict[str, Any]:
    """Say whether requests can be served now: 503 when not; and how the queue stands."""
    watch: Watch | None = getattr(request.app.state, "watch", None)
    asked = asyncio.ensure_future(_database(desk))
    if watch is None or not watch.is_down:
        await asyncio.wait({asked}, timeout=PATIENCE)
    # Not waited for any longer: what hangs may be as slow to be cancelled.
    database, queue = asked.result() if asked.done() else (UNAVAILABLE, None)
    asked.cancel()
    # Without the cache everything but logging in goes on, and without a worker reads do.
    is_ready = database == "ok"
    response.status_code = 200 if is_ready else 503
    checks = {"database": database, "cache": await _cache(desk.cache)}
    return {"status": "ok" if is_ready else UNAVAILABLE, "checks": checks, "queue": queue}


async def _database(desk: TheDesk) -> tuple[str, dict[str, float | int] | None]:
    try:
        found = await migrate.version(desk.engine)
        if not found.is_current:
            return "not migrated", None
        lag = await queue_lag(desk.engine)
    except SeawallError:
        return UNAVAILABLE, None
    return "ok", {"waiting": lag.jobs, "oldest_seconds": round(lag.oldest_seconds, 1)}


async def _cache(cache: Cache) -> str:
    try:
        await cache.hit("readyz", "readyz")
    except SeawallError:
        return UNAVAILABLE
    return "ok"


@router.get("/metrics")
async def tell_metrics(desk: TheDesk, request: Request) -> Response:
    """Tell the counts of all processes of this server to whoever may know them."""
    token = desk.settings.api.metrics_token
    if token is None:
        allowed = _is_local(request)
    else:
        expected = f"Bearer {token.get_secret_value()}".encode()
        given = request.headers.get("authorization", "").encode(errors="replace")
        allowed = hmac.compare_digest(given, expected)
    if not allowed:
        raise NotFoundError("Not Found")
    # Those of several processes are in files.
    written = await asyncio.to_thread(metrics.write)
    return Response(written, media_type=CONTENT_TYPE_LATEST)


def _is_local(request: Request) -> bool:
    # What a proxy on this machine passes on is not of this machine.
    if request.client is None or any(each in request.headers for each in _PASSED_ON):
        return False
    try:
        return ip_address(request.client.host).is_loopback
    except ValueError:
        return False
