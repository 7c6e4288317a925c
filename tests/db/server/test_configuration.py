"""The server's settings fit the machine and survive every value."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from seawall.db.server.binaries import Binaries
from seawall.db.server.configuration import memory_settings, render, server_settings

GIGABYTE = 1 << 30


def megabytes(setting: str) -> int:
    return int(setting.removesuffix("MB"))


def test_memory_grows_with_the_machine_up_to_a_bound() -> None:
    assert memory_settings(GIGABYTE)["shared_buffers"] == "128MB"
    assert memory_settings(4 * GIGABYTE)["shared_buffers"] == "512MB"
    assert memory_settings(256 * GIGABYTE)["shared_buffers"] == "1024MB"


@given(st.integers(GIGABYTE // 4, 1 << 44))
def test_memory_never_takes_the_whole_machine(total: int) -> None:
    memory = memory_settings(total)
    assert megabytes(memory["shared_buffers"]) << 20 <= total // 4
    assert megabytes(memory["work_mem"]) >= 4


def test_timescaledb_is_loaded_only_where_it_is() -> None:
    def preloaded(*, has_timescaledb: bool) -> str | None:
        binaries = Binaries(Path("/bin"), (15, 1), Path("/share"), has_timescaledb)
        return server_settings(binaries, Path("/run"), None, {}).get("shared_preload_libraries")

    assert preloaded(has_timescaledb=True) == "timescaledb"
    assert preloaded(has_timescaledb=False) is None


def test_quotes_and_backslashes_are_written_so_that_postgresql_reads_them_back() -> None:
    assert render({"a": "it's", "b": "\\d"}).splitlines()[1:] == ["a = 'it''s'", "b = '\\\\d'"]
