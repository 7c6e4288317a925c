"""How operations are declared, found, and ended: with their transaction, before the answer leaves.

FastAPI tries routes one after the other, and its dependencies with an end cost more than a read of
the database. So the routes stand in a tree by the segments of their paths, and an operation ends
its own transaction.
"""

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from seawall.api.deps import TRANSACTION, Opened, needs_caller
from seawall.api.errors import RESPONSES

METHOD_NOT_ALLOWED = 405
PREFIX = "/api/v1"
SCHEMES: Mapping[str, Mapping[str, str]] = {
    "HTTPBearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An access token, or an API key.",
    },
    "APIKeyCookie": {"type": "apiKey", "in": "cookie", "name": "__Host-seawall_session"},
}
"""How callers tell who they are, as the schema says it; `callers.identify` reads it."""


class Operation(APIRoute):
    """A route whose transaction, if it has one, is over before its answer is sent."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        if needs_caller(self.dependant):
            secured: dict[str, Any] = {"security": [{scheme: []} for scheme in SCHEMES]}
            self.openapi_extra = secured | (self.openapi_extra or {})

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        answer = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                answered = await answer(request)
            except BaseException as error:
                opened: Opened | None = request.scope.pop(TRANSACTION, None)
                if opened is not None:
                    await opened.end(error)
                raise
            opened = request.scope.pop(TRANSACTION, None)
            if opened is not None:
                await opened.end()
            return answered

        return handle


def routes(prefix: str = "", *tags: str) -> APIRouter:
    """Make a router of operations under /api/v1."""
    return APIRouter(
        prefix=PREFIX + prefix, tags=list(tags), responses=RESPONSES, route_class=Operation
    )


class _Node:
    """What may follow a part of a path: segments by name, or one that is a parameter."""

    def __init__(self) -> None:
        self.named: dict[str, _Node] = {}
        self.parameter: _Node | None = None
        self.routes: dict[str, tuple[APIRoute, tuple[str, ...]]] = {}


class Tree:
    """The operations by the segments of their paths; all else is left to the router behind it."""

    def __init__(self, routes: Iterable[APIRoute], otherwise: ASGIApp) -> None:
        self._root = _Node()
        self._otherwise = otherwise
        for route in routes:
            self._add(route)

    def _add(self, route: APIRoute) -> None:
        node, names = self._root, []
        for segment in route.path.split("/"):
            if segment.startswith("{"):
                names.append(segment.strip("{}"))
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.named.setdefault(segment, _Node())
        for method in route.methods or ():
            node.routes.setdefault(method, (route, tuple(names)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on to its operation, or refuse a method that its path does not have.

        A path by name has the methods of that name alone, though it may look like one with a
        parameter: `transactions/voids` is no transaction.
        """
        found = self.find(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if found is None:
            await self._otherwise(scope, receive, send)
            return
        route, parameters = found
        scope["route"], scope["endpoint"], scope["path_params"] = route, route.endpoint, parameters
        await route.handle(scope, receive, send)

    def find(self, method: str, path: str) -> tuple[APIRoute, dict[str, str]] | None:
        """Return an operation, and what its path's parameters are; None without such a path.

        Raises:
            HTTPException: the path is there, without this method.
        """
        node, values = self._root, []
        for segment in path.split("/"):
            following = node.named.get(segment)
            if following is None:
                following = node.parameter
                if following is None or not segment:
                    return None
                values.append(segment)
            node = following
        if not node.routes:
            return None
        found = node.routes.get(method)
        if found is None:
            allowed = {"Allow": ", ".join(sorted(node.routes))}
            raise HTTPException(METHOD_NOT_ALLOWED, headers=allowed)
        route, names = found
        return route, dict(zip(names, values, strict=True))


def stand_before(app: FastAPI) -> None:
    """Let an app find its operations by a tree."""
    operations = [route for route in app.router.routes if isinstance(route, APIRoute)]
    app.router.middleware_stack = Tree(operations, app.router.middleware_stack)
