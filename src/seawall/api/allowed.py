"""Which methods a path has: the routes that it has are one for each."""

from fastapi import Request
from starlette.routing import Match

_METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")


def methods_of(request: Request) -> str:
    """Return what `Allow` says of the path that was asked for."""
    return ", ".join(each for each in _METHODS if _has(request, each))


def _has(request: Request, method: str) -> bool:
    scope = dict(request.scope) | {"method": method}
    return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)
