"""What tests of seeds share: all that a database holds, in a few bytes."""

from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import text

from seawall.db.database import Location, open_admin

Fingerprint = Callable[..., Awaitable[dict[str, str]]]

_TABLES = text("""
    SELECT c.oid::regclass::text AS name, array_agg(quote_ident(a.attname) ORDER BY a.attnum)
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
    WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND NOT a.attisdropped
    GROUP BY c.oid
""")


@pytest.fixture(scope="session")
def fingerprint() -> Fingerprint:
    """Hash every table's rows, or those of some, without the columns that are left out."""

    async def take(location: Location, *only: str, without: str = "") -> dict[str, str]:
        found = {}
        async with open_admin(location) as admin, admin.connect() as connection:
            for name, columns in (await connection.execute(_TABLES)).all():
                if only and name not in only:
                    continue
                row = ", ".join(column for column in columns if column != without)
                rows = f"string_agg(md5(row({row})::text), '' ORDER BY row({row})::text)"
                hashed = text(f"SELECT md5({rows}) FROM {name}")  # noqa: S608 - the catalogue's
                found[name] = str(await connection.scalar(hashed))
        return found

    return take
