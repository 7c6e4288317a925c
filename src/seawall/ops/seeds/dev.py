"""The seed to look at: three users, and something of everything that Seawall keeps."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.crypto import Place
from seawall.core.time import DAY
from seawall.db.rotation import bind
from seawall.db.session import transaction
from seawall.db.vault import Vault
from seawall.identity.owner import OWNER_ID
from seawall.identity.tables import Profile, Subscription, User, UserSettings
from seawall.market.tables import Exchange
from seawall.ops.seeds import dev_market
from seawall.ops.seeds.claim import EXCHANGE, Seed, SeedProfile, claim
from seawall.ops.seeds.dev_market import DevMarket
from seawall.ops.seeds.dev_portfolios import MAIN, TRADING, Holder, add_portfolio, add_watch
from seawall.ops.seeds.dev_trading import add_trading
from seawall.ops.seeds.market import Advance
from seawall.ops.seeds.paths import STEP
from seawall.portfolios.tables import ExchangeConnection


@dataclass(frozen=True, slots=True)
class Person:
    """A user of the seed, whom no password lets in; `holder` is their portfolio."""

    id: UUID
    username: str
    first_name: str
    tier: str
    holder: Holder | None = None

    @property
    def email(self) -> str:
        """The address by which they are found."""
        return f"{self.username}@cryptosense.dev"


PEOPLE = (
    Person(UUID("11111111-1111-1111-1111-111111111111"), "admin", "Admin", "power-trader", MAIN),
    Person(UUID("22222222-2222-2222-2222-222222222222"), "pro", "Pro User", "pro", TRADING),
    Person(UUID("33333333-3333-3333-3333-333333333333"), "free", "Free User", "free"),
)


async def seed_dev(
    worker: AsyncEngine, vault: Vault, now: datetime, advance: Advance
) -> tuple[Seed, int]:
    """Seed an empty database, in one transaction; return how many users are new.

    A database that holds this seed stays as it is. Prices end at the last half hour.

    Raises:
        ConflictError: the database holds anything else.
    """
    until = now - (now - datetime.min.replace(tzinfo=now.tzinfo)) % STEP
    wanted = Seed(SeedProfile.DEV, until, users=len(PEOPLE), days=dev_market.DAYS)
    async with transaction(worker, OWNER_ID) as session:
        held, is_new = await claim(session, wanted)
        if is_new:
            market = await dev_market.add_market(session, until, advance)
            for done, person in enumerate(PEOPLE):
                advance("Storing users", done, len(PEOPLE))
                await bind(session, person.id)
                await _add_person(session, vault, person, market)
    return held, held.users if is_new else 0


async def _add_person(
    session: AsyncSession, vault: Vault, person: Person, market: DevMarket
) -> None:
    place = Place("users", "first_name", person.id, person.id)
    session.add(
        User(
            id=person.id,
            username=person.username,
            email=person.email,
            email_verified=True,
            tier=person.tier,
            first_name=await vault.seal(session, SecretStr(person.first_name), place),
        )
    )
    await session.flush()
    session.add_all([Profile(display_name=person.first_name), UserSettings(theme="system")])
    if person.tier != "free":
        until = market.until
        session.add(
            Subscription(
                tier=person.tier,
                billing_interval="monthly",
                current_period_start=until - 10 * DAY,
                current_period_end=until + 20 * DAY,
            )
        )
    await session.flush()
    if person.holder is not None:
        portfolio, newest = await add_portfolio(session, market, person.holder)
        await add_watch(session, market, portfolio, newest)
    if person.holder is TRADING:
        await add_trading(session, market)
        await _add_connection(session, vault, person, market)


async def _add_connection(
    session: AsyncSession, vault: Vault, person: Person, market: DevMarket
) -> None:
    """Store an access to the made-up venue, which is revoked: nothing is ever sent with it."""
    key, name = uuid4(), "exchange_connections"
    secrets = {
        column: await vault.seal(session, SecretStr(f"made up {number}"), place)
        for number, column in enumerate(("api_key_encrypted", "api_secret_encrypted"))
        for place in [Place(name, column, person.id, key)]
    }
    venue = select(Exchange.id).where(Exchange.code == EXCHANGE)
    session.add(
        ExchangeConnection(
            id=key,
            portfolio_id=TRADING.id,
            exchange_id=(await session.scalars(venue)).one(),
            name="Made up",
            api_key_last_four="0000",
            status="revoked",
            is_active=False,
            last_sync_at=market.until - 10 * DAY,
            last_sync_status="success",
            **secrets,
        )
    )
    await session.flush()
