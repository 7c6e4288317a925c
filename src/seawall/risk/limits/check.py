"""Checking limits: what is used of each, and the events of those that are broken."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from seawall.db.locks import lock_chain
from seawall.portfolios.valuation import Moment, Valuation
from seawall.risk.limits import store
from seawall.risk.limits.events import end_orphans, settle
from seawall.risk.limits.schemas import (
    ALL_OF_USER,
    Checked,
    Limits,
    Subject,
    Use,
    Used,
)
from seawall.risk.limits.usage import Uses, use_of_account, use_of_portfolio, use_of_user
from seawall.risk.schemas import RiskReport

_UNMEASURED = Used(None, "the limit was set while it was checked")


async def check_limits(
    session: AsyncSession,
    valuation: Valuation,
    report: RiskReport | None = None,
    *,
    of_user: bool = True,
    keep: bool = True,
) -> Checked:
    """Check the limits of a portfolio that was just valued, and with `of_user` the user's own.

    `valuation` is of the present: what was long ago breaks nothing now. `report` is the risk
    report of the same moment, for limits of its figures. Without `keep` this only looks: no event
    is opened or resolved. Where no limit is set, it is two queries.
    """
    own = Subject(portfolio_id=valuation.portfolio.id)
    subjects = (own, ALL_OF_USER) if of_user else (own,)
    before = await store.find_limits(session, subjects)
    measured: dict[Subject, Uses] = {}
    for limits in before:
        if limits.subject == own:
            names = limits.allowed.keys()
            measured[own] = await use_of_portfolio(session, names, valuation, report)
        else:
            measured[ALL_OF_USER] = await use_of_user(
                session, limits.allowed.keys(), valuation.moment, (valuation,)
            )
    return await _settle(session, _Measured(subjects, measured, valuation.moment), keep=keep)


async def check_user(session: AsyncSession, moment: Moment, *, keep: bool = True) -> Checked:
    """Check what the bound user limits of everything they have."""
    measured: dict[Subject, Uses] = {}
    for limits in await store.find_limits(session, (ALL_OF_USER,)):
        measured[ALL_OF_USER] = await use_of_user(session, limits.allowed.keys(), moment, ())
    return await _settle(session, _Measured((ALL_OF_USER,), measured, moment), keep=keep)


async def check_account(
    session: AsyncSession, account: store.AccountRecord, moment: Moment, *, keep: bool = True
) -> Checked:
    """Check the limits of a trading account, by its newest figures, positions and orders."""
    own = Subject(account_id=account.id)
    measured: dict[Subject, Uses] = {}
    for limits in await store.find_limits(session, (own,)):
        measured[own] = await use_of_account(session, limits.allowed.keys(), account, moment)
    return await _settle(session, _Measured((own,), measured, moment), keep=keep)


@dataclass(frozen=True, slots=True)
class _Measured:
    subjects: Collection[Subject]
    uses: dict[Subject, Uses]
    moment: Moment


async def _settle(session: AsyncSession, measured: _Measured, *, keep: bool) -> Checked:
    if not measured.uses:
        return Checked(resolved=tuple(await end_orphans(session)) if keep else ())
    # Measuring takes a while and is done without the lock. Under it the limits are read again, for
    # they may have been changed meanwhile.
    if keep:
        await lock_chain(session)
    now = await store.find_limits(session, measured.subjects, lock=keep)
    uses = compare(now, measured.uses)
    if keep:
        return await settle(session, now, uses, measured.moment.as_of)
    ids = [each.id for each in now]
    events = await store.list_events(session, limit_ids=ids, unresolved=True)
    return Checked(tuple(uses), tuple(events))


def compare(limits: Iterable[Limits], measured: dict[Subject, Uses]) -> list[Use]:
    """Put what is used beside what is allowed."""
    return [
        Use(each, name, allowed, measured.get(each.subject, {}).get(name, _UNMEASURED))
        for each in limits
        for name, allowed in each.allowed.items()
    ]
