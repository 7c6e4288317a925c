"""Whether those who read may go on: their session or key lives, and the page is one of ours."""

from collections.abc import Collection
from datetime import UTC, datetime
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import Request
from pydantic import SecretStr

from seawall.api.callers import SESSION_COOKIE, Caller, identify, limit, limit_refused
from seawall.api.streams.reader import Holder
from seawall.core.errors import ForbiddenError
from seawall.db.session import transaction
from seawall.identity import api_keys
from seawall.identity.desk import Desk
from seawall.identity.errors import NotAuthenticatedError
from seawall.identity.schemas import Scope
from seawall.identity.store import api_keys as key_store
from seawall.identity.store import sessions as session_store

_PORTS = {"http": "80", "https": "443", "ws": "80", "wss": "443"}
_SECURE = {"ws": "http", "wss": "https"}


async def find_end(desk: Desk, holders: Collection[Holder]) -> dict[Holder, datetime]:
    """Return until when what lets holders in lasts, as it is now; those for whom it is over lack.

    All are of one user.
    """
    found: dict[Holder, datetime] = {}
    if not holders:
        return found
    async with transaction(desk.engine, next(iter(holders)).user_id) as session:
        for each in holders:
            if each.session_id is not None:
                until = await session_store.lasts_until(session, each.session_id)
            elif each.key_id is not None:
                until = await key_store.lasts_until(session, each.key_id)
            else:
                until = None
            if until is not None:
                found[each] = until.astimezone(UTC)
    return found


async def hold(desk: Desk, caller: Caller, token: str) -> Holder:
    """Return what a caller's stream hangs on: their session, or their key.

    Raises:
        NotAuthenticatedError: it is over by now.
    """
    if caller.session_id is not None:
        return Holder(caller.user_id, session_id=caller.session_id)
    key = await api_keys.find(desk, SecretStr(token))
    if key is None:
        raise NotAuthenticatedError("This key is over.", hint="Make another.")
    return Holder(caller.user_id, key_id=_plain(key.id))


def _plain(id_: UUID) -> UUID:
    return UUID(bytes=id_.bytes)


async def let_in(desk: Desk, request: Request) -> Holder:
    """Say who wants to read, by what a request has with it.

    Raises:
        NotAuthenticatedError: nobody does who is known.
        ForbiddenError: it is another's page, or the key may not read.
        TooManyRequestsError: there were too many requests in this minute.
    """
    require_own_origin(desk, request)
    try:
        caller = await identify(desk, request)
    except NotAuthenticatedError:
        await limit_refused(desk, request)
        raise
    await limit(desk, request, caller)
    if Scope.READ not in caller.scopes:
        raise ForbiddenError("This key may not read.", hint="Make one with the scope read.")
    return await hold(desk, caller, token_of(request))


def token_of(request: Request) -> str:
    """Return the token of a request's header, or nothing."""
    return request.headers.get("authorization", "").partition(" ")[2].strip()


def require_own_origin(desk: Desk, request: Request, *, by_cookie: bool | None = None) -> None:
    """Check that a browser's request is of a page of ours: it sends cookies along for any page.

    Raises:
        ForbiddenError: it is of another's page, or has a cookie and does not say.
    """
    origin = request.headers.get("origin")
    if by_cookie is None:
        by_cookie = "authorization" not in request.headers and SESSION_COOKIE in request.cookies
    if origin is None:
        if by_cookie and request.scope.get("was_websocket"):
            raise ForbiddenError("A browser says from which page it asks.")
        return
    scheme = _SECURE.get(request.scope["scheme"], request.scope["scheme"])
    ours = {_origin(f"{scheme}://{request.headers.get('host', '')}")}
    ours.add(_origin(desk.settings.api.public_url))
    if _origin(origin) not in ours - {None}:
        raise ForbiddenError("This page is not one of the API's own origin.")


def _origin(address: str) -> tuple[str, str, str] | None:
    try:
        parts = urlsplit(address)
        port = str(parts.port) if parts.port is not None else _PORTS.get(parts.scheme, "")
    except ValueError:
        return None
    return (parts.scheme, parts.hostname, port) if parts.hostname else None
