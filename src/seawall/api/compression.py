"""Answers are compressed for whoever can read that: with zstd or gzip, as Accept-Encoding weighs.

Never compressed is what is too short to gain, what goes on and on, and what tells a secret: beside
a text that an attacker chose its length would betray the secret (BREACH). A compressed answer is
another representation, so its ETag is another: the original's with the coding at its end, which
is taken off again where a client names it.
"""

import asyncio
import re
import zlib
from typing import Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from zstandard import ZstdCompressor

from seawall.api.negotiation import best_coding

LEAST_BYTES = 1_024
_INLINE_BYTES = 1 << 16
"""More than that is compressed in a thread: the others are not to wait for it."""
_ZSTD_LEVEL, _GZIP_LEVEL, _GZIP = 3, 5, 31
CODINGS = ("zstd", "gzip")
KINDS = frozenset(
    {
        b"application/json",
        b"application/problem+json",
        b"application/vnd.apache.arrow.stream",
        b"text/csv",
        b"text/html",
        b"text/plain",
    }
)
SECRET = ("/api/v1/auth", "/api/v1/api-keys", "/api/v1/sessions")
"""Under these paths are answers with tokens, keys and the like."""
_LOOKED_AT = frozenset({b"accept-encoding", b"if-none-match", b"if-match"})
_ENDING = re.compile(rb'-(?:zstd|gzip)"')


class Compression:
    """The layer that compresses answers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and compress its answer where that is wanted, safe and worth it."""
        if scope["type"] != "http" or is_secret(scope["path"]):
            await self._app(scope, receive, send)
            return
        accept, known = b"", b""
        for name, value in scope["headers"]:
            if name in _LOOKED_AT:
                if name == b"accept-encoding":
                    accept += b"," + value
                else:
                    known += b"," + value
        coding = best_coding(accept.decode("latin-1"), CODINGS) if accept else None
        if known:
            scope["headers"] = [_plain(each, coding) for each in scope["headers"]]
        await self._app(scope, receive, _Sender(send, coding, known))


def is_secret(path: str) -> bool:
    """Tell whether answers under a path may have a secret in them."""
    return path.startswith(SECRET)


def _plain(header: tuple[bytes, bytes], coding: str | None) -> tuple[bytes, bytes]:
    """Take the codings off the tags that a client names.

    Of what it has already only the coding that it would be sent now counts: it may have no use
    for another. What it wants to change is the same in whatever coding it saw it.
    """
    name, value = header
    if name == b"if-match":
        return name, _ENDING.sub(b'"', value)
    if name == b"if-none-match" and coding is not None:
        return name, value.replace(f'-{coding}"'.encode(), b'"')
    return header


class _Coder(Protocol):
    """What compresses piece by piece."""

    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


def _coder(coding: str) -> _Coder:
    if coding == "zstd":
        return ZstdCompressor(_ZSTD_LEVEL).compressobj()
    return zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP)


def _compress(coding: str, body: bytes) -> bytes:
    if coding == "zstd":
        return ZstdCompressor(_ZSTD_LEVEL).compress(body)
    return zlib.compress(body, _GZIP_LEVEL, wbits=_GZIP)


class _Sender:
    """Sends an answer on, compressed where it may be."""

    def __init__(self, send: Send, coding: str | None, known: bytes) -> None:
        self._send, self._coding, self._known = send, coding, known
        self._start: Message | None = None
        self._coder: _Coder | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._begin(message)
        elif self._start is not None:
            await self._first(message)
        elif self._coder is not None:
            await self._next(message)
        else:
            await self._send(message)

    async def _begin(self, message: Message) -> None:
        headers = dict(message["headers"])
        if message["status"] == 304:  # noqa: PLR2004
            self._rename(message, headers.get(b"etag", b""))
        elif _may_be(headers):
            message["headers"] = [*message["headers"], (b"vary", b"Accept-Encoding")]
            if self._coding is not None:
                self._start = message
                return
        await self._send(message)

    def _rename(self, message: Message, tag: bytes) -> None:
        """Name what the client has as it was named to it."""
        if self._coding is not None and tag and (coded := _coded(tag, self._coding)) in self._known:
            message["headers"] = [
                (name, coded if name == b"etag" else value) for name, value in message["headers"]
            ]

    async def _first(self, message: Message) -> None:
        start, coding = self._start, self._coding
        assert start is not None  # noqa: S101 - kept until now
        assert coding is not None  # noqa: S101 - kept for it
        self._start = None
        body: bytes = message.get("body", b"")
        if message.get("more_body", False):
            self._coder = _coder(coding)
            start["headers"] = _headers(start, coding, None)
            await self._send(start)
            await self._next(message)
            return
        if len(body) >= LEAST_BYTES:
            if len(body) > _INLINE_BYTES:
                body = await asyncio.to_thread(_compress, coding, body)
            else:
                body = _compress(coding, body)
            start["headers"] = _headers(start, coding, len(body))
        await self._send(start)
        await self._send({**message, "body": body})

    async def _next(self, message: Message) -> None:
        assert self._coder is not None  # noqa: S101 - made with the first part
        more = message.get("more_body", False)
        body = self._coder.compress(message.get("body", b""))
        if not more:
            body += self._coder.flush()
        if body or not more:
            await self._send({**message, "body": body})


def _may_be(headers: dict[bytes, bytes]) -> bool:
    """Tell whether an answer may be compressed, and is long enough, by its headers."""
    length = headers.get(b"content-length", b"")
    return (
        not (length.isdigit() and int(length) < LEAST_BYTES)
        and headers.get(b"content-type", b"").partition(b";")[0] in KINDS
        and b"no-store" not in headers.get(b"cache-control", b"")
        and not headers.keys() & {b"content-encoding", b"content-range", b"set-cookie"}
    )


def _headers(start: Message, coding: str, length: int | None) -> list[tuple[bytes, bytes]]:
    kept = [
        (name, _coded(value, coding) if name == b"etag" else value)
        for name, value in start["headers"]
        if name != b"content-length"
    ]
    kept.append((b"content-encoding", coding.encode()))
    if length is not None:
        kept.append((b"content-length", str(length).encode()))
    return kept


def _coded(tag: bytes, coding: str) -> bytes:
    return tag[:-1] + f'-{coding}"'.encode()
