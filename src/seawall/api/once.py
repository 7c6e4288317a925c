"""Requests that happen once: the answer is kept in the transaction of the effect.

So after any crash both are there, or neither is. Who sends the same again gets the same answer.
"""

import base64
import hashlib
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import orjson
from asyncpg import IntegrityConstraintViolationError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fastapi import Request, Response

from seawall.api.bodies import Told
from seawall.api.callers import Caller
from seawall.api.deps import Bound, Quick
from seawall.core.errors import ConflictError, SeawallError
from seawall.db.quick import reading, restart, writing
from seawall.identity.desk import Desk
from seawall.identity.store import idempotency
from seawall.identity.store.idempotency import Answered

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
    if isinstance(bound, Quick):
        return await _noted_last(bound, asked, _Work(work, status, digest))
    connection, user = await bound.driver(), bound.caller.user_id
    before = await idempotency.claim(connection, user, asked.key, digest)
    if before is not None:
        return _again(bound, asked, before, digest)
    content = _written(await work())
    await idempotency.answer(connection, user, asked.key, status, _to_keep(bound, asked, content))
    return _respond(asked, content, status)


async def once_elsewhere(
    desk: Desk, caller: Caller, asked: Asked, work: Callable[[], Awaitable[Told]], status: int = 200
) -> Response:
    """Ask another's server, for which no transaction waits, or answer as it was answered before.

    The other has to know the request by its key too: it may be asked again after a crash, and by
    each of several at once. Of their answers the one that is kept first is everybody's.

    Raises:
        ConflictError: another request had the same key.
    """
    if asked.key is None:
        return _respond(asked, _written(await work()), status)
    digest, user = await _digest(asked.request), caller.user_id
    async with reading(desk.engine, user) as connection:
        before = await idempotency.find(connection, user, asked.key)
        if before is not None:
            return _again(Quick(caller, connection, desk), asked, before, digest)
    content = _written(await work())
    async with writing(desk.engine, user) as connection:
        quick = Quick(caller, connection, desk)
        return await _keep_first(quick, asked, content, _Work(work, status, digest))


@dataclass(frozen=True, slots=True)
class _Work:
    """What is to happen once, the status of its answer, and what asked for it, as a hash."""

    do: Callable[[], Awaitable[Told]]
    status: int
    digest: bytes


async def _noted_last(quick: Quick, asked: Asked, work: _Work) -> Response:
    """Do what is short before looking whether it had happened, which is rare; then undo it.

    That is one statement where a claim and its answer are two.
    """
    assert asked.key is not None  # noqa: S101 - `once` has seen to it
    connection, user = quick.connection, quick.caller.user_id
    try:
        content = _written(await work.do())
    except (SeawallError, IntegrityConstraintViolationError):
        # What happened before may be why it cannot happen again.
        await restart(connection, user)
        before = await idempotency.find(connection, user, asked.key)
        if before is None:
            raise
        return _again(quick, asked, before, work.digest)
    return await _keep_first(quick, asked, content, work)


async def _keep_first(quick: Quick, asked: Asked, content: bytes, work: _Work) -> Response:
    """Keep the answer, or undo what was done and give the one that another has kept."""
    assert asked.key is not None  # noqa: S101 - `once` has seen to it
    connection, user = quick.connection, quick.caller.user_id
    kept = Answered(work.digest, work.status, _to_keep(quick, asked, content))
    if await idempotency.keep(connection, user, asked.key, kept):
        return _respond(asked, content, work.status)
    await restart(connection, user)
    before = await idempotency.find(connection, user, asked.key)
    if before is None:
        raise ConflictError("This Idempotency-Key ran out just now.", hint="Send it again.")
    return _again(quick, asked, before, work.digest)


def _again(bound: Bound | Quick, asked: Asked, before: Answered, digest: bytes) -> Response:
    assert asked.key is not None  # noqa: S101 - `once` has seen to it
    if before.request_hash != digest:
        raise ConflictError(
            "Another request had this Idempotency-Key.", hint="Use a new key for each request."
        )
    content = _kept(bound, before.response, asked.key)
    return _respond(asked, content, before.status_code, {"Idempotency-Replayed": "true"})


def _to_keep(bound: Bound | Quick, asked: Asked, content: bytes) -> bytes:
    if not asked.secret:
        return content
    assert asked.key is not None  # noqa: S101 - `once` has seen to it
    return orjson.dumps(_seal(bound, content, asked.key))


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


def _kept(bound: Bound | Quick, response: bytes, key: str) -> bytes:
    kept = orjson.loads(response)
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
