"""`seawall risk history` and `recompute`: the reports that were kept."""

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from seawall.cli import output
from seawall.cli.exits import CONFLICT
from seawall.cli.output import Json, print_json, print_table, table
from seawall.cli.risk.figures import document, print_report
from seawall.cli.risk.options import Name
from seawall.cli.session import open_session, run

if TYPE_CHECKING:
    from seawall.risk.report import Recomputed
    from seawall.risk.schemas import RiskReport


def history(
    name: Name,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 100,
    as_json: Json = False,
) -> None:
    """List the reports that were kept, the newest instant first."""
    found = run(_history(name, limit))
    if as_json:
        print_json({"reports": [document(each) for each in found]})
        return
    if not found:
        typer.echo(f"No report is kept. Make one: seawall risk report {name!r}")
        return
    shown = table(
        "As of (UTC)",
        "Known at (UTC)",
        ">Window",
        ">Confidence",
        "Benchmark",
        ">Value USD",
        ">VaR 95 %",
        "Id",
    )
    for each in found:
        shown.add_row(
            output.day(each.as_of),
            output.day(each.known_at),
            str(each.question.window),
            f"{each.question.confidence:g}",
            each.question.benchmark,
            output.money(each.total_value_usd),
            output.percent(each.figures["var_95"]),
            str(each.id),
        )
    print_table(shown)
    if len(found) == limit:
        typer.echo("There may be more: --limit shows them.", err=True)


async def _history(name: str, limit: int) -> "list[RiskReport]":
    from seawall.portfolios.portfolios import get_portfolio
    from seawall.risk.store import list_reports

    async with open_session() as session:
        return await list_reports(session, (await get_portfolio(session, name)).id, limit)


def recompute(
    report_id: Annotated[
        UUID, typer.Argument(metavar="ID", help="A report's id, from `risk history`.")
    ],
    as_json: Json = False,
) -> int:
    """Compute a kept report again from what was known then.

    Every figure is compared with the kept one; exit code 5 says that one differs.
    """
    done = run(_recompute(report_id))
    if as_json:
        print_json(
            {
                "identical": not done.differs,
                "differs": done.differs,
                "kept": document(done.kept),
                "recomputed": document(done.again),
            }
        )
    else:
        print_report(done.again)
        typer.echo(
            f"Different from the report kept as {report_id} in: {', '.join(done.differs)}."
            if done.differs
            else f"Identical to the report kept as {report_id}."
        )
    return CONFLICT if done.differs else 0


async def _recompute(report_id: UUID) -> "Recomputed":
    from seawall.risk.report import recompute as compute_again

    async with open_session() as session:
        return await compute_again(session, report_id)
