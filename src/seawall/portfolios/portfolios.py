"""Making and finding portfolios."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.errors import ConflictError, InvalidError, NotFoundError
from seawall.core.settings import BillingSettings
from seawall.db.engine import TenantConnection
from seawall.db.session import raw_connection
from seawall.identity import tiers
from seawall.identity.store import users
from seawall.portfolios import store
from seawall.portfolios.browse import store as browse
from seawall.portfolios.schemas import LotMethod, PortfolioRecord

NAME_LIMIT = 100


@dataclass(frozen=True, slots=True)
class NewPortfolio:
    """A portfolio to be made."""

    name: str
    description: str
    lot_method: LotMethod


async def create_portfolio(
    session: AsyncSession,
    user_id: UUID,
    name: str,
    description: str = "",
    lot_method: LotMethod = LotMethod.FIFO,
) -> PortfolioRecord:
    """Make a portfolio; a user's first one is the primary one.

    Raises:
        InvalidError: the name is empty, too long or not printable, or the description not one line.
        ConflictError: a living portfolio has this name, in whatever case.
    """
    new = NewPortfolio(name, description, lot_method)
    return await add_portfolio(await raw_connection(session), user_id, new)


async def add_portfolio(
    connection: TenantConnection, user_id: UUID, new: NewPortfolio
) -> PortfolioRecord:
    """Make a portfolio as `create_portfolio` does, in a short transaction."""
    name = clean_name(new.name)
    require_line(new.description)
    made = await store.add_portfolio(connection, user_id, name, new.description, new.lot_method)
    if made is None:
        taken = await store.find_taken_name(connection, user_id, name)
        raise ConflictError(
            f"There is a portfolio named {taken!r} already.", hint="Choose another name."
        )
    return made


async def require_room(connection: TenantConnection, billing: BillingSettings) -> None:
    """Check that the bound user's tier allows one portfolio more.

    Raises:
        LimitReachedError: they have as many as it allows.
    """
    if billing.enabled:
        # Locked: of two who are made at once, the second counts the first.
        tier = await users.lock_tier(connection)
        tiers.require_room(billing, tier, "portfolios", await browse.count_living(connection))


def clean_name(name: str) -> str:
    """Return a portfolio's name without blanks around it.

    Raises:
        InvalidError: it is empty, too long or not printable.
    """
    cleaned = name.strip()
    if not cleaned or len(cleaned) > NAME_LIMIT or not cleaned.isprintable():
        raise InvalidError(
            f"{name[:NAME_LIMIT]!r} cannot name a portfolio.",
            hint=f"Use 1 to {NAME_LIMIT} printable characters.",
        )
    return cleaned


def require_line(description: str) -> None:
    """Check a description.

    Raises:
        InvalidError: it is not one line.
    """
    if not description.isprintable():
        raise InvalidError("The description is not one line of printable characters.")


async def get_portfolio(session: AsyncSession, name: str) -> PortfolioRecord:
    """Return a portfolio by its name, whatever its case.

    Raises:
        NotFoundError: there is none.
    """
    wanted = name.strip()
    found = await store.find_portfolio(session, wanted) if wanted.isprintable() else None
    if found is None:
        names = [each.name for each in await store.list_portfolios(session)]
        raise NotFoundError(
            f"There is no portfolio named {name!r}.",
            hint=f"There are: {', '.join(names)}."
            if names
            else f"Make it: seawall portfolio create {name!r}.",
        )
    return found
