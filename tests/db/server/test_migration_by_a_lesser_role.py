"""A server of others is migrated by a role that may make roles, and nothing more."""

from collections.abc import Callable
from pathlib import Path

from seawall.db import migrate
from seawall.db.engine import create_engine
from seawall.db.server.driver import Server


async def test_a_role_that_may_make_roles_is_enough(
    home: Path, bin_dir: Path, serve: Callable[..., Server]
) -> None:
    # Since PostgreSQL 16 who makes a role is its member, but may not become it without a grant.
    access = serve(home, bin_dir=bin_dir).ensure()
    admin = create_engine(access.url("postgres", as_admin=True), role=None, pooled=False)
    async with admin.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        await connection.exec_driver_sql("CREATE ROLE keeper LOGIN CREATEROLE PASSWORD 'secret'")
        await connection.exec_driver_sql("CREATE DATABASE kept OWNER keeper")
    await admin.dispose()
    url = access.url("kept").replace(access.app_password, "secret").replace("seawall_app", "keeper")

    keeper = create_engine(url, role=None, pooled=False)
    await migrate.upgrade(keeper)
    await keeper.dispose()

    application = create_engine(url, pooled=False)
    found = await migrate.version(application)
    await application.dispose()
    assert found.is_current
