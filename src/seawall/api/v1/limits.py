"""Limits: what is allowed of a portfolio or of everything, and how much of it is used."""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from fastapi import Response
from pydantic import Field, StringConstraints

from seawall.api import bodies
from seawall.api.aside import Apart, ManagerAside, ReaderAside
from seawall.api.bodies import Figure, Money, Told, require_match, tagged
from seawall.api.deps import Bound, IdempotencyKey, IfMatch, IfNoneMatch, Manager, Reader
from seawall.api.once import Asked, once
from seawall.api.operations import routes
from seawall.api.v1.events import RiskEvent
from seawall.api.v1.portfolios import find
from seawall.core.errors import NotFoundError
from seawall.core.money import plain
from seawall.db.locks import lock_chain
from seawall.portfolios.store import lock_portfolio
from seawall.risk.limits import store
from seawall.risk.limits.change import change_limits, parse_setting
from seawall.risk.limits.overview import (
    check_everything,
    check_one_account,
    check_portfolio,
)
from seawall.risk.limits.schemas import (
    ALL_OF_USER,
    RULES,
    Amount,
    Checked,
    LimitName,
    Limits,
    LimitUnit,
    Subject,
    Use,
)

router = routes("", "limits")
_Usd = Annotated[str, StringConstraints(max_length=100, pattern=r"^[0-9.]+$")]
_Share = Annotated[float, Field(ge=0, le=1)]
_Multiple = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=0, lt=1 << 31)]


class LimitSet(Told):
    """What is allowed; null is no limit. With both ids null it is of everything that a user has."""

    portfolio_id: UUID | None
    account_id: UUID | None
    max_position_value: Money | None = Field(description="The largest position, in USD.")
    max_weight: Figure = Field(description="The largest weight.")
    max_daily_loss: Money | None = Field(description="The loss of the day, in USD.")
    max_drawdown: Figure
    max_var_95: Figure
    max_expected_shortfall: Figure
    max_volatility: Figure = Field(description="By year.")
    max_leverage: Figure = Field(description="Of a trading account.")
    max_orders_per_hour: int | None
    blocking: list[LimitName] = Field(description="Those that stop trading while they are broken.")


class LimitChanges(bodies.Patch):
    """What is to be changed: a value sets a limit, null takes it away, the rest stays."""

    max_position_value: _Usd | None = Field(default=bodies.UNCHANGED, examples=["50000"])
    max_weight: _Share | None = Field(default=bodies.UNCHANGED, examples=[0.4])
    max_daily_loss: _Usd | None = Field(default=bodies.UNCHANGED, examples=["1000"])
    max_drawdown: _Share | None = Field(default=bodies.UNCHANGED, examples=[0.2])
    max_var_95: _Share | None = bodies.UNCHANGED
    max_expected_shortfall: _Share | None = bodies.UNCHANGED
    max_volatility: _Multiple | None = bodies.UNCHANGED
    max_leverage: _Multiple | None = bodies.UNCHANGED
    max_orders_per_hour: _Count | None = bodies.UNCHANGED
    blocking: list[LimitName] | None = Field(
        default=bodies.UNCHANGED,
        max_length=len(LimitName),
        description="These, and no others; null is none.",
    )

    @property
    def allowed(self) -> dict[LimitName, Amount | None]:
        """The limits that are named, by their names.

        Raises:
            InvalidError: an amount makes no sense.
        """
        found: dict[LimitName, Amount | None] = {}
        for name in self.model_fields_set - {"blocking"}:
            value = getattr(self, name)
            found[LimitName(name)] = _read(LimitName(name), value)
        return found


def _read(name: LimitName, value: str | float | None) -> Amount | None:
    if value is None or RULES[name].unit is not LimitUnit.USD:
        # A number of JSON is one already.
        return value if not isinstance(value, str) else None
    return parse_setting(f"{name}={value}")[1]


class LimitSets(Told):
    """All limits that are set, those of everything first."""

    items: list[LimitSet]


def _set(subject: Subject, limits: Limits | None) -> LimitSet:
    allowed = {} if limits is None else limits.allowed
    return LimitSet.model_validate(
        {name.value: allowed.get(name) for name in LimitName}
        | {
            "portfolio_id": subject.portfolio_id,
            "account_id": subject.account_id,
            "blocking": [] if limits is None else sorted(limits.blocking),
        }
    )


@router.get("/risk/limits", operation_id="listLimits")
async def list_limits(bound: Reader) -> LimitSets:
    """List all limits that are set."""
    found = await store.list_limits(bound.session)
    return LimitSets(items=[_set(each.subject, each) for each in found])


