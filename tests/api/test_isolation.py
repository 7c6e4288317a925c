"""No operation tells one user of another's things, or does anything to them."""

from typing import Any
from uuid import uuid4

from seawall.api.app import build_app
from seawall.db.session import transaction
from seawall.portfolios.portfolios import get_portfolio
from seawall.risk.report import report
from seawall.risk.schemas import RiskQuestion

Web = Any  # what the fixture is
V1 = "/api/v1"
CSV = b"date,type,asset,quantity,price_usd,fee_usd,notes\n2024-01-01,buy,BTC,1,40000,0,canary\n"
TEXT = {"Content-Type": "text/csv"}
UNDER = "/api/v1/auth/"


async def _victim(web: Web) -> dict[str, str]:
    """Somebody with a thing of each kind, by the names that paths have for their ids."""
    client = await web.known("victim@example.com")
    await client.patch(f"{V1}/profile", json={"display_name": "canary", "bio": "canary"})
    made = await client.post(f"{V1}/portfolios", json={"name": "canary"})
    portfolio = made.json()["id"]
    path = f"{V1}/portfolios/{portfolio}"
    await client.post(f"{path}/transactions", content=CSV, headers=TEXT)
    key = await client.post(f"{V1}/api-keys", json={"name": "canary", "scopes": ["read"]})
    (session,) = (await client.get(f"{V1}/sessions")).json()["items"]
    me = (await client.get(f"{V1}/profile")).json()["id"]
    async with transaction(web.desk.engine, me) as opened:
        kept = await report(opened, await get_portfolio(opened, "canary"), None, RiskQuestion())
    return {
        "portfolio_id": portfolio,
        "key_id": key.json()["id"],
        "session_id": session["id"],
        "report_id": str(kept.id),
    }


def _operations() -> list[tuple[str, str]]:
    schema = build_app().openapi()
    return [
        (method.upper(), path)
        for path, methods in schema["paths"].items()
        for method in methods
        if not path.startswith(UNDER)
    ]


async def _ask(client: Any, method: str, path: str) -> Any:
    if path.endswith("/transactions") and method == "POST":
        return await client.request(method, path, content=CSV, headers=TEXT)
    body = {"name": "Mine", "scopes": ["read"]} if path.endswith("/api-keys") else {"name": "Mine"}
    given = {"json": {} if method == "PATCH" else body} if method in {"POST", "PATCH"} else {}
    return await client.request(method, path, **given)


async def test_another_s_ids_are_as_good_as_none(web: Web, problem: Any) -> None:
    ids = await _victim(web)
    stranger = await web.known("stranger@example.com")
    with_ids = 0
    for method, pattern in _operations():
        path, absent = pattern, pattern
        for name, id_ in ids.items():
            path = path.replace(f"{{{name}}}", id_)
            absent = absent.replace(f"{{{name}}}", str(uuid4()))
        assert "{" not in path, "an id of a kind that the victim has none of"
        found = await _ask(stranger, method, path)
        assert "canary" not in found.text, (method, pattern)
        assert not [each for each in ids.values() if each in found.text and each not in path]
        if path != pattern:
            with_ids += 1
            told = problem(found, 404, "not-found")
            other = problem(await _ask(stranger, method, absent), 404, "not-found")
            assert (told["detail"], told.get("hint")) == (other["detail"], other.get("hint"))
    assert with_ids >= 12
    victim = await web.log_in("victim@example.com")
    client = web.client(victim["access_token"])
    held = (await client.get(f"{V1}/portfolios/{ids['portfolio_id']}/transactions")).json()
    assert len(held["items"]) == 1
    assert len((await client.get(f"{V1}/api-keys")).json()["items"]) == 1
    assert len((await client.get(f"{V1}/sessions")).json()["items"]) == 2


async def test_nothing_is_told_to_nobody(web: Web, problem: Any) -> None:
    ids = await _victim(web)
    schema = build_app().openapi()
    asked = 0
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            if not operation.get("security"):
                assert path.startswith(UNDER), path
                continue
            asked += 1
            filled = path
            for name, id_ in ids.items():
                filled = filled.replace(f"{{{name}}}", id_)
            for client in (web.client(), web.client("sw_abcdef_guess"), web.client("a.b.c")):
                problem(await _ask(client, method.upper(), filled), 401, "not-authenticated")
    assert asked >= 25


async def test_a_key_that_reads_changes_nothing(web: Web, problem: Any) -> None:
    ids = await _victim(web)
    client = web.client((await web.log_in("victim@example.com"))["access_token"])
    made = await client.post(f"{V1}/api-keys", json={"name": "reader", "scopes": ["read"]})
    reader = web.client(made.json()["key"])
    for method, pattern in _operations():
        path = pattern
        for name, id_ in ids.items():
            path = path.replace(f"{{{name}}}", id_)
        found = await _ask(reader, method, path)
        if method != "GET" or path.endswith(("/sessions", "/api-keys")):
            problem(found, 403, "forbidden")
        else:
            assert found.status_code == 200, (path, found.text)
