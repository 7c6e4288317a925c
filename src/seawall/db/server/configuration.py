"""The settings that the embedded server runs with."""

import os
from collections.abc import Mapping
from pathlib import Path

from seawall.db.server.binaries import Binaries

SETTINGS_FILE = "seawall.conf"
DEFAULT_PORT = 5432
"""Names the socket when the server does not listen on TCP."""

_MEGABYTE = 1 << 20
_HEADER = "# Written by Seawall at every start of the server: changes here are lost.\n"


def server_settings(
    binaries: Binaries, socket_dir: Path, port: int | None, extra: Mapping[str, str]
) -> dict[str, str]:
    """Return our settings by name; `extra` has the last word."""
    return {
        "listen_addresses": "127.0.0.1" if port is not None else "",
        "port": str(port if port is not None else DEFAULT_PORT),
        "unix_socket_directories": str(socket_dir),
        "unix_socket_permissions": "0700",
        **memory_settings(_machine_memory()),
        # Each process that serves has 24 of them, and whoever works aside some more.
        "max_connections": "200",
        "max_wal_size": "2GB",
        "min_wal_size": "128MB",
        "wal_compression": "on",
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "random_page_cost": "1.1",
        "jit": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
        # A statement may hold what must not be in a log: passwords, a person's data.
        "log_min_error_statement": "panic",
        # Queries over many partitions or chunks lock each of them.
        "max_locks_per_transaction": "256",
        **(_TIMESCALEDB if binaries.has_timescaledb else {}),
        **extra,
    }


_TIMESCALEDB = {
    "shared_preload_libraries": "timescaledb",
    "timescaledb.telemetry_level": "off",
    # Its scheduler takes 16 workers beside the parallel queries' 8.
    "max_worker_processes": "26",
}


def _machine_memory() -> int:
    """Return the bytes of memory that there are, or that the container may use."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text(encoding="ascii").strip() if limit.is_file() else ""
    return min(physical, int(text)) if text.isdecimal() else physical


def memory_settings(total: int) -> dict[str, str]:
    """Share out the machine's memory, in bytes, so that Seawall's own work has most of it."""

    def part(divisor: int, least: int, most: int) -> str:
        return f"{min(max(total // divisor // _MEGABYTE, least), most)}MB"

    return {
        "shared_buffers": part(8, 32, 1024),
        "effective_cache_size": part(2, 128, 1 << 20),
        "maintenance_work_mem": part(32, 16, 512),
        "work_mem": part(512, 4, 32),
    }


def render(settings: Mapping[str, str]) -> str:
    """Write settings as postgresql.conf wants them."""

    def quoted(value: str) -> str:
        return value.replace("\\", "\\\\").replace("'", "''")

    return _HEADER + "".join(f"{name} = '{quoted(value)}'\n" for name, value in settings.items())
