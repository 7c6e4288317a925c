"""What operations are given: the desk, who asks, and one transaction bound to them."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import Depends, Header, Request
from fastapi.dependencies.models import Dependant
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.api.callers import Caller, has_ended, identify, limit, limit_refused
from seawall.api.depth import TIER
from seawall.api.shares import Shares
from seawall.core.errors import ForbiddenError
from seawall.db.engine import TenantConnection
from seawall.db.quick import reading, writing
from seawall.db.session import raw_connection, transaction
from seawall.identity.desk import Desk
from seawall.identity.errors import NotAuthenticatedError
from seawall.identity.schemas import Scope

T = TypeVar("T")
TRANSACTION = "seawall_transaction"
"""Where a request keeps what its operation has to end."""


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

    async def driver(self) -> TenantConnection:
        """Return the driver's connection, in this transaction."""
        return await raw_connection(self.session)


@dataclass(frozen=True, slots=True)
class Quick:
    """Who asks, and a transaction on the driver itself, for what is asked most often."""

    caller: Caller
    connection: TenantConnection
    desk: Desk

    async def driver(self) -> TenantConnection:
        """Return the driver's connection."""
        return self.connection


@dataclass(frozen=True, slots=True)
class Opened:
    """The transaction of a request, and the share of the connections that its user has for it."""

    context: AbstractAsyncContextManager[Any]
    shares: Shares
    user_id: UUID

    async def end(self, error: BaseException | None = None) -> None:
        """Commit it, or undo it after an error."""
        try:
            if error is None:
                await self.context.__aexit__(None, None, None)
            else:
                await self.context.__aexit__(type(error), error, error.__traceback__)
        finally:
            self.shares.give(self.user_id)


async def _admit(request: Request, scope: Scope | None) -> Caller:
    desk: Desk = request.app.state.desk
    try:
        caller = await identify(desk, request)
    except NotAuthenticatedError:
        await limit_refused(desk, request)
        raise
    request.scope[TIER] = caller.tier
    await limit(desk, request, caller)
    if scope is None and caller.session_id is None:
        raise ForbiddenError(
            "An API key may not do this.", hint="Log in: it concerns the account's security."
        )
    if scope is not None and scope not in caller.scopes:
        raise ForbiddenError(f"This key may not {scope}.", hint=f"Make one with the scope {scope}.")
    return caller


def _caller(scope: Scope | None) -> Callable[..., Awaitable[Caller]]:
    async def admit(request: Request) -> Caller:
        return await _admit(request, scope)

    return admit


# One dependency and not three, without an end of its own: `operations` ends the transaction, and
# each one that FastAPI has to find and to end costs as much as a read of the database.
def _binding(
    scope: Scope | None,
    begin: Callable[[AsyncEngine, UUID], AbstractAsyncContextManager[T]],
    give: Callable[[Caller, T, Desk], Any],
) -> Callable[..., Awaitable[Any]]:
    async def bind(request: Request) -> Any:
        caller = await _admit(request, scope)
        state = request.app.state
        desk: Desk = state.desk
        shares: Shares = state.shares
        await shares.take(caller.user_id)
        try:
            context = begin(desk.engine, caller.user_id)
            given = await context.__aenter__()
        except BaseException:
            shares.give(caller.user_id)
            raise
        request.scope[TRANSACTION] = Opened(context, shares, caller.user_id)
        return give(caller, given, desk)

    return bind


_read = _binding(Scope.READ, transaction, Bound)
_read_quickly = _binding(Scope.READ, reading, Quick)
_manage = _binding(Scope.MANAGE, transaction, Bound)
_manage_quickly = _binding(Scope.MANAGE, writing, Quick)
_bind_person = _binding(None, transaction, Bound)


async def _bind_leaver(request: Request) -> Bound | None:
    try:
        found: Bound = await _bind_person(request)
    except NotAuthenticatedError:
        if not await has_ended(request.app.state.desk, request):
            raise
        return None
    return found


_person, _reader, _manager = _caller(None), _caller(Scope.READ), _caller(Scope.MANAGE)
_BINDING = {_read, _read_quickly, _manage, _manage_quickly, _bind_person, _bind_leaver}
_CALLERS = frozenset({*_BINDING, _person, _reader, _manager})

Reader = Annotated[Bound, Depends(_read)]
"""Whoever may read."""
QuickReader = Annotated[Quick, Depends(_read_quickly)]
"""The same, with a transaction that only reads."""
Manager = Annotated[Bound, Depends(_manage)]
"""Whoever may change what is not a trade."""
QuickManager = Annotated[Quick, Depends(_manage_quickly)]
"""The same, on the driver."""
Person = Annotated[Bound, Depends(_bind_person)]
"""Whoever has logged in: keys may not touch what guards the account."""
Leaver = Annotated[Bound | None, Depends(_bind_leaver)]
"""The same, or None for whoever's session was ended: for what asks no more than that it is."""
ThePerson = Annotated[Caller, Depends(_person)]
"""The same, without a transaction: for what has several of its own."""
TheReader = Annotated[Caller, Depends(_reader)]
"""Whoever may read, without a transaction: for what goes on after the answer has begun."""
TheManager = Annotated[Caller, Depends(_manager)]
"""Whoever may change what is not a trade, without a transaction."""


def needs_caller(dependant: Dependant) -> bool:
    """Tell whether an operation is for somebody who is known."""
    return dependant.call in _CALLERS or any(map(needs_caller, dependant.dependencies))


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
