"""What there is to know about an installation's database, without changing or starting it."""

from seawall.core.errors import SeawallError
from seawall.core.settings import load_settings
from seawall.db import database, migrate
from seawall.db.database import Location, embedded_server
from seawall.db.engine import parse_url
from seawall.db.server.driver import ServerState


async def describe() -> dict[str, object]:
    """Return the facts of the server and the database, by name."""
    settings = load_settings()
    if settings.database.url is not None:
        url = settings.database.url.get_secret_value()
        shown = parse_url(url).set(drivername="postgresql").render_as_string(hide_password=True)
        return {"server": "external", "url": shown, **await _version(database.locate(settings))}
    found = embedded_server(settings).status()
    facts: dict[str, object] = {
        "server": "embedded",
        "state": found.state.value,
        "postgresql": found.binaries.version_text if found.binaries else None,
        "timescaledb": found.binaries.has_timescaledb if found.binaries else None,
        "programs": found.binaries.folder if found.binaries else None,
        "data_folder": found.data_dir,
        "size_bytes": found.size_bytes,
        "pid": found.pid,
        "socket_folder": found.socket_dir,
        "tcp_port": found.tcp_port,
        "log": found.log_path,
    }
    if found.state is ServerState.RUNNING:
        facts |= await _version(database.locate(settings))
    return facts


async def _version(location: Location) -> dict[str, object]:
    try:
        found = await database.version(location)
    except SeawallError as error:
        return {"version": None, "needed_version": migrate.head(), "problem": str(error)}
    return {"version": found.current, "needed_version": found.needed}
