"""`seawall portfolio create`, `list`, `change` and `delete`: the portfolios that there are."""

from typing import TYPE_CHECKING, Annotated

import typer

from seawall.cli import output
from seawall.cli.output import Json, print_json, print_table, table
from seawall.cli.portfolio.options import METHODS, Name, read_method
from seawall.cli.session import open_session, run

if TYPE_CHECKING:
    from seawall.portfolios.changing.change import PortfolioChange
    from seawall.portfolios.schemas import LotMethod, PortfolioRecord


def create(
    name: Name,
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    lots: Annotated[
        str, typer.Option(metavar=METHODS, help="Which of its lots leave first.")
    ] = "fifo",
    as_json: Json = False,
) -> None:
    """Make an empty portfolio."""
    made = run(_create(name, description, read_method(lots)))
    if as_json:
        print_json(made)
    else:
        typer.echo(f"Made portfolio {made.name!r}.")


async def _create(name: str, description: str, lots: "LotMethod") -> "PortfolioRecord":
    from seawall.identity.owner import OWNER_ID
    from seawall.portfolios.portfolios import create_portfolio

    async with open_session() as session:
        return await create_portfolio(session, OWNER_ID, name, description, lots)


def list_(as_json: Json = False) -> None:
    """List the portfolios, with what each was last worth."""
    found = run(_list())
    if as_json:
        print_json({"portfolios": found})
        return
    if not found:
        typer.echo("There are no portfolios yet. Make one: seawall portfolio create NAME")
        return
    shown = table("Name", "~Description", ">Value USD", "Valued (UTC)", "Made (UTC)")
    for each in found:
        shown.add_row(
            each.name,
            each.description,
            output.money(each.total_value_usd),
            output.day(each.valued_at) if each.valued_at else "-",
            output.day(each.created_at),
        )
    print_table(shown)


async def _list() -> "list[PortfolioRecord]":
    from seawall.portfolios.store import list_portfolios

    async with open_session() as session:
        return await list_portfolios(session)


def change(
    name: Name,
    *,
    new_name: Annotated[
        str | None, typer.Option("--name", metavar="NEW", help="What it is called from now on.")
    ] = None,
    description: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    color: Annotated[str | None, typer.Option(metavar="#RRGGBB", help="Its colour.")] = None,
    lots: Annotated[
        str | None,
        typer.Option(metavar=METHODS, help="Which of its lots leave first; they are written anew."),
    ] = None,
    primary: Annotated[
        bool, typer.Option("--primary", help="Make it the primary one, in another's place.")
    ] = False,
    public: Annotated[
        bool | None, typer.Option("--public/--private", help="Whether every user may see it.")
    ] = None,
    quantities: Annotated[
        bool | None,
        typer.Option(
            "--show-quantities/--hide-quantities", help="Whether they see quantities too."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Rename a portfolio, or change how it is kept or seen."""
    from seawall.portfolios.changing.change import PortfolioChange

    wanted = PortfolioChange(
        name=new_name,
        description=description,
        color=color,
        is_primary=primary or None,
        is_public=public,
        shows_quantities=quantities,
        lot_method=None if lots is None else read_method(lots),
    )
    changed = run(_change(name, wanted))
    if as_json:
        print_json(changed)
    else:
        typer.echo(f"Changed portfolio {changed.name!r}.")


async def _change(name: str, wanted: "PortfolioChange") -> "PortfolioRecord":
    from seawall.portfolios.changing.change import change_portfolio, lock_to_change
    from seawall.portfolios.portfolios import get_portfolio

    async with open_session() as session:
        found = await lock_to_change(session, (await get_portfolio(session, name)).id)
        return await change_portfolio(session, found, wanted)


def delete(
    name: Name,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Delete a portfolio: there is no way back.

    Its rows stay in the database, as the audit log does, and its name is free.
    """
    if not yes:
        typer.confirm(f"Delete the portfolio {name!r}?", abort=True, err=True)
    deleted = run(_delete(name))
    if as_json:
        print_json(deleted)
    else:
        typer.echo(f"Deleted portfolio {deleted.name!r}.")


async def _delete(name: str) -> "PortfolioRecord":
    from seawall.portfolios.changing.change import delete_portfolio, lock_to_change
    from seawall.portfolios.portfolios import get_portfolio

    async with open_session() as session:
        found = await lock_to_change(session, (await get_portfolio(session, name)).id)
        await delete_portfolio(session, found)
        return found
