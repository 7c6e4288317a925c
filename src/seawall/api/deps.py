"""What operations are given: the desk, who asks, and one transaction bound to them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request
from fastapi.security import APIKeyCookie, HTTPBearer
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.api.callers import SESSION_COOKIE, Caller, identify, limit
from seawall.core.errors import ForbiddenError
from seawall.db.session import transaction
from seawall.identity.desk import Desk
from seawall.identity.schemas import Scope

# They tell the schema how to authenticate; `identify` does it.
_SHOWN = (
    Depends(HTTPBearer(auto_error=False, description="An access token, or an API key.")),
    Depends(APIKeyCookie(name=SESSION_COOKIE, auto_error=False)),
)


# Not a plain function, which would be run in a thread each time.
async def desk_of(request: Request) -> Desk:
    """Return the desk that the app was started with."""
    found: Desk = request.app.state.desk
    return found


TheDesk = Annotated[Desk, Depends(desk_of)]


async def _stranger(desk: TheDesk, request: Request) -> None:
    await limit(desk, request, None)


Stranger = Depends(_stranger)
"""Put before operations that need no login: they are counted by address."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Who asks, and the one transaction of the request, bound to them.

    It is committed before the answer is sent, and undone by an error.
    """

    caller: Caller
    session: AsyncSession
    desk: Desk


def _allow(scope: Scope | None) -> Callable[..., Awaitable[Caller]]:
    async def allow(desk: TheDesk, request: Request) -> Caller:
        caller = await identify(desk, request)
        await limit(desk, request, caller)
        if scope is None and caller.session_id is None:
            raise ForbiddenError(
                "An API key may not do this.", hint="Log in: it concerns the account's security."
            )
        if scope is not None and scope not in caller.scopes:
            raise ForbiddenError(
                f"This key may not {scope}.", hint=f"Make one with the scope {scope}."
            )
        return caller

    return allow


_read, _manage, _person = _allow(Scope.READ), _allow(Scope.MANAGE), _allow(None)


async def _bind_reader(
    desk: TheDesk, caller: Annotated[Caller, Depends(_read)]
) -> AsyncIterator[Bound]:
    async with transaction(desk.engine, caller.user_id) as session:
        yield Bound(caller, session, desk)


async def _bind_manager(
    desk: TheDesk, caller: Annotated[Caller, Depends(_manage)]
) -> AsyncIterator[Bound]:
    async with transaction(desk.engine, caller.user_id) as session:
        yield Bound(caller, session, desk)


async def _bind_person(
    desk: TheDesk, caller: Annotated[Caller, Depends(_person)]
) -> AsyncIterator[Bound]:
    async with transaction(desk.engine, caller.user_id) as session:
        yield Bound(caller, session, desk)


# Scope "function": committed before the answer leaves, not after it.
Reader = Annotated[Bound, Depends(_bind_reader, scope="function")]
"""Whoever may read."""
Manager = Annotated[Bound, Depends(_bind_manager, scope="function")]
"""Whoever may change what is not a trade."""
Person = Annotated[Bound, Depends(_bind_person, scope="function")]
"""Whoever has logged in: keys may not touch what guards the account."""
ThePerson = Annotated[Caller, Depends(_person)]
"""The same, without a transaction: for what has several of its own."""
SECURED = list(_SHOWN)
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Names this request, so that it happens once however often it is sent.",
        examples=["8f2c1b1e-2d1b-4a0e-9f27-3f6d6a1c7a10"],
    ),
]
IfMatch = Annotated[
    str | None,
    Header(alias="If-Match", description="The ETag of what is to be changed."),
]
IfNoneMatch = Annotated[
    str | None, Header(alias="If-None-Match", description="The ETag of what is known already.")
]
