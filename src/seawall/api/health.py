"""Whether this process lives, whether it can serve, and what it has counted."""

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

_PASSED_ON = ("forwarded", "x-forwarded-for")
router = APIRouter(include_in_schema=False)


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Say that this process answers."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(desk: TheDesk, response: Response) -> dict[str, Any]:
    """Say whether requests can be served now: 503 when not."""
    checks = {"database": await _database(desk), "cache": await _cache(desk.cache)}
    # Without the cache everything but logging in goes on.
    is_ready = checks["database"] == "ok"
    response.status_code = 200 if is_ready else 503
    return {"status": "ok" if is_ready else "unavailable", "checks": checks}


async def _database(desk: TheDesk) -> str:
    try:
        found = await migrate.version(desk.engine)
    except SeawallError:
        return "unavailable"
    return "ok" if found.is_current else "not migrated"


async def _cache(cache: Cache) -> str:
    try:
        await cache.hit("readyz", "readyz")
    except SeawallError:
        return "unavailable"
    return "ok"


@router.get("/metrics")
async def tell_metrics(desk: TheDesk, request: Request) -> Response:
    """Tell the counts of this process to whoever may know them."""
    token = desk.settings.api.metrics_token
    if token is None:
        allowed = _is_local(request)
    else:
        expected = f"Bearer {token.get_secret_value()}".encode()
        given = request.headers.get("authorization", "").encode(errors="replace")
        allowed = hmac.compare_digest(given, expected)
    if not allowed:
        raise NotFoundError("Not Found")
    return Response(metrics.write(), media_type=CONTENT_TYPE_LATEST)


def _is_local(request: Request) -> bool:
    # What a proxy on this machine passes on is not of this machine.
    if request.client is None or any(each in request.headers for each in _PASSED_ON):
        return False
    try:
        return ip_address(request.client.host).is_loopback
    except ValueError:
        return False
