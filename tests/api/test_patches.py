"""Null means one thing in every change: what may be empty is cleared, and all else refuses it."""

from typing import Any

import pytest
from pydantic import ValidationError

from seawall.api.app import build_app
from seawall.api.v1.voids import TransactionChanges

Web = Any  # what the fixture is
V1 = "/api/v1"
SCHEMA = build_app().openapi()
PATCHES = sorted(path for path, told in SCHEMA["paths"].items() if "patch" in told)
FULL: dict[str, dict[str, Any]] = {
    "/profile": {"display_name": "Ada", "avatar_url": "https://example.com/a.png", "bio": "Hello"},
    "/settings": {"timezone": "Europe/London", "theme": "dark"},
    "/portfolios/{portfolio_id}": {"description": "What is kept."},
    "/risk/limits/everything": {
        "max_weight": 0.5,
        "max_position_value": "50",
        "blocking": ["max_weight"],
    },
    "/portfolios/{portfolio_id}/risk/limits": {"max_drawdown": 0.5, "blocking": ["max_drawdown"]},
}
CORRECTION = f"{V1}/portfolios/{{portfolio_id}}/transactions/{{transaction_id}}"
"""What is corrected is recorded anew, which has its own tests."""
ACCOUNT = f"{V1}/trading-accounts/{{account_id}}/risk/limits"
"""Of an account, which nothing makes over HTTP; it is changed as a portfolio's are."""
EMPTY: dict[str, Any] = {"description": "", "blocking": []}


def _properties(path: str) -> dict[str, Any]:
    body = SCHEMA["paths"][path]["patch"]["requestBody"]["content"]["application/json"]["schema"]
    schema = SCHEMA["components"]["schemas"][body["$ref"].rpartition("/")[2]]
    assert "required" not in schema
    found: dict[str, Any] = schema["properties"]
    return found


@pytest.mark.parametrize("path", PATCHES)
def test_no_schema_of_a_change_has_a_default_that_programs_would_send(path: str) -> None:
    for name, told in _properties(path).items():
        assert "default" not in told, name


def test_no_change_is_left_out() -> None:
    assert {V1 + path for path in FULL} | {CORRECTION, ACCOUNT} == set(PATCHES)
    assert _properties(ACCOUNT) == _properties(f"{V1}/portfolios/{{portfolio_id}}/risk/limits")
    for name, told in _properties(CORRECTION).items():
        may_be_null = {"type": "null"} in told.get("anyOf", ())
        assert may_be_null == (name in {"price_usd", "fee_usd", "notes"}), name
        if not may_be_null:
            with pytest.raises(ValidationError):
                TransactionChanges.model_validate({name: None})


@pytest.mark.parametrize("path", [V1 + path for path in FULL])
async def test_null_clears_what_may_be_empty_and_is_refused_elsewhere(
    web: Web, problem: Any, path: str
) -> None:
    client = await web.known("ada@example.com")
    made = await client.post(f"{V1}/portfolios", json={"name": "Main"})
    where = path.format(portfolio_id=made.json()["id"])
    full = FULL[path.removeprefix(V1)]
    before = (await client.patch(where, json=full)).json()
    assert {name: before[name] for name in full if not isinstance(full[name], str)} == {
        name: value for name, value in full.items() if not isinstance(value, str)
    }
    assert (await client.patch(where, json={})).json() == before, "what is left out stays"
    for name, told in _properties(path).items():
        answer = await client.patch(where, json={name: None})
        if {"type": "null"} not in told.get("anyOf", ()):
            assert problem(answer, 422, "invalid")["errors"]
            continue
        assert answer.json()[name] == EMPTY.get(name), name
    after = (await client.get(where)).json()
    cleared = {name: EMPTY.get(name) for name in full if name != "theme"}
    assert {name: after[name] for name in cleared} == cleared
    assert after.get("theme") == before.get("theme")
