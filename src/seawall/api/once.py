"""Requests that happen once: the answer is kept in the transaction of the effect.

So after any crash both are there, or neither is. Who sends the same again gets the same answer.
"""

import base64
import hashlib
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fastapi import Request, Response

from seawall.api.bodies import Told
from seawall.api.deps import Bound, Quick
from seawall.core.errors import ConflictError
from seawall.identity.store import idempotency

_NONCE = 12


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that may have a name: an answer with a secret is kept encrypted."""

    request: Request
    key: str | None
    secret: bool = False


async def once(
    bound: Bound | Quick, asked: Asked, work: Callable[[], Awaitable[Told]], status: int = 201
) -> Response:
    """Do the work, or answer as it was answered before.

    Raises:
        ConflictError: another request had the same key.
    """
    if asked.key is None:
        return _respond(asked, _written(await work()), status)
    digest = await _digest(asked.request)
    connection, user = await bound.driver(), bound.caller.user_id
    before = await idempotency.claim(connection, user, asked.key, digest)
    if before is not None:
        if before.request_hash != digest:
            raise ConflictError(
                "Another request had this Idempotency-Key.", hint="Use a new key for each request."
            )
        content = _kept(bound, before.response, asked.key)
        return _respond(asked, content, before.status_code, {"Idempotency-Replayed": "true"})
    content = _written(await work())
    kept = orjson.dumps(_seal(bound, content, asked.key)) if asked.secret else content
    await idempotency.answer(connection, user, asked.key, status, kept)
    return _respond(asked, content, status)


def _written(told: Told) -> bytes:
    # With sorted keys, as the database gives them back: the same answer is the same bytes.
    return orjson.dumps(told.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)


def _respond(
    asked: Asked, content: bytes, status: int, headers: dict[str, str] | None = None
) -> Response:
    # Said here, and not only at the edge, it keeps a secret from being compressed.
    secret = {"Cache-Control": "no-store"} if asked.secret else {}
    return Response(content, status, (headers or {}) | secret, media_type="application/json")


async def _digest(request: Request) -> bytes:
    asked = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
    return hashlib.sha256(asked + await request.body()).digest()


def _cipher(bound: Bound | Quick) -> AESGCM:
    return AESGCM(bound.desk.secret.key("idempotency"))


def _seal(bound: Bound | Quick, content: bytes, key: str) -> dict[str, str]:
    nonce = os.urandom(_NONCE)
    place = f"{bound.caller.user_id} {key}".encode()
    sealed = nonce + _cipher(bound).encrypt(nonce, content, place)
    return {"sealed": base64.b64encode(sealed).decode()}


def _kept(bound: Bound | Quick, kept: Any, key: str) -> bytes:
    if not (isinstance(kept, dict) and kept.keys() == {"sealed"}):
        return orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)
    sealed = base64.b64decode(kept["sealed"])
    place = f"{bound.caller.user_id} {key}".encode()
    try:
        return _cipher(bound).decrypt(sealed[:_NONCE], sealed[_NONCE:], place)
    except InvalidTag:
        raise ConflictError(
            "This was answered under another secret of the API.", hint="Use a new key."
        ) from None
