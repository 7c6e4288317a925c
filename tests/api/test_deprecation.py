"""What will go is announced: in the schema, and with every answer."""

from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from httpx import ASGITransport, AsyncClient

from seawall.api.deprecation import Deprecation
from seawall.api.edge import Edge
from seawall.api.errors import handle_errors
from seawall.core.errors import InvalidError, NotFoundError

SINCE, SUNSET = datetime(2026, 3, 1, tzinfo=UTC), datetime(2027, 3, 1, 12, 30, tzinfo=UTC)
OLD = Deprecation(SINCE, SUNSET, "https://example.com/moved")


def _app() -> FastAPI:
    router = APIRouter()

    @router.get("/old/{thing}", **OLD.marks)
    async def old(thing: int) -> dict[str, int]:
        if not thing:
            raise NotFoundError("There is no such thing.")
        return {"thing": thing}

    @router.get("/new/{thing}")
    async def new(thing: int) -> dict[str, int]:
        return {"thing": thing}

    app = FastAPI()
    app.include_router(router, prefix="/api/v1")
    handle_errors(app)
    app.add_middleware(Edge)
    return app


@pytest.mark.parametrize(("thing", "status"), [("1", 200), ("0", 404), ("x", 422)])
async def test_every_answer_says_since_when_and_until(thing: str, status: int) -> None:
    async with AsyncClient(transport=ASGITransport(_app()), base_url="https://test") as client:
        found = await client.get(f"/api/v1/old/{thing}")
        other = await client.get(f"/api/v1/new/{thing}")
    assert found.status_code == status
    assert found.headers["deprecation"] == "@1772323200"
    assert found.headers["sunset"] == "Mon, 01 Mar 2027 12:30:00 GMT"
    assert found.links["deprecation"]["url"] == found.links["sunset"]["url"] == OLD.link
    assert not {"deprecation", "sunset", "link"} & set(other.headers)


def test_the_schema_says_so() -> None:
    paths: dict[str, Any] = _app().openapi()["paths"]
    old = paths["/api/v1/old/{thing}"]["get"]
    assert old["deprecated"] is True
    assert (old["x-deprecated-at"], old["x-sunset"]) == (
        "2026-03-01T00:00:00Z",
        "2027-03-01T12:30:00Z",
    )
    assert "deprecated" not in paths["/api/v1/new/{thing}"]["get"]


def test_nothing_ends_before_it_is_deprecated() -> None:
    with pytest.raises(InvalidError, match="before"):
        Deprecation(SUNSET, SINCE, "https://example.com")
