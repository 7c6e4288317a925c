"""`seawall risk limits`: what is allowed, how much of it is used, and what went beyond."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from seawall.cli import output
from seawall.cli.exits import CONFLICT
from seawall.cli.output import Json, print_json, print_table, table
from seawall.cli.session import open_session, run

if TYPE_CHECKING:
    from seawall.risk.limits.overview import Named
    from seawall.risk.limits.schemas import Amount, Checked, Event, LimitName, Use


@dataclass(frozen=True, slots=True)
class _Changes:
    allowed: "Mapping[LimitName, Amount | None]"
    blocking: "Mapping[LimitName, bool]"

    @property
    def any(self) -> bool:
        return bool(self.allowed or self.blocking)


def limits(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="A portfolio's name; without it, everything."),
    ] = None,
    *,
    account: Annotated[
        str | None, typer.Option(metavar="NAME", help="A trading account, not a portfolio.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="LIMIT=AMOUNT", help="Set a limit: max_drawdown=20%."),
    ] = None,
    unset: Annotated[
        list[str] | None, typer.Option(metavar="LIMIT", help="Take a limit away.")
    ] = None,
    block: Annotated[
        list[str] | None,
        typer.Option(metavar="LIMIT", help="Let trading stop while this limit is broken."),
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(metavar="LIMIT", help="Let trading go on while it is broken."),
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Open and resolve events; exit code 5 if any is broken."),
    ] = False,
    events: Annotated[
        bool, typer.Option("--events", help="List events, the newest first.")
    ] = False,
    resolve: Annotated[
        UUID | None, typer.Option(metavar="ID", help="Resolve an event yourself.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Show what is allowed and how much of it is used; change it.

    Limits are of a portfolio, of a trading account, or, without a name, of everything. A change of
    them is checked at once.
    """
    if name is not None and account is not None:
        raise typer.BadParameter("give a portfolio or --account, not both")
    if resolve is not None:
        return _print_resolved(run(_resolve(resolve)), as_json=as_json)
    changes = _changes(set_ or [], unset or [], block or [], allow or [])
    if events:
        return _print_events(run(_events(name, account)), as_json=as_json)
    named, checked = run(_look(name, account, changes, check=check))
    if as_json:
        print_json(document(named, checked))
    else:
        _print(named, checked)
    broken = any(each.is_broken for each in checked.uses)
    return CONFLICT if check and broken else 0


def _changes(given: list[str], unset: list[str], block: list[str], allow: list[str]) -> _Changes:
    from seawall.risk.limits.change import parse_name, parse_setting

    allowed: dict[LimitName, Amount | None] = dict(map(parse_setting, given))
    allowed |= dict.fromkeys(map(parse_name, unset))
    blocking = dict.fromkeys(map(parse_name, block), True)
    return _Changes(allowed, blocking | dict.fromkeys(map(parse_name, allow), False))


async def _look(
    name: str | None, account: str | None, changes: _Changes, *, check: bool
) -> "tuple[Named, Checked]":
    from seawall.identity.owner import OWNER_ID
    from seawall.risk.limits.change import change_limits
    from seawall.risk.limits.overview import find_subject

    async with open_session() as session:
        named = await find_subject(session, name, account)
        if changes.any:
            await change_limits(session, OWNER_ID, named.subject, changes.allowed, changes.blocking)
        return named, await named.check(session, check or changes.any)


async def _events(name: str | None, account: str | None) -> "list[Event]":
    from seawall.risk.limits import store
    from seawall.risk.limits.overview import find_subject

    async with open_session() as session:
        if name is None and account is None:
            return await store.list_events(session)
        named = await find_subject(session, name, account)
        found = await store.find_limits(session, (named.subject,))
        return await store.list_events(session, limit_ids=[each.id for each in found])


async def _resolve(event_id: UUID) -> "Event":
    from seawall.identity.owner import OWNER_ID
    from seawall.risk.limits.events import resolve

    async with open_session() as session:
        return await resolve(session, event_id, OWNER_ID)


def document(named: "Named", checked: "Checked") -> dict[str, object]:
    """Lay limits out for programs."""
    return {
        "subject": named.name,
        "scope": named.subject.scope,
        "limits": [_use(named, each) for each in checked.uses],
        "events": checked.breaches,
        "resolved": checked.resolved,
    }


def _use(named: "Named", use: "Use") -> dict[str, object]:
    return {
        "name": use.name,
        "scope": use.limits.subject.scope,
        "subject": _of(named, use),
        "allowed": use.allowed,
        "used": use.used.value,
        "share": use.ratio,
        "headroom": _headroom(use),
        "about": use.used.about,
        "blocks": use.name in use.limits.blocking,
        "state": _state(use),
        "reason": use.used.reason,
    }


def _of(named: "Named", use: "Use") -> str:
    return named.name if use.limits.subject == named.subject else "everything"


def _headroom(use: "Use") -> "Amount | None":
    if use.used.value is None:
        return None
    match use.allowed, use.used.value:
        case Decimal() as allowed, Decimal() as used:
            return allowed - used
        case int(allowed), int(used):
            return allowed - used
    return float(use.allowed) - float(use.used.value)


def _state(use: "Use") -> str:
    if use.is_broken:
        return "broken"
    return "kept" if use.is_kept else "unknown"


def _print(named: "Named", checked: "Checked") -> None:
    from seawall.risk.limits.events import shown as amount
    from seawall.risk.limits.schemas import RULES

    if not checked.uses:
        typer.echo(f"No limits of {named.name} are set. Set one: --set max_drawdown=20%")
    else:
        shown = table("Of", "Limit", ">Allowed", ">Used", ">Share", ">Left", "Blocks", "~State")
        for use in checked.uses:
            shown.add_row(
                _of(named, use),
                RULES[use.name].title,
                amount(use.name, use.allowed),
                amount(use.name, use.used.value),
                output.percent(use.ratio, 0),
                amount(use.name, _headroom(use)),
                "yes" if use.name in use.limits.blocking else "",
                _told(use, checked),
            )
        print_table(shown)
    for event in checked.resolved:
        typer.echo(f"Resolved: {event.description}")


def _told(use: "Use", checked: "Checked") -> str:
    about = f"{use.used.about} " if use.used.about else ""
    for event in checked.breaches:
        if (event.limit_id, event.limit_name) == (use.limits.id, use.name) and not use.is_kept:
            unsure = f"; {use.used.reason}" if use.used.reason else ""
            return f"{about}{event.severity} since {output.day(event.triggered_at)}{unsure}"
    if use.is_broken:
        return f"{about}broken; --check makes it an event"
    return f"{about}{use.used.reason or 'kept'}"


def _print_events(found: "list[Event]", *, as_json: bool) -> int:
    if as_json:
        print_json({"events": found})
        return 0
    if not found:
        typer.echo("Nothing went beyond a limit.")
        return 0
    shown = table("Since (UTC)", "Severity", "~What", "Resolved (UTC)", "Id")
    for each in found:
        over = output.day(each.resolved_at) if each.resolved_at else "-"
        by = " by you" if each.resolved_by else ""
        shown.add_row(
            output.day(each.triggered_at), each.severity, each.description, over + by, str(each.id)
        )
    print_table(shown)
    return 0


def _print_resolved(event: "Event", *, as_json: bool) -> int:
    if as_json:
        print_json(event)
    else:
        typer.echo(f"Resolved: {event.description}")
    return 0
