"""Sessions, keys, profile and settings: one's own, changed once, and by whoever may."""

import asyncio
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import text

from seawall.api.v1.account import AvatarUrl, ProfileChange
from seawall.identity.schemas import AVATAR_URL

Web = Any  # what the fixture is
ADA, BOB = "ada@example.com", "bob@example.com"
V1 = "/api/v1"


async def test_a_key_does_what_its_scopes_say_and_nothing_of_the_account_s_security(
    web: Web, problem: Any
) -> None:
    client = await web.known(ADA)
    made = await client.post(f"{V1}/api-keys", json={"name": "bot", "scopes": ["read"]})
    assert made.status_code == 201
    bot = web.client(made.json()["key"])
    assert (await bot.get(f"{V1}/profile")).json()["email"] == ADA
    problem(await bot.patch(f"{V1}/settings", json={"theme": "dark"}), 403, "forbidden")
    all_scopes = {"name": "all", "scopes": ["read", "trade", "manage"]}
    made = await client.post(f"{V1}/api-keys", json=all_scopes)
    strong = web.client(made.json()["key"])
    assert (await strong.patch(f"{V1}/settings", json={"theme": "dark"})).status_code == 200
    for method, path in (
        ("GET", "/sessions"),
        ("GET", "/api-keys"),
        ("POST", "/auth/logout"),
        ("POST", "/auth/logout-everywhere"),
        ("GET", "/auth/csrf"),
    ):
        problem(await strong.request(method, V1 + path), 403, "forbidden")
    keys = (await client.get(f"{V1}/api-keys")).json()["items"]
    assert {each["name"] for each in keys} == {"bot", "all"}
    assert "key" not in keys[0]
    for each in keys:
        assert (await client.delete(f"{V1}/api-keys/{each['id']}")).status_code == 204
    problem(await bot.get(f"{V1}/profile"), 401, "not-authenticated")


async def test_what_is_another_s_is_not_there(web: Web, problem: Any) -> None:
    ada, bob = await web.known(ADA), await web.known(BOB)
    made = await ada.post(f"{V1}/api-keys", json={"name": "bot", "scopes": ["read"]})
    (session,) = (await ada.get(f"{V1}/sessions")).json()["items"]
    for path in ("/api-keys/", "/sessions/"):
        hers = {"/api-keys/": made.json()["id"], "/sessions/": session["id"]}[path]
        told = [
            problem(await bob.delete(V1 + path + each), 404, "not-found") | {"instance": ""}
            for each in (hers, str(uuid4()))
        ]
        assert told[0] == told[1]
    assert (await ada.get(f"{V1}/profile")).status_code == 200
    assert (await ada.delete(f"{V1}/sessions/{session['id']}")).status_code == 204


async def test_a_request_with_a_key_happens_once(web: Web, problem: Any) -> None:
    client, other = await web.known(ADA), await web.known(BOB)
    given: dict[str, Any] = {"name": "bot", "scopes": ["read"]}
    named = {"Idempotency-Key": "first"}
    made = await asyncio.gather(
        *(client.post(f"{V1}/api-keys", json=given, headers=named) for _ in range(5))
    )
    assert {each.status_code for each in made} == {201}
    assert len({each.content for each in made}) == 1
    replayed = [each for each in made if "idempotency-replayed" in each.headers]
    assert len(replayed) == 4
    changed = await client.post(f"{V1}/api-keys", json=given | {"name": "b"}, headers=named)
    problem(changed, 409, "conflict")
    # What failed did not happen, and its key is free again.
    again = {"Idempotency-Key": "second"}
    problem(await client.post(f"{V1}/api-keys", json=given, headers=again), 409, "conflict")
    for each in (await client.get(f"{V1}/api-keys")).json()["items"]:
        await client.delete(f"{V1}/api-keys/{each['id']}")
    assert (await client.post(f"{V1}/api-keys", json=given, headers=again)).status_code == 201
    # Keys are each user's own.
    hers = await other.post(f"{V1}/api-keys", json=given, headers=named)
    assert (hers.status_code, hers.json()["id"]) != (201, made[0].json()["id"])
    wrong = {"Idempotency-Key": "x" * 256}
    problem(await client.post(f"{V1}/api-keys", json=given, headers=wrong), 422, "invalid")


@pytest.mark.parametrize(
    ("path", "first", "second"),
    [
        ("/settings", {"theme": "dark"}, {"timezone": "Europe/London"}),
        ("/profile", {"display_name": "Ada"}, {"username": "ada", "bio": None}),
    ],
)
async def test_what_was_changed_meanwhile_is_not_changed(
    web: Web, problem: Any, path: str, first: Any, second: Any
) -> None:
    client = await web.known(ADA)
    found = await client.get(V1 + path)
    tag = found.headers["etag"]
    known = await client.get(V1 + path, headers={"If-None-Match": f'"other", W/{tag}'})
    assert (known.status_code, known.content) == (304, b"")
    done = await client.patch(V1 + path, json=first, headers={"If-Match": tag})
    assert done.json() == found.json() | first
    stale = await client.patch(V1 + path, json=second, headers={"If-Match": tag})
    problem(stale, 412, "precondition-failed")
    fresh = {"If-Match": done.headers["etag"]}
    done = await client.patch(V1 + path, json=second, headers=fresh)
    assert done.json() == found.json() | first | second
    assert (await client.get(V1 + path)).json() == done.json()


