"""`seawall db seed`: made-up data in a database of its own."""

from typing import TYPE_CHECKING, Annotated

import typer

from seawall.cli.output import Json, day, print_json, progress
from seawall.cli.session import run

if TYPE_CHECKING:
    from seawall.ops.seeds.claim import Seed, SeedProfile

DEFAULT_USERS = 1_000


def seed(
    profile: Annotated[
        str, typer.Option("--profile", metavar="dev|perf", help="To look at, or to measure with.")
    ],
    users: Annotated[
        int | None,
        typer.Option("--users", help=f"How many users of perf; {DEFAULT_USERS:,} without."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Fill an empty database with made-up data.

    One that holds anything else is refused. dev has three users, whom no password lets in, and
    something for every page. perf has many users with 5 portfolios of 20 holdings each, and five
    years of half-hourly prices of 50 coins; run again with more users it grows. What is there
    already stays as it is.
    """
    wanted = DEFAULT_USERS if users is None else users
    held, added = run(_seed(_profile(profile, users), wanted))
    if as_json:
        print_json({"simulated": True, "seed": held, "users_added": added})
        return
    told = f"{added:,} users added" if added else "it was there already"
    typer.echo(
        f"SIMULATED DATA: the seed {held.profile} with {held.users:,} users, and prices of"
        f" {held.days:,} days until {day(held.until)} UTC: {told}."
    )


def _profile(given: str, users: int | None) -> "SeedProfile":
    from seawall.ops.seeds.claim import SeedProfile

    if given not in set(SeedProfile):
        raise typer.BadParameter(f"{given} is neither dev nor perf.", param_hint="--profile")
    if users is not None and given != SeedProfile.PERF:
        raise typer.BadParameter("Only perf has as many as are asked for.", param_hint="--users")
    return SeedProfile(given)


async def _seed(profile: "SeedProfile", users: int) -> "tuple[Seed, int]":
    from seawall.core.keys import KeyStore
    from seawall.core.settings import load_settings
    from seawall.core.time import now
    from seawall.db import database
    from seawall.db.vault import Vault
    from seawall.ops.seeds.claim import SeedProfile
    from seawall.ops.seeds.dev import seed_dev
    from seawall.ops.seeds.perf import seed_perf

    settings = load_settings()
    location = await database.make_ready(settings)
    with progress() as bar:
        task = bar.add_task("Looking", total=None)

        def advance(step: str, done: int, total: int) -> None:
            bar.update(task, description=step, completed=done, total=total)

        if profile is SeedProfile.PERF:
            return await seed_perf(location, users, now(), advance)
        async with database.open_worker(settings) as worker:
            return await seed_dev(worker, Vault(KeyStore(settings)), now(), advance)
