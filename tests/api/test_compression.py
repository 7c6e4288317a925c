"""Compression: for whoever wants it, of what is worth it, and never of secrets."""

import gzip
from collections.abc import AsyncIterator, Iterator
from typing import Any, get_args

import httpx
import pytest
import zstandard
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.routing import APIRoute
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from seawall.api.app import build_app
from seawall.api.compression import CODINGS, LEAST_BYTES, Compression, is_secret
from seawall.api.negotiation import best_coding

Web = Any  # what the fixture is
V1 = "/api/v1"
MORE = {"no-store": {"Cache-Control": "no-store"}, "cookie": {"Set-Cookie": "a=b"}}
LONG = b"some text, over and over. " * 400


class Raw:
    """Asks without taking the coding off what comes."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def get(self, path: str, accept: str = "", **more: str) -> httpx.Response:
        headers = {"Accept-Encoding": accept} | {
            name.replace("_", "-"): value for name, value in more.items()
        }
        request = self._client.build_request("GET", path, headers=headers)
        found = await self._client.send(request, stream=True)
        raw = b"".join([part async for part in found.aiter_raw()])
        kept = [each for each in found.headers.multi_items() if each[0] != "content-encoding"]
        coding = found.headers.get("content-encoding", "")
        told = [*kept, ("x-coding", coding), ("x-length", found.headers.get("content-length", ""))]
        return httpx.Response(found.status_code, headers=told, content=raw)


def read(found: httpx.Response) -> bytes:
    """What an answer says."""
    match found.headers["x-coding"]:
        case "gzip":
            return gzip.decompress(found.content)
        case "zstd":
            return zstandard.ZstdDecompressor().decompressobj().decompress(found.content)
    return found.content


def _parts() -> Iterator[bytes]:
    for _ in range(20):
        yield LONG[:500]


def _app() -> FastAPI:
    app = FastAPI()
    app.add_middleware(Compression)

    @app.get("/{kind:path}")
    async def tell(request: Request, kind: str) -> Response:
        size = int(request.query_params.get("size", len(LONG)))
        known = request.headers.get("if-none-match", "")
        if '"abc"' in known:
            return Response(status_code=304, headers={"ETag": '"abc"'})
        if kind in {"parts", "events"}:
            media_type = "text/csv" if kind == "parts" else "text/event-stream"
            return StreamingResponse(_parts(), media_type=media_type)
        headers = {"ETag": '"abc"'} | MORE.get(kind, {})
        media_type = "image/png" if kind == "image" else "application/json"
        return Response(LONG[:size], headers=headers, media_type=media_type)

    return app


@pytest.fixture
async def raw() -> AsyncIterator[Raw]:
    transport = httpx.ASGITransport(_app())
    async with httpx.AsyncClient(transport=transport, base_url="https://test") as client:
        yield Raw(client)


async def test_what_is_wanted_most_is_sent(raw: Raw) -> None:
    for accept, coding in (
        ("", ""),
        ("gzip", "gzip"),
        ("zstd", "zstd"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip;q=1.0, zstd;q=0.5", "gzip"),
        ("gzip;q=0, zstd;q=0", ""),
        ("*", "zstd"),
        ("*;q=0.5, zstd;q=0", "gzip"),
        ("br", ""),
        ("identity, gzip;q=0.5", ""),
        ("GZIP", "gzip"),
        ("gzip;q=nonsense", ""),
    ):
        found = await raw.get("/any", accept)
        assert (found.headers["x-coding"], read(found)) == (coding, LONG), accept
        assert found.headers["vary"] == "Accept-Encoding"
        assert int(found.headers["x-length"]) == len(found.content)
        assert coding == "" or len(found.content) < len(LONG) / 10


async def test_what_is_short_or_not_text_is_left_alone(raw: Raw) -> None:
    short = await raw.get(f"/any?size={LEAST_BYTES - 1}", "gzip")
    assert (short.headers["x-coding"], len(short.content)) == ("", LEAST_BYTES - 1)
    assert "vary" not in short.headers
    enough = await raw.get(f"/any?size={LEAST_BYTES}", "gzip")
    assert (enough.headers["x-coding"], len(read(enough))) == ("gzip", LEAST_BYTES)
    for path in ("/image", "/events"):
        found = await raw.get(path, "gzip")
        assert found.headers["x-coding"] == "", path


async def test_secrets_are_never_compressed(raw: Raw) -> None:
    for path in ("/no-store", "/cookie", f"{V1}/auth/login", f"{V1}/api-keys"):
        found = await raw.get(path, "gzip, zstd")
        assert (found.headers["x-coding"], found.content) == ("", LONG), path


@pytest.mark.parametrize("coding", CODINGS)
async def test_what_comes_in_parts_is_compressed_as_it_goes(raw: Raw, coding: str) -> None:
    found = await raw.get("/parts", coding)
    assert found.headers["x-coding"] == coding
    assert read(found) == LONG[:500] * 20
    assert found.headers["x-length"] == ""


async def test_each_coding_has_a_tag_of_its_own(raw: Raw) -> None:
    tags = {accept: (await raw.get("/any", accept)).headers["etag"] for accept in ("", *CODINGS)}
    assert tags == {"": '"abc"', "gzip": '"abc-gzip"', "zstd": '"abc-zstd"'}
    for accept, tag in tags.items():
        known = await raw.get("/any", accept, if_none_match=f'"other", {tag}')
        assert (known.status_code, known.headers["etag"], known.content) == (304, tag, b"")
        weak = await raw.get("/any", accept, if_none_match=f"W/{tag}")
        assert weak.status_code == 304
    # Who can read one coding has no use for another that it was sent once.
    for accept, tag in (("", tags["gzip"]), ("zstd", tags["gzip"])):
        found = await raw.get("/any", accept, if_none_match=tag)
        assert (found.status_code, read(found)) == (200, LONG)


@given(
    st.lists(
        st.tuples(st.sampled_from([*CODINGS, "identity", "br", "*"]), st.integers(0, 1_000)),
        unique_by=lambda each: each[0],
    )
)
def test_no_coding_is_chosen_that_is_refused_or_wanted_less(
    weighed: list[tuple[str, int]],
) -> None:
    header = ", ".join(f"{name};q={weight / 1_000}" for name, weight in weighed)
    weights = dict(weighed)
    found = best_coding(header, CODINGS)
    wanted = {each: weights.get(each, weights.get("*", 0)) for each in CODINGS}
    if found is None:
        assert max(wanted.values()) <= weights.get("identity", 0)
    else:
        assert wanted[found] == max(wanted.values()) > 0
        assert wanted[found] >= weights.get("identity", 0)


async def test_the_app_compresses_and_guards_what_it_changes(web: Web, problem: Any) -> None:
    async with await web.known("ada@example.com") as client:
        metrics = await client.get(f"{V1}/risk/metrics", headers={"Accept-Encoding": "gzip"})
        assert metrics.headers["content-encoding"] == "gzip"
        assert metrics.json()["items"]
        bio = {"bio": "long and dull " * 100}
        await client.patch(f"{V1}/profile", json=bio)
        wanted = {"Accept-Encoding": "zstd"}
        tag = (await client.get(f"{V1}/profile", headers=wanted)).headers["etag"]
        assert tag.endswith('-zstd"')
        known = await client.get(f"{V1}/profile", headers=wanted | {"If-None-Match": tag})
        assert (known.status_code, known.headers["etag"]) == (304, tag)
        weak = {"If-Match": f"W/{tag}"}
        told = await client.patch(f"{V1}/profile", json={"bio": "x"}, headers=weak)
        problem(told, 412, "precondition-failed")
        seen = {"If-Match": tag}
        changed = await client.patch(f"{V1}/profile", json={"bio": "x"}, headers=seen)
        assert changed.status_code == 200
        again = await client.patch(f"{V1}/profile", json={"bio": "y"}, headers=seen)
        problem(again, 412, "precondition-failed")


def _models(model: Any, seen: set[Any]) -> Iterator[type[BaseModel]]:
    for each in (model, *get_args(model)):
        if isinstance(each, type) and issubclass(each, BaseModel) and each not in seen:
            seen.add(each)
            yield each
            for field in each.model_fields.values():
                yield from _models(field.annotation, seen)
        elif each is not model:
            yield from _models(each, seen)


def test_every_operation_that_tells_a_secret_is_left_uncompressed() -> None:
    told = set()
    for route in build_app().router.routes:
        if isinstance(route, APIRoute) and any(
            SecretStr in (field.annotation, *get_args(field.annotation))
            for each in _models(route.response_model, set())
            for field in each.model_fields.values()
        ):
            told.add(route.path)
            assert is_secret(route.path), route.path
    assert f"{V1}/api-keys" in told