async def test_the_database_lets_in_the_avatars_that_the_api_does(web: Web) -> None:
    host = f"https://{'a' * 63}.example.com"
    sound = ["https://example.com", "https://a-b.example.com/a.png?x=[1]&y=%20#z", f"{host}/(a)"]
    wrong = ["http://example.com", "https://example", "https://a_b.example.com", "https://1.2.3.4"]
    wrong += ["https://ada@example.com", "https://example.com:8443/", "https://example.com/a b"]
    wrong += ["https://example.com/a\n", "https://example.com\n", "https://Example.com", "", "/a"]
    wrong += [
        f"https://a{host[8:]}",
        "https://example.com/é",
        "https://exämple.com",
        "https://-a.com",
    ]
    let_in = TypeAdapter(AvatarUrl)
    async with web.desk.engine.connect() as connection:
        for url in sound + wrong:
            asked = {"url": url, "pattern": AVATAR_URL}
            is_held = await connection.scalar(text("SELECT :url ~ :pattern"), asked)
            try:
                is_let_in = let_in.validate_python(url) == url
            except ValidationError:
                is_let_in = False
            assert (is_held, is_let_in) == (url in sound, url in sound), url


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("/settings", {"theme": "pink"}),
        ("/settings", {"theme": None}),
        ("/settings", {"timezone": "Europe/Atlantis"}),
        ("/settings", {"default_currency": "usd"}),
        ("/settings", {"user_id": str(uuid4())}),
        ("/profile", {"username": None}),
        ("/profile", {"username": ""}),
        ("/profile", {"bio": "a\x00"}),
        ("/profile", {"avatar_url": "javascript:alert(1)"}),
        ("/profile", {"avatar_url": "/\\evil.test"}),
        ("/profile", {"tier": "pro"}),
        ("/profile", {"is_superuser": True}),
    ],
)
async def test_what_cannot_be_is_refused(web: Web, problem: Any, path: str, wrong: Any) -> None:
    client = await web.known(ADA)
    problem(await client.patch(V1 + path, json=wrong), 422, "invalid")


async def test_a_name_that_is_taken_is_a_conflict_and_tells_nothing_of_the_row(
    web: Web, problem: Any
) -> None:
    ada, bob = await web.known(ADA), await web.known(BOB)
    assert (await ada.patch(f"{V1}/profile", json={"username": "ada"})).status_code == 200
    told = problem(await bob.patch(f"{V1}/profile", json={"username": "ADA"}), 409, "conflict")
    assert "Key" not in told["detail"]


_HOST = st.text("ab.-_@:/\\%[]1 \t\n\u3002\xe9", max_size=12) | st.just("example.com")
_ALMOST = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["https://", "http://", "//", "/\\", "/", "https:/", "HTTPS://", "", "\t"]),
        _HOST,
        st.sampled_from(["", "/", "?", "#", "\\", "@", ":443"]),
        st.text(max_size=8) | st.sampled_from(["a.png", "\r\nx", "<script>", '"onload=', "%2e"]),
    ),
)


@settings(max_examples=400, deadline=None)
@given(url=_ALMOST | st.text(max_size=30))
def test_a_picture_is_where_a_named_host_has_it_over_tls(url: str) -> None:
    try:
        taken = ProfileChange.model_validate({"avatar_url": url}).avatar_url
    except ValidationError:
        return
    assert taken == url
    found = urlsplit(url)
    assert found.scheme == "https"
    assert (found.username, found.password, found.port) == (None, None, None)
    assert found.hostname == found.netloc
    assert "." in found.netloc.strip(".")
    assert found.netloc.rpartition(".")[2][:1].isalpha(), "no address of a machine"
    assert url.isascii()
    assert url.isprintable()
    assert not set(url) & set(" \\<>\"'`{}^|")
    assert len(url) <= 500


@pytest.mark.parametrize(
    ("url", "is_taken"),
    [
        ("https://example.com/a.png", True),
        ("https://cdn.xn--e1afmkfd.xn--p1ai/a/b.png?size=2#x", True),
        ("https://example.com", True),
        (f"https://example.com/{'a' * 480}", True),
        (f"https://example.com/{'a' * 481}", False),
        ("http://example.com/a.png", False),
        ("https://example.com\\@evil.test", False),
        ("https://ada@example.com/", False),
        ("https://localhost/a.png", False),
        ("https://127.0.0.1/a.png", False),
        ("https://[::1]/a.png", False),
        ("https:///a.png", False),
        ("https://example.com:99999/", False),
        ("https://example.com/a\n", False),
        ("//example.com/a.png", False),
        ("/a.png", False),
    ],
)
def test_these_pictures_are_taken_and_refused(url: str, *, is_taken: bool) -> None:
    if is_taken:
        assert ProfileChange(avatar_url=url).avatar_url == url
    else:
        with pytest.raises(ValidationError):
            ProfileChange(avatar_url=url)