async def _get(bound: Bound, subject: Subject) -> LimitSet:
    found = await store.find_limits(bound.session, (subject,))
    return _set(subject, found[0] if found else None)


async def _change(
    bound: Bound, subject: Subject, body: LimitChanges, match: str | None
) -> Response:
    # In the order of all who write: a portfolio, the chain, the limits.
    if subject.portfolio_id is not None:
        await lock_portfolio(bound.session, subject.portfolio_id, shared=True)
    await lock_chain(bound.session)
    require_match(match, await _get(bound, subject))
    blocking = {}
    if "blocking" in body.model_fields_set:
        blocking = {name: name in (body.blocking or ()) for name in LimitName}
    user = bound.caller.user_id
    changed = await change_limits(bound.session, user, subject, body.allowed, blocking)
    return tagged(_set(subject, changed))


@router.get("/risk/limits/everything", operation_id="getUserLimits", response_model=LimitSet)
async def get_of_user(bound: Reader, known: IfNoneMatch = None) -> Response:
    """Tell what is allowed of everything that the user has."""
    return tagged(await _get(bound, ALL_OF_USER), known)


@router.patch("/risk/limits/everything", operation_id="changeUserLimits", response_model=LimitSet)
async def change_of_user(bound: Manager, body: LimitChanges, match: IfMatch = None) -> Response:
    """Set limits of everything, or take them away; the next check looks at them."""
    return await _change(bound, ALL_OF_USER, body, match)


@router.get(
    "/portfolios/{portfolio_id}/risk/limits",
    operation_id="getPortfolioLimits",
    response_model=LimitSet,
)
async def get_of_portfolio(
    bound: Reader, portfolio_id: UUID, known: IfNoneMatch = None
) -> Response:
    """Tell what is allowed of a portfolio."""
    found = await find(bound.session, portfolio_id)
    return tagged(await _get(bound, Subject(portfolio_id=found.id)), known)


@router.patch(
    "/portfolios/{portfolio_id}/risk/limits",
    operation_id="changePortfolioLimits",
    response_model=LimitSet,
)
async def change_of_portfolio(
    bound: Manager, portfolio_id: UUID, body: LimitChanges, match: IfMatch = None
) -> Response:
    """Set limits of a portfolio, or take them away; the next check looks at them."""
    found = await find(bound.session, portfolio_id)
    return await _change(bound, Subject(portfolio_id=found.id), body, match)


class TradingAccount(Told):
    """A trading account, and the asset that its amounts are in."""

    id: UUID
    name: str = Field(examples=["Paper"])
    currency: str = Field(examples=["USD"])


class TradingAccounts(Told):
    """The trading accounts, by name."""

    items: list[TradingAccount]


@router.get("/trading-accounts", operation_id="listTradingAccounts")
async def list_accounts(bound: Reader) -> TradingAccounts:
    """List the trading accounts that limits can be set for."""
    found = await store.list_accounts(bound.session)
    return TradingAccounts(items=[TradingAccount.model_validate(each) for each in found])


async def _account(bound: Bound, account_id: UUID) -> store.AccountRecord:
    found = await store.find_account(bound.session, account_id=account_id)
    if found is None:
        raise NotFoundError("There is no such trading account.")
    return found


@router.get(
    "/trading-accounts/{account_id}/risk/limits",
    operation_id="getAccountLimits",
    response_model=LimitSet,
)
async def get_of_account(bound: Reader, account_id: UUID, known: IfNoneMatch = None) -> Response:
    """Tell what is allowed of a trading account."""
    found = await _account(bound, account_id)
    return tagged(await _get(bound, Subject(account_id=found.id)), known)


@router.patch(
    "/trading-accounts/{account_id}/risk/limits",
    operation_id="changeAccountLimits",
    response_model=LimitSet,
)
async def change_of_account(
    bound: Manager, account_id: UUID, body: LimitChanges, match: IfMatch = None
) -> Response:
    """Set limits of a trading account, or take them away; the next check looks at them."""
    found = await _account(bound, account_id)
    return await _change(bound, Subject(account_id=found.id), body, match)


class LimitState(StrEnum):
    """Whether a limit is kept; unknown where what is used of it cannot be told."""

    KEPT = "kept"
    BROKEN = "broken"
    UNKNOWN = "unknown"


class LimitUse(Told):
    """A limit beside what is used of it: USD as text, all else as numbers."""

    name: LimitName
    title: str
    unit: LimitUnit
    portfolio_id: UUID | None
    account_id: UUID | None
    allowed: str | int | float
    used: str | int | float | None
    share: Figure = Field(description="Null where it is not known, or nothing is allowed.")
    about: str = Field(description="What it is of, such as an asset.")
    blocks: bool
    state: LimitState
    reason: str


