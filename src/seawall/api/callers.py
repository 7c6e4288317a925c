"""Who asks: told by an access token, an API key, or a browser's cookie with its CSRF token."""

import hashlib
import hmac
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv6Address
from operator import itemgetter
from typing import Literal
from uuid import UUID

from fastapi import Request
from pydantic import SecretStr

from seawall.api import access
from seawall.api.shares import Lookups
from seawall.core.errors import ForbiddenError, UnavailableError
from seawall.core.time import iso
from seawall.db.cache.keys import SESSION
from seawall.db.cache.values import CachedSession
from seawall.identity import api_keys, sessions
from seawall.identity.desk import Desk
from seawall.identity.errors import NotAuthenticatedError, TooManyRequestsError
from seawall.identity.schemas import Client, Scope
from seawall.identity.tiers import TIERS, Tier
from seawall.identity.tokens import KEY_PREFIX, hash_token

SESSION_COOKIE, DEVICE_COOKIE = "__Host-seawall_session", "__Host-seawall_device"
CSRF_HEADER = "x-csrf-token"
REQUESTS_A_MINUTE = {"user": 600, "address": 60, "refused": 300}
"""`refused` is of an address whose tokens and keys nobody knows."""
A_KEY_OF_A_USER = 2 / 3
"""How much of a user's requests one key may use, so that a script leaves room for its owner."""
NOTED_EVERY = timedelta(minutes=5)
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_ALL = frozenset(Scope)
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and what they may do; `session_id` is None for an API key."""

    user_id: UUID
    kind: Literal["token", "cookie", "key"]
    scopes: frozenset[Scope]
    session_id: UUID | None = None
    tier: str = "free"
    key_id: UUID | None = None


def client_of(request: Request, device_name: str | None = None) -> Client:
    """Say from where somebody asks."""
    agent = request.headers.get("user-agent")
    address = request.client.host if request.client else None
    return Client(
        address,
        _printable(agent),
        _printable(device_name),
    )


def _printable(text: str | None) -> str | None:
    shown = "".join(each for each in text or "" if each.isprintable())
    return shown[:_LONGEST] or None


async def identify(desk: Desk, request: Request) -> Caller:
    """Say who asks; of what has to be looked up in the database an address has a share at once.

    Raises:
        NotAuthenticatedError: nobody does who is known.
        TooManyRequestsError: very much is being looked up for this address.
        ForbiddenError: a browser's request is not one of its own pages.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme:
        found = (
            await _by_header(desk, request, token.strip()) if scheme.lower() == "bearer" else None
        )
    else:
        found = await _by_cookie(desk, request)
    if found is None:
        raise NotAuthenticatedError(
            "Log in, or send a key that is good.", hint="POST /api/v1/auth/login"
        )
    request.scope["user_id"] = str(found.user_id)
    return found


async def _by_header(desk: Desk, request: Request, token: str) -> Caller | None:
    if token.startswith(KEY_PREFIX):
        async with _looking_up(request):
            return await _by_key(desk, SecretStr(token))
    read = access.read(desk.secret, token)
    if read is None:
        return None
    live = await _find_session(desk, request, read.session_token)
    if live is None or live.user_id != read.user_id:
        return None
    return Caller(live.user_id, "token", _ALL, live.id, live.tier)


def _looking_up(request: Request) -> AbstractAsyncContextManager[None]:
    # Who brings what nobody knows is counted when that is found out, and has had a connection.
    lookups: Lookups = request.app.state.lookups
    return lookups.held(address_of(request))


async def _by_key(desk: Desk, token: SecretStr) -> Caller | None:
    key = await api_keys.find(desk, token)
    if key is None:
        return None
    if key.last_used_at is None or desk.clock() - key.last_used_at > NOTED_EVERY:
        await api_keys.note_use(desk, key)
    return Caller(key.user_id, "key", key.scopes, None, await _tier(desk, key.user_id), key.id)


async def _by_cookie(desk: Desk, request: Request) -> Caller | None:
    token = request.cookies.get(SESSION_COOKIE)
    if not token:
        return None
    live = await _find_session(desk, request, SecretStr(token))
    if live is None:
        return None
    if desk.clock() - live.last_accessed_at > NOTED_EVERY:
        # A program's session is as old as its last refresh; a browser's is noted as it is used.
        await sessions.note_access(desk, live.user_id, live.id)
        await desk.cache.drop(SESSION(token_hash=hash_token(SecretStr(token))))
    if request.method not in _SAFE and not _is_of_own_page(desk, request, token):
        raise ForbiddenError(
            "The CSRF token is missing, or not the session's.",
            hint=f"Send it in the header {CSRF_HEADER}; GET /api/v1/auth/csrf tells it.",
        )
    return Caller(live.user_id, "cookie", _ALL, live.id, live.tier)


