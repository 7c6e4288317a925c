"""Operations are found as FastAPI finds them, and end their transaction before they answer."""

from typing import Any
from uuid import uuid4

import pytest
from fastapi.routing import APIRoute

from seawall.api.app import build_app
from seawall.api.operations import Tree

Web = Any  # what the fixture is
V1 = "/api/v1"


async def _nobody(*_: Any) -> None:
    raise AssertionError("passed on to the router")


def test_every_route_is_found_by_its_own_path() -> None:
    routes = [each for each in build_app().router.routes if isinstance(each, APIRoute)]
    tree = Tree(routes, _nobody)
    for route in routes:
        names = [name.strip("{}") for name in route.path.split("/") if name.startswith("{")]
        values = {name: uuid4().hex for name in names}
        path = route.path.format(**values)
        for method in route.methods or ():
            assert tree.find(method, path) == (route, values)
    assert len(routes) > 30


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "/"),
        ("GET", f"{V1}/portfolios/"),
        ("GET", f"{V1}/portfolios//lots"),
        ("GET", "/healthz/more"),
        ("GET", "//healthz"),
    ],
)
def test_what_is_not_there_is_left_to_the_router(method: str, path: str) -> None:
    routes = [each for each in build_app().router.routes if isinstance(each, APIRoute)]
    assert Tree(routes, _nobody).find(method, path) is None


async def test_a_wrong_method_is_told_which_are_right(web: Web, problem: Any) -> None:
    client = web.client()
    # One of a name is not one of an id, though it could be.
    voids = f"{V1}/portfolios/{uuid4()}/transactions/voids"
    for method, path, right in (
        ("PUT", f"{V1}/portfolios", "GET, POST"),
        ("HEAD", f"{V1}/portfolios", "GET, POST"),
        ("PATCH", voids, "POST"),
        ("OPTIONS", voids, "POST"),
        ("POST", "/healthz", "GET"),
    ):
        found = await client.request(method, path)
        assert (found.status_code, found.headers["allow"]) == (405, right), (method, path)
        if method != "HEAD":
            problem(found, 405, "http")


async def test_connections_come_back_whatever_happens(web: Web) -> None:
    client = await web.known("somebody@example.com")
    for _ in range(3):
        assert (await client.get(f"{V1}/portfolios/{uuid4()}")).status_code == 404
        assert (await client.get(f"{V1}/portfolios/none")).status_code == 422
        assert (await client.get(f"{V1}/portfolios?limit=none")).status_code == 422
        assert (await client.post(f"{V1}/portfolios", json={})).status_code == 422
        assert (await client.post(f"{V1}/portfolios", content=b"{")).status_code == 422
        assert (await client.get(f"{V1}/portfolios")).status_code == 200
    assert web.desk.engine.pool.checkedout() == 0