class LimitCheck(Told):
    """What a check found, with the events of limits that are broken and that are kept again."""

    uses: list[LimitUse]
    events: list[RiskEvent]
    resolved: list[RiskEvent]


def _use(use: Use) -> LimitUse:
    state = LimitState.KEPT if use.is_kept else LimitState.UNKNOWN
    return LimitUse(
        name=use.name,
        title=RULES[use.name].title,
        unit=RULES[use.name].unit,
        portfolio_id=use.limits.subject.portfolio_id,
        account_id=use.limits.subject.account_id,
        allowed=_amount(use.allowed),
        used=None if use.used.value is None else _amount(use.used.value),
        share=use.ratio,
        about=use.used.about,
        blocks=use.name in use.limits.blocking,
        state=LimitState.BROKEN if use.is_broken else state,
        reason=use.used.reason,
    )


def _amount(value: Amount) -> str | int | float:
    return value if isinstance(value, int | float) else plain(value)


def _checked(found: Checked) -> LimitCheck:
    return LimitCheck(
        uses=[_use(each) for each in found.uses],
        events=[RiskEvent.model_validate(each) for each in found.breaches],
        resolved=[RiskEvent.model_validate(each) for each in found.resolved],
    )


async def _check_portfolio(bound: Bound, portfolio_id: UUID, *, keep: bool) -> LimitCheck:
    found = await find(bound.session, portfolio_id)
    return _checked(await check_portfolio(bound.session, found, keep=keep))


async def _check_account(bound: Bound, account_id: UUID, *, keep: bool) -> LimitCheck:
    found = await _account(bound, account_id)
    return _checked(await check_one_account(bound.session, found, keep=keep))


async def _check_user(bound: Bound, *, keep: bool) -> LimitCheck:
    return _checked(await check_everything(bound.session, keep))


async def _kept(
    apart: Apart, key: str | None, check: Callable[[Bound], Awaitable[LimitCheck]]
) -> Response:
    async def within(bound: Bound) -> Response:
        return await once(bound, Asked(apart.request, key), lambda: check(bound), 200)

    return await apart.run(within)


@router.get("/portfolios/{portfolio_id}/risk/limits/use", operation_id="lookAtPortfolioLimits")
async def look_at_portfolio(apart: ReaderAside, portfolio_id: UUID) -> LimitCheck:
    """Measure how much of a portfolio's and the user's limits is used; no event is made."""
    return await apart.run(lambda bound: _check_portfolio(bound, portfolio_id, keep=False))


@router.get("/risk/limits/everything/use", operation_id="lookAtUserLimits")
async def look_at_user(apart: ReaderAside) -> LimitCheck:
    """Measure how much of the limits of everything is used; no event is made."""
    return await apart.run(lambda bound: _check_user(bound, keep=False))


@router.post(
    "/portfolios/{portfolio_id}/risk/limits/check",
    operation_id="checkPortfolioLimits",
    response_model=LimitCheck,
)
async def check_of_portfolio(
    apart: ManagerAside, portfolio_id: UUID, key: IdempotencyKey = None
) -> Response:
    """Check a portfolio's and the user's limits now, and open and resolve their events."""
    return await _kept(apart, key, lambda bound: _check_portfolio(bound, portfolio_id, keep=True))


@router.post(
    "/risk/limits/everything/check", operation_id="checkUserLimits", response_model=LimitCheck
)
async def check_of_user(apart: ManagerAside, key: IdempotencyKey = None) -> Response:
    """Check the limits of everything now, and open and resolve their events."""
    return await _kept(apart, key, lambda bound: _check_user(bound, keep=True))


@router.get("/trading-accounts/{account_id}/risk/limits/use", operation_id="lookAtAccountLimits")
async def look_at_account(apart: ReaderAside, account_id: UUID) -> LimitCheck:
    """Measure how much of a trading account's limits is used; no event is made."""
    return await apart.run(lambda bound: _check_account(bound, account_id, keep=False))


@router.post(
    "/trading-accounts/{account_id}/risk/limits/check",
    operation_id="checkAccountLimits",
    response_model=LimitCheck,
)
async def check_of_account(
    apart: ManagerAside, account_id: UUID, key: IdempotencyKey = None
) -> Response:
    """Check a trading account's limits now, and open and resolve their events."""
    return await _kept(apart, key, lambda bound: _check_account(bound, account_id, keep=True))