def _is_of_own_page(desk: Desk, request: Request, token: str) -> bool:
    given = request.headers.get(CSRF_HEADER, "").encode(errors="replace")
    return hmac.compare_digest(given, csrf_token(desk, token).encode())


async def has_ended(desk: Desk, request: Request) -> bool:
    """Tell whether somebody whom `identify` does not know shows a session that was ended.

    A cookie is known to have been one by its CSRF token, which nobody else can make.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme:
        read = access.read(desk.secret, token.strip()) if scheme.lower() == "bearer" else None
        return read is not None and await sessions.is_revoked(
            desk, read.user_id, read.session_token
        )
    cookie = request.cookies.get(SESSION_COOKIE)
    return cookie is not None and _is_of_own_page(desk, request, cookie)


def csrf_token(desk: Desk, session_token: str) -> str:
    """Return what a browser's pages send with whatever changes something."""
    key = desk.secret.key("csrf")
    return hmac.digest(key, session_token.encode(errors="replace"), hashlib.sha256).hex()


async def _find_session(desk: Desk, request: Request, token: SecretStr) -> CachedSession | None:
    async def load() -> CachedSession | None:
        async with _looking_up(request):
            found = await sessions.find(desk, token)
            if found is None:
                return None
            # The driver's own kind of UUID cannot be written as JSON.
            ids = (UUID(bytes=found.id.bytes), UUID(bytes=found.user_id.bytes))
            tier = await _tier(desk, found.user_id)
        return CachedSession(*ids, found.expires_at, found.last_accessed_at, tier)

    return await desk.cache.fetch(SESSION(token_hash=hash_token(token)), load)


async def _tier(desk: Desk, user_id: UUID) -> str:
    # Where nobody pays, nobody is asked for it.
    return await sessions.find_tier(desk, user_id) if desk.settings.billing.enabled else Tier.FREE


async def limit(desk: Desk, request: Request, caller: Caller | None) -> None:
    """Count a request of a user and their key, or of an address, and refuse what is too much.

    When the cache is away nothing is counted, and all goes on: only guesses at passwords, which
    are counted by themselves, are refused then.

    Raises:
        TooManyRequestsError: there were too many in this minute.
    """
    if caller is None:
        await _count(desk, request, f"address:{address_of(request)}", REQUESTS_A_MINUTE["address"])
        return
    most = REQUESTS_A_MINUTE["user"]
    if desk.settings.billing.enabled:
        most = TIERS[Tier(caller.tier)].requests_a_minute
    await _count(desk, request, str(caller.user_id), most)
    if caller.key_id is not None:
        await _count(desk, request, f"key:{caller.key_id}", int(most * A_KEY_OF_A_USER))


async def limit_refused(
    desk: Desk, request: Request, who: Literal["refused", "stranger"] = "refused"
) -> None:
    """Count a request whose token or key is nobody's, or that has none, by its address.

    Raises:
        TooManyRequestsError: there were too many in this minute.
    """
    most, address = REQUESTS_A_MINUTE["refused"], address_of(request)
    try:
        await _count(desk, request, f"{who}:{address}", most)
    except TooManyRequestsError as error:
        lookups: Lookups = request.app.state.lookups
        lookups.refuse(address, error.retry_at)
        raise


async def _count(desk: Desk, request: Request, who: str, most: int) -> None:
    try:
        usage = await desk.cache.hit(who, "api")
    except UnavailableError:
        return
    seconds = max(0, int((usage.resets_at - desk.clock()).total_seconds()))
    told = (most, max(0, most - usage.count), seconds)
    # Of several limits the one that is reached first is told.
    request.scope["rate_limit"] = min(
        request.scope.get("rate_limit", told), told, key=itemgetter(1)
    )
    if usage.count > most:
        raise TooManyRequestsError(
            f"More than {most} requests a minute. Go on at {iso(usage.resets_at)}.",
            usage.resets_at,
        )


def address_of(request: Request) -> str:
    """Return what requests are counted by where nobody knows whose they are."""
    return whole_network(request.client.host if request.client else "unknown")


def whole_network(host: str) -> str:
    """Return what an address is counted by: of IPv6 the network of which one has every address."""
    try:
        found = IPv6Address(host)
    except ValueError:
        return host
    return str(found.ipv4_mapped or found.packed[:8].hex())
