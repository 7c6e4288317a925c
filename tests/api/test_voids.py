"""What was recorded wrongly is voided or corrected over HTTP, and still told to who asks."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from httpx import AsyncClient

Web = Any  # what the fixture is
V1 = "/api/v1"
ROWS = [
    {"time": "2024-01-01T00:00:00Z", "type": "deposit", "asset": "USD", "quantity": "1000"},
    {
        "time": "2024-01-01T00:00:00Z",
        "type": "buy",
        "asset": "BTC",
        "quantity": "2",
        "price_usd": "100",
    },
    {
        "time": "2024-01-03T00:00:00Z",
        "type": "sell",
        "asset": "BTC",
        "quantity": "1",
        "price_usd": "150",
        "notes": "half",
    },
]


@pytest.fixture
async def ada(web: Web) -> AsyncIterator[AsyncClient]:
    async with await web.known("ada@example.com") as client:
        yield client


async def _filled(ada: AsyncClient) -> tuple[str, list[dict[str, Any]], dict[str, Any]]:
    """A portfolio's path, its transactions, the oldest first, and what the import answered."""
    made = await ada.post(f"{V1}/portfolios", json={"name": "Main"})
    path = f"{V1}/portfolios/{made.json()['id']}"
    done = await ada.post(f"{path}/transactions", json={"transactions": ROWS})
    assert done.status_code == 201, done.text
    return path, (await _listed(ada, path, sort="time")), done.json()


async def _listed(ada: AsyncClient, path: str, **asked: str) -> list[dict[str, Any]]:
    found = await ada.get(f"{path}/transactions", params=asked)
    assert found.status_code == 200, found.text
    items: list[dict[str, Any]] = found.json()["items"]
    return items


async def test_a_transaction_is_voided_and_told_of_when_it_is_asked_for(
    ada: AsyncClient, problem: Any
) -> None:
    path, (deposit, bought, sold), _ = await _filled(ada)
    one = f"{path}/transactions/{sold['id']}"
    seen = await ada.get(one)
    assert seen.json() == sold
    assert (await ada.get(one, headers={"If-None-Match": seen.headers["etag"]})).status_code == 304
    stale = {"If-Match": '"0123456789abcdef0123456789abcdef"'}
    problem(await ada.delete(one, headers=stale), 412, "precondition-failed")
    told = problem(await ada.delete(f"{path}/transactions/{bought['id']}"), 409, "conflict")
    assert "BTC is held" in told["detail"]
    problem(await ada.delete(f"{one}?reason=a%0Ab"), 422, "invalid")
    match = {"If-Match": seen.headers["etag"]}
    assert (await ada.delete(f"{one}?reason=twice", headers=match)).status_code == 204
    problem(await ada.delete(one), 409, "conflict")
    problem(await ada.delete(one, headers=match), 412, "precondition-failed")
    assert await _listed(ada, path) == [bought, deposit]
    (gone,) = await _listed(ada, path, voided="only")
    assert (gone["id"], gone["void_reason"], gone["void_kind"]) == (sold["id"], "twice", "row")
    assert gone["voided_at"] > gone["recorded_at"]
    assert len(await _listed(ada, path, voided="with")) == 3
    assert (await ada.get(f"{path}/transactions?voided=with&total=true")).json()["total"] == 3
    held = (await ada.get(f"{path}/holdings")).json()["items"]
    assert {each["asset"]: each["quantity"] for each in held} == {"BTC": "2", "USD": "800"}
    assert (await ada.get(f"{path}/performance")).json()["realised_profit_usd"] == "0"
    again = await ada.post(f"{path}/transactions", json={"transactions": ROWS})
    assert (again.json()["unchanged"], again.json()["left_out"]) == (2, 1)
    assert again.json()["imported_at"] is None
    taken = await ada.post(f"{path}/transactions?again=true", json={"transactions": ROWS})
    assert (taken.json()["inserted"], taken.json()["left_out"]) == (1, 0)


async def test_a_transaction_is_corrected_in_its_place(ada: AsyncClient, problem: Any) -> None:
    path, (deposit, bought, sold), _ = await _filled(ada)
    one = f"{path}/transactions/{bought['id']}"
    seen = await ada.get(one)
    match = {"If-Match": seen.headers["etag"]}
    wanted = {"price_usd": "90.5", "fee_usd": "1", "notes": "mended", "reason": "typed wrongly"}
    done = await ada.patch(one, json=wanted, headers=match)
    assert done.status_code == 200, done.text
    new = done.json()
    assert new["replaces_id"] == bought["id"] != new["id"]
    assert (new["price_usd"], new["fee_usd"], new["notes"]) == ("90.5", "1", "mended")
    assert (new["quantity"], new["time"], new["type"]) == ("2", bought["time"], "buy")
    assert await _listed(ada, path, sort="time") == [deposit, new, sold]
    old = (await ada.get(one)).json()
    assert (old["replaced_by"], old["void_kind"]) == (new["id"], "correction")
    told = problem(await ada.patch(one, json={"quantity": "3"}), 409, "conflict")
    assert new["id"] in told["detail"]
    (lot,) = (await ada.get(f"{path}/lots")).json()["items"]
    assert lot["cost_basis_usd"] == "91"
    path_of_new = f"{path}/transactions/{new['id']}"
    assert (await ada.patch(path_of_new, json={"notes": None})).json()["notes"] == ""
    assert (await ada.patch(f"{path}/transactions/{sold['id']}", json={})).json() == sold
    for wrong in (
        {"quantity": None},
        {"quantity": "0"},
        {"quantity": 1},
        {"price_usd": None},
        {"time": "2999-01-01T00:00:00Z"},
        {"entry": 1},
        {"voided_at": None},
        {"reason": "a\nb"},
    ):
        problem(await ada.patch(f"{path}/transactions/{sold['id']}", json=wrong), 422, "invalid")
    problem(
        await ada.patch(f"{path}/transactions/{sold['id']}", json={"quantity": "3"}), 422, "invalid"
    )
    for notes in ("a\0b", "\0"):
        changed = await ada.patch(f"{path}/transactions/{sold['id']}", json={"notes": notes})
        problem(changed, 422, "invalid")
    # A page that ends between what was voided and what stands in its place goes on after it.
    pages: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        found = await ada.get(f"{path}/transactions?voided=with&limit=1&sort=-time{cursor}")
        pages += [each["id"] for each in found.json()["items"]]
        following = found.json()["next_cursor"]
        cursor = following and f"&cursor={following}"
    assert len(pages) == len(set(pages)) == 5


