"""Looking at the limits of a portfolio, an account or everything now, with what is used of them."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.errors import NotFoundError
from seawall.db.locks import clock
from seawall.market.pairs import SP500
from seawall.portfolios.portfolios import get_portfolio
from seawall.portfolios.schemas import PortfolioRecord
from seawall.portfolios.valuation import Moment, begin
from seawall.risk.benchmarks import BTC
from seawall.risk.limits import store
from seawall.risk.limits.check import check_account, check_limits, check_user
from seawall.risk.limits.schemas import ALL_OF_USER, Checked, Subject
from seawall.risk.limits.usage import FIGURE_LIMITS
from seawall.risk.measure import measure_valued, value_for
from seawall.risk.schemas import RiskQuestion

Check = Callable[[AsyncSession, bool], Coroutine[Any, Any, Checked]]


@dataclass(frozen=True, slots=True)
class Named:
    """A subject by the name that its user gave it, and how its limits are checked.

    `check` takes whether events are to be kept, or limits only looked at.
    """

    name: str
    subject: Subject
    check: Check


async def find_subject(session: AsyncSession, name: str | None, account: str | None) -> Named:
    """Find a portfolio or an account by its name; with neither, everything of the user.

    Raises:
        NotFoundError: there is none of this name.
    """
    if name is not None:
        portfolio = await get_portfolio(session, name)
        return Named(
            portfolio.name,
            Subject(portfolio_id=portfolio.id),
            lambda session, keep: check_portfolio(session, portfolio, keep=keep),
        )
    if account is None:
        return Named("everything", ALL_OF_USER, check_everything)
    found = await store.find_account(session, name=account)
    if found is None:
        raise NotFoundError(
            f"There is no trading account named {account!r}.",
            hint="Leave --account out for everything.",
        )
    return Named(
        found.name,
        Subject(account_id=found.id),
        lambda session, keep: check_one_account(session, found, keep=keep),
    )


async def check_portfolio(
    session: AsyncSession, portfolio: PortfolioRecord, *, keep: bool
) -> Checked:
    """Measure a portfolio, and check its limits and its user's; `keep` is as in `Check`."""
    question = RiskQuestion()
    moment = await begin(session, portfolio, None, {BTC, SP500})
    limits = await store.find_limits(session, (Subject(portfolio_id=portfolio.id),))
    valuation = await value_for(session, portfolio, moment, question)
    is_measured = any(FIGURE_LIMITS.intersection(each.allowed) for each in limits)
    report = await measure_valued(session, valuation, question) if is_measured else None
    return await check_limits(session, valuation, report, keep=keep)


async def check_everything(session: AsyncSession, keep: bool) -> Checked:  # noqa: FBT001 - as `Check`
    """Measure all that a user has for its limits, and check them; `keep` is as in `Check`."""
    return await check_user(session, await _now(session), keep=keep)


async def check_one_account(
    session: AsyncSession, account: store.AccountRecord, *, keep: bool
) -> Checked:
    """Check a trading account's limits and its user's; `keep` is as in `Check`."""
    return await check_account(session, account, await _now(session), keep=keep)


async def _now(session: AsyncSession) -> Moment:
    now = await clock(session)
    return Moment(now, now)
