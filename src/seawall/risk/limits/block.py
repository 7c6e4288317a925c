"""Whether broken limits stop trading."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from seawall.db.locks import clock
from seawall.risk.limits import store
from seawall.risk.limits.schemas import ALL_OF_USER, Block, LimitName, Limits, Subject

_HOUR = timedelta(hours=1)
_RATE = LimitName.MAX_ORDERS_PER_HOUR


async def is_blocked(
    session: AsyncSession, *, portfolio_id: UUID | None = None, account_id: UUID | None = None
) -> Block | None:
    """Tell whether limits that block are broken for an account, a portfolio, or all that is had.

    The answer holds until the transaction ends: a check that is under way is waited for, and
    another cannot begin. One more order than an hour may have is refused before it is made; where
    the number is limited, those who ask go one after another, so make the order in the same
    transaction.
    """
    subjects = [ALL_OF_USER]
    if portfolio_id is not None:
        subjects.append(Subject(portfolio_id=portfolio_id))
    if account_id is not None:
        subjects.append(Subject(account_id=account_id))
    limits = [each for each in await store.find_limits(session, subjects) if each.blocking]
    if not limits:
        return None
    if any(_RATE in each.blocking for each in limits):
        limits = await store.find_limits(session, subjects, lock=True)
    else:
        await store.share_limits(session, [each.id for each in limits])
        limits = await store.find_limits(session, subjects)
    return await _judge(session, limits)


async def _judge(session: AsyncSession, limits: Sequence[Limits]) -> Block | None:
    blocking = {each.id: each.blocking for each in limits}
    events = await store.list_events(session, limit_ids=list(blocking), unresolved=True)
    broken = [
        each
        for each in events
        if each.limit_id is not None
        and each.limit_name is not None
        and each.limit_name != _RATE
        and each.limit_name in blocking[each.limit_id]
    ]
    reasons = [each.description for each in broken]
    names = [each.limit_name for each in broken if each.limit_name is not None]
    for each in limits:
        allowed = each.allowed.get(_RATE)
        if allowed is None or _RATE not in each.blocking:
            continue
        since = await clock(session) - _HOUR
        made = await store.count_orders(session, each.subject.account_id, since)
        if made >= allowed:
            reasons.append(f"{made} orders were made within an hour; allowed are {allowed}.")
            names.append(_RATE)
    if not reasons:
        return None
    return Block(tuple(reasons), tuple(dict.fromkeys(names)), tuple(each.id for each in broken))