async def test_an_import_is_voided_whole(ada: AsyncClient, problem: Any) -> None:
    path, (deposit, bought, sold), imported = await _filled(ada)
    eth = ROWS[1] | {"asset": "ETH", "quantity": "1"}
    await ada.post(f"{path}/transactions", json={"transactions": [eth]})
    assert {each["imported_at"] for each in (deposit, bought, sold)} == {imported["imported_at"]}
    later, first = (await ada.get(f"{path}/imports?total=true")).json()["items"]
    assert first == {
        "imported_at": imported["imported_at"], "transactions": 3, "voided": 0,
        "first": ROWS[0]["time"], "last": ROWS[2]["time"],
    }  # fmt: skip
    page = (await ada.get(f"{path}/imports?limit=1")).json()
    rest = (await ada.get(f"{path}/imports?cursor={page['next_cursor']}")).json()
    assert (page["items"], rest["items"], rest["next_cursor"]) == ([later], [first], None)
    voids = f"{path}/transactions/voids"
    # It pays for what came later.
    told = await ada.post(voids, json={"imported_at": imported["imported_at"]})
    assert told.status_code == 200, told.text
    assert told.json() == {"voided": 3}
    problem(await ada.post(voids, json={"imported_at": imported["imported_at"]}), 409, "conflict")
    problem(await ada.post(voids, json={"imported_at": "2024-01-01T00:00:00Z"}), 404, "not-found")
    both: dict[str, Any] = {"ids": [deposit["id"]], "imported_at": ROWS[0]["time"]}
    refused: tuple[dict[str, Any], ...] = ({}, {"ids": []}, both)
    for wrong in refused:
        problem(await ada.post(voids, json=wrong), 422, "invalid")
    assert [each["asset"] for each in await _listed(ada, path)] == ["ETH"]
    assert (await ada.get(f"{path}/imports")).json()["items"][1]["voided"] == 3
    back = await ada.post(f"{path}/transactions", json={"transactions": ROWS})
    assert back.json()["inserted"] == 3


async def test_several_are_voided_at_once_or_none(ada: AsyncClient, problem: Any) -> None:
    path, (deposit, bought, sold), _ = await _filled(ada)
    voids = f"{path}/transactions/voids"
    problem(await ada.post(voids, json={"ids": [deposit["id"], bought["id"]]}), 409, "conflict")
    wrong = [bought["id"], "00000000-0000-4000-8000-000000000000"]
    problem(await ada.post(voids, json={"ids": wrong}), 404, "not-found")
    assert len(await _listed(ada, path)) == 3
    named = {"Idempotency-Key": "both"}
    body = {"ids": [bought["id"], sold["id"], sold["id"]], "reason": "another's"}
    answers = [await ada.post(voids, json=body, headers=named) for _ in range(2)]
    assert [each.json() for each in answers] == [{"voided": 2}, {"voided": 2}]
    assert await _listed(ada, path) == [deposit]


async def test_of_two_who_correct_the_same_one_does(ada: AsyncClient) -> None:
    path, (_, bought, _), _ = await _filled(ada)
    one = f"{path}/transactions/{bought['id']}"
    match = {"If-Match": (await ada.get(one)).headers["etag"]}
    prices = [ada.patch(one, json={"price_usd": f"{each}"}, headers=match) for each in (90, 91, 92)]
    assert sorted(each.status_code for each in await asyncio.gather(*prices)) == [200, 412, 412]
    assert len(await _listed(ada, path)) == 3


@pytest.mark.parametrize("by", ["time", "recorded_at", "asset"])
async def test_pages_are_right_in_every_order(ada: AsyncClient, problem: Any, by: str) -> None:
    path, _, _ = await _filled(ada)
    eth = ROWS[1] | {"asset": "ETH", "quantity": "1"}
    await ada.post(f"{path}/transactions", json={"transactions": [eth, eth]})
    for sort in (by, f"-{by}"):
        whole = await _listed(ada, path, sort=sort)
        values = [each[by] for each in whole]
        assert values == sorted(values, reverse=sort != by)
        shown, cursor = [], None
        while True:
            asked = {"sort": sort, "limit": "2"} | ({"cursor": cursor} if cursor else {})
            page = (await ada.get(f"{path}/transactions", params=asked)).json()
            shown += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
            other = {"sort": by if sort != by else f"-{by}", "cursor": cursor}
            problem(await ada.get(f"{path}/transactions", params=other), 422, "invalid")
        assert shown == whole
        assert len(whole) == 5
