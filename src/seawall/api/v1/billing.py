"""What a user may use, and paying for more of it."""

from typing import Annotated, Literal

from fastapi import Header, Request, Response
from pydantic import Field

from seawall.api.bodies import Body, Time, Told
from seawall.api.deps import IdempotencyKey, Reader, TheDesk, ThePerson
from seawall.api.once import Asked, once_elsewhere
from seawall.api.operations import routes
from seawall.core.errors import NotFoundError
from seawall.identity import tiers
from seawall.identity.accounts import find_person
from seawall.identity.billing import pages
from seawall.identity.billing.apply import hear
from seawall.identity.store import users
from seawall.identity.tiers import TIERS, Tier
from seawall.portfolios.browse import store as browse

router = routes()


class TierAllowance(Told):
    """How much may be used; null is without limit."""

    portfolios: int | None = Field(examples=[5])
    alerts: int | None = Field(examples=[25])
    history_days: int | None = Field(examples=[1095])
    requests_a_minute: int = Field(examples=[120])
    backtest_minutes: int | None = Field(description="In a month.", examples=[60])


class TierUsage(Told):
    """What is used of it."""

    portfolios: int


class Entitlements(Told):
    """What the user may use, and what they use."""

    tier: Tier
    billing: bool = Field(description="Whether tiers limit anything here.")
    limits: TierAllowance
    used: TierUsage


@router.get("/account/entitlements", operation_id="getEntitlements", tags=["billing"])
async def get_entitlements(bound: Reader) -> Entitlements:
    """Tell what the user may use, and what they use."""
    billing = bound.desk.settings.billing
    tier = await users.find_tier(bound.session)
    return Entitlements(
        tier=Tier(tier),
        billing=billing.enabled,
        limits=TierAllowance.model_validate(tiers.entitlements(billing, tier)),
        used=TierUsage(portfolios=await browse.count_portfolios(bound.session)),
    )


class TierLimits(Told):
    """A tier, and what it allows; `intervals` are those it can be paid for in."""

    tier: Tier
    limits: TierAllowance
    intervals: list[Literal["monthly", "yearly"]]


class Tiers(Told):
    """All tiers, the least first."""

    items: list[TierLimits]


@router.get("/tiers", operation_id="listTiers", tags=["billing"])
async def list_tiers(bound: Reader) -> Tiers:
    """List the tiers, and what each allows where billing is on."""
    prices = {str(tier): each for tier, each in bound.desk.settings.billing.prices.items()}
    return Tiers(
        items=[
            TierLimits(
                tier=tier,
                limits=TierAllowance.model_validate(limits),
                intervals=sorted(prices.get(tier, {})),
            )
            for tier, limits in TIERS.items()
        ]
    )


class Subscription(Told):
    """What is paid for."""

    tier: Tier
    status: Literal["active", "past_due", "trialing"]
    billing_interval: Literal["monthly", "yearly"] | None
    current_period_end: Time | None
    cancel_at_period_end: bool
    trial_end: Time | None


class MaybeSubscription(Told):
    """What is paid for, or null."""

    subscription: Subscription | None


@router.get("/billing/subscription", operation_id="getSubscription", tags=["billing"])
async def get_subscription(bound: Reader) -> MaybeSubscription:
    """Tell what is paid for."""
    found = await pages.find_subscription(bound.session)
    return MaybeSubscription(
        subscription=None if found is None else Subscription.model_validate(found)
    )


class ReturnPath(Body):
    """Where Stripe sends the user afterwards."""

    return_to: Annotated[str, Field(max_length=500)] = Field(
        default="/", description="A path of this installation.", examples=["/account"]
    )


class TierPlan(ReturnPath):
    """What is to be paid for."""

    tier: Literal["plus", "pro", "power-trader"]
    interval: Literal["monthly", "yearly"]


class HostedPage(Told):
    """The address of a page of Stripe's, which is good for a while."""

    url: str


@router.post(
    "/billing/checkout",
    operation_id="beginCheckout",
    response_model=HostedPage,
    tags=["billing"],
)
async def begin_checkout(
    desk: TheDesk, caller: ThePerson, request: Request, body: TierPlan, key: IdempotencyKey = None
) -> Response:
    """Give the page on which to pay for a tier."""

    async def work() -> HostedPage:
        user = await find_person(desk, caller.user_id)
        plan = (body.tier, body.interval)
        return HostedPage(url=await pages.begin_checkout(desk, user, plan, body.return_to, key))

    return await once_elsewhere(desk, caller, Asked(request, key, secret=True), work)


@router.post(
    "/billing/portal",
    operation_id="openBillingPortal",
    response_model=HostedPage,
    tags=["billing"],
)
async def open_portal(
    desk: TheDesk, caller: ThePerson, request: Request, body: ReturnPath, key: IdempotencyKey = None
) -> Response:
    """Give the page on which to change, cancel or see what is paid for."""

    async def work() -> HostedPage:
        address = await pages.open_portal(desk, caller.user_id, body.return_to, key)
        return HostedPage(url=address)

    return await once_elsewhere(desk, caller, Asked(request, key, secret=True), work)


@router.post("/billing/webhook", status_code=200, include_in_schema=False)
async def take_webhook(
    desk: TheDesk,
    request: Request,
    signature: Annotated[str | None, Header(alias="Stripe-Signature")] = None,
) -> dict[str, bool]:
    """Take what Stripe tells; what says nothing new for us is taken as well."""
    if not desk.settings.billing.enabled:
        raise NotFoundError("Not Found")
    return {"heard": await hear(desk, await request.body(), signature)}
