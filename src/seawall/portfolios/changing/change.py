"""Changing a portfolio's choices, and deleting it: once, in an order in which nobody deadlocks."""

import re
from dataclasses import dataclass, fields
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.errors import ConflictError, InvalidError, NotFoundError
from seawall.db.locks import clock
from seawall.portfolios.browse import store as browse
from seawall.portfolios.changing import store
from seawall.portfolios.portfolios import clean_name, require_line
from seawall.portfolios.projecting.project import project_holdings
from seawall.portfolios.schemas import LotMethod, PortfolioRecord

_COLOUR = re.compile(r"#[0-9A-Fa-f]{6}")


@dataclass(frozen=True, slots=True)
class PortfolioChange:
    """What is to be changed; None leaves it as it is.

    Raises:
        InvalidError: a value is not one of its kind, or a portfolio is to be primary no more.
    """

    name: str | None = None
    description: str | None = None
    color: str | None = None
    is_primary: bool | None = None
    is_public: bool | None = None
    shows_quantities: bool | None = None
    lot_method: LotMethod | None = None

    def __post_init__(self) -> None:
        if self.name is not None:
            object.__setattr__(self, "name", clean_name(self.name))
        if self.description is not None:
            require_line(self.description)
        if self.color is not None and _COLOUR.fullmatch(self.color) is None:
            raise InvalidError(f"{self.color[:20]!r} is not a colour.", hint="Write it as #3B82F6.")
        if self.is_primary is False:
            raise InvalidError(
                "One portfolio is always the primary one.", hint="Make another one primary instead."
            )

    @property
    def values(self) -> dict[str, Any]:
        """What is to be written."""
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        return {
            name: value.value if isinstance(value, LotMethod) else value
            for name, value in given.items()
            if value is not None
        }


async def lock_to_change(session: AsyncSession, portfolio_id: UUID) -> PortfolioRecord:
    """Return a portfolio that nobody else changes until the transaction ends.

    Raises:
        NotFoundError: there is none.
    """
    found = await store.lock_with_primary(session, portfolio_id)
    if found is None:
        raise NotFoundError("There is no such portfolio.")
    return found


async def change_portfolio(
    session: AsyncSession, portfolio: PortfolioRecord, change: PortfolioChange
) -> PortfolioRecord:
    """Change a portfolio that was locked by `lock_to_change`.

    Another lot method means other lots and holdings: they are written anew.

    Raises:
        ConflictError: another living portfolio has this name, in whatever case.
    """
    if change.name is not None:
        taken = await store.find_named(session, change.name, portfolio.id)
        if taken is not None:
            raise ConflictError(
                f"There is a portfolio named {taken.name!r} already.", hint="Choose another name."
            )
    values = {
        name: value for name, value in change.values.items() if value != getattr(portfolio, name)
    }
    if not values:
        return portfolio
    if values.get("is_primary"):
        await store.dethrone(session)
    await store.write(session, portfolio.id, values)
    if "lot_method" in values:
        await project_holdings(session, portfolio.id, await clock(session))
    changed = await browse.find_portfolio(session, portfolio.id)
    assert changed is not None  # noqa: S101 - it is locked
    return changed


async def delete_portfolio(session: AsyncSession, portfolio: PortfolioRecord) -> None:
    """Delete a portfolio that was locked by `lock_to_change`.

    It is found no more, its limits hold no more, and its name is free. What happened in it stays in
    the database, as the audit log does, until its user is deleted. Of the others the oldest becomes
    the primary one where this was.
    """
    await store.bury(session, portfolio.id, await clock(session))
    if portfolio.is_primary:
        await store.crown_oldest(session)
