"""Making and finding portfolios."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.errors import ConflictError, InvalidError, NotFoundError
from seawall.portfolios import store
from seawall.portfolios.schemas import LotMethod, PortfolioRecord

NAME_LIMIT = 100


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
    cleaned = name.strip()
    if not cleaned or len(cleaned) > NAME_LIMIT or not cleaned.isprintable():
        raise InvalidError(
            f"{name[:NAME_LIMIT]!r} cannot name a portfolio.",
            hint=f"Use 1 to {NAME_LIMIT} printable characters.",
        )
    if not description.isprintable():
        raise InvalidError("The description is not one line of printable characters.")
    taken = await store.find_portfolio(session, cleaned)
    if taken is not None:
        raise ConflictError(
            f"There is a portfolio named {taken.name!r} already.",
            hint=f"Choose another name, or see it: seawall portfolio show {taken.name!r}.",
        )
    return await store.create_portfolio(session, user_id, cleaned, description, lot_method)


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
