"""Sparse answers: what was asked for and no more, everywhere alike."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from httpx import AsyncClient

from seawall.api.app import build_app

Web = Any  # what the fixture is
V1 = "/api/v1"


@pytest.fixture
async def ada(web: Web) -> AsyncIterator[AsyncClient]:
    async with await web.known("ada@example.com") as client:
        yield client


async def _portfolio(client: AsyncClient, name: str = "Main") -> str:
    made = await client.post(f"{V1}/portfolios", json={"name": name})
    return str(made.json()["id"])


async def test_no_more_is_shown_than_was_asked_for(ada: AsyncClient) -> None:
    id_ = await _portfolio(ada)
    whole = (await ada.get(f"{V1}/portfolios/{id_}")).json()
    for fields in ("id,name", "name, id", "id&fields=name", "id,name,id"):
        found = await ada.get(f"{V1}/portfolios/{id_}?fields={fields}")
        assert found.headers["content-type"] == "application/json"
        assert found.json() == {"id": id_, "name": "Main"}, fields
    every = ",".join(whole)
    assert (await ada.get(f"{V1}/portfolios/{id_}?fields={every}")).json() == whole
    listed = (await ada.get(f"{V1}/portfolios?fields=name&total=true")).json()
    assert listed == {"items": [{"name": "Main"}], "next_cursor": None, "total": 1}
    assert (await ada.get(f"{V1}/settings?fields=theme")).json() == {"theme": "light"}


async def test_a_field_that_is_not_there_is_named(ada: AsyncClient, problem: Any) -> None:
    id_ = await _portfolio(ada)
    # The list is empty, and its items have fields all the same.
    for path in (f"/portfolios/{id_}", "/portfolios", "/assets"):
        told = problem(await ada.get(f"{V1}{path}?fields=id,nme"), 422, "invalid")
        assert "'nme'" in told["detail"]
        assert "id, " in told["hint"]
    problem(await ada.get(f"{V1}/portfolios?fields="), 422, "invalid")
    problem(await ada.get(f"{V1}/portfolios?fields=id%00"), 422, "invalid")
    # What went wrong is told whole.
    problem(await ada.get(f"{V1}/portfolios/{id_[:-1]}?fields=id"), 422, "invalid")


async def test_the_tag_is_of_what_is_shown(ada: AsyncClient) -> None:
    id_ = await _portfolio(ada)
    url = f"{V1}/portfolios/{id_}"
    whole = (await ada.get(url)).headers["etag"]
    tag = (await ada.get(f"{url}?fields=name")).headers["etag"]
    other = (await ada.get(f"{url}?fields=name,id")).headers["etag"]
    assert len({whole, tag, other}) == 3
    again = await ada.get(f"{url}?fields=name", headers={"If-None-Match": tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    for known in (whole, other):
        found = await ada.get(f"{url}?fields=name", headers={"If-None-Match": known})
        assert (found.status_code, found.json()) == (200, {"name": "Main"})
    # The tag of an answer in which nothing shown has changed is still that.
    rows = "date,type,asset,quantity,price_usd,fee_usd,notes\n2024-01-01,deposit,USD,1,,,\n"
    await ada.post(f"{url}/transactions", content=rows, headers={"Content-Type": "text/csv"})
    assert (await ada.get(url)).headers["etag"] != whole
    assert (await ada.get(f"{url}?fields=name")).headers["etag"] == tag


async def test_only_reading_is_sparse(ada: AsyncClient) -> None:
    made = await ada.post(f"{V1}/portfolios?fields=id", json={"name": "Main"})
    assert made.json()["name"] == "Main"
    assert "profit" not in (await ada.get(f"{V1}/portfolios?xfields=id")).text[:20]


def test_the_schema_tells_of_it_once() -> None:
    for path, methods in build_app().openapi()["paths"].items():
        for method, operation in methods.items():
            names = [each["name"] for each in operation.get("parameters", [])]
            is_json = "application/json" in operation["responses"].get("200", {}).get("content", {})
            assert names.count("fields") == (method == "get" and is_json), (path, method)
