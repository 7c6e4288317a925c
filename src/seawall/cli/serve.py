"""`seawall serve`: the API over HTTP, for this machine alone unless it is made safe for others."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from seawall.core.settings import Settings

APP = "seawall.api.app:create_app"
"""The API stands beside the command line, and is named for whoever starts it."""

HUNG_SECONDS = 60
"""A process that says nothing for so long is killed and replaced. What is compiled when it is first
computed can hold one up for many seconds on a busy machine, while requests are under way."""

LAST = 19
"""The priority of what may take its time."""

STREAMS: "dict[str, Any]" = {
    # They can cut a stream that is not read, and end those that go on when the server stops.
    "http": "seawall.api.streams.protocol:Http",
    "ws": "seawall.api.streams.protocol:WebSocket",
    "ws_max_size": 16_384,
    "ws_ping_interval": 20.0,
    "ws_ping_timeout": 20.0,
    # Messages are small, and one is written for all: compressed it would be for each by itself.
    "ws_per_message_deflate": False,
}


def serve(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="How many processes.")] = 1,
    certificate: Annotated[
        Path | None, typer.Option(metavar="FILE", help="TLS certificate with its chain (PEM).")
    ] = None,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="Its key (PEM).")] = None,
    insecure: Annotated[
        bool,
        typer.Option("--insecure", help="Listen to others without TLS, as behind a proxy."),
    ] = False,
    proxy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS",
            help="A proxy, or a network of them, whose X-Forwarded-For and X-Forwarded-Proto are"
            " believed. Repeat it for several.",
        ),
    ] = None,
    grace: Annotated[int, typer.Option(min=0, help="Seconds that requests may end in.")] = 10,
    check: Annotated[
        bool, typer.Option("--check", help="Say whether it could serve so, and stop.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print exactly one JSON document to standard output.")
    ] = False,
) -> None:
    """Serve the API until stopped.

    Ctrl-C or SIGTERM ends it once the requests under way are answered. An address that others can
    reach needs a certificate, or --insecure, and SEAWALL_API__SECRET. Several processes need
    SEAWALL_CACHE__URL, to count together.
    """
    from seawall.cli.output import print_json
    from seawall.core.settings import load_settings

    settings = load_settings()
    _require_pair(certificate, key)
    proxies = _read_networks(proxy or [])
    if not _is_local(host):
        _require_safe(settings, host, has_tls=certificate is not None, insecure=insecure)
    if workers > 1:
        _require_shared_cache(settings, workers)
    scheme = "http" if certificate is None else "https"
    address = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
    if as_json:
        print_json({"address": address, "workers": workers})
    else:
        typer.echo(f"Serving {address}/api/v1 with {workers} process(es). Stop with Ctrl-C.")
    if check:
        return
    _prepare(settings)
    with _counted_together(workers), _compiling():
        _run(_Binding(host, port, workers, grace, certificate, key, proxies))


@dataclass(frozen=True, slots=True)
class _Binding:
    """Where it is served, by how many, and who is believed."""

    host: str
    port: int
    workers: int
    grace: int
    certificate: Path | None
    key: Path | None
    proxies: list[str]


@contextmanager
def _counted_together(workers: int) -> Iterator[None]:
    """Give several processes one folder to count in, so that each can tell what all have done."""
    if workers == 1:
        yield
        return
    with TemporaryDirectory(prefix="seawall-metrics-", ignore_cleanup_errors=True) as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        yield


@contextmanager
def _compiling() -> Iterator[None]:
    """Compile the kernels meanwhile, so that nobody's first report has to wait for it."""
    # A process of its own: compiling holds the lock that requests need. Of all it comes last.
    command = [sys.executable, "-P", "-m", "seawall.quant.compiling"]
    # It ends with us, however that is: its input is closed then. Ctrl-C is not meant for it.
    options: dict[str, Any] = {
        "stdin": subprocess.PIPE,
        "stdout": subprocess.DEVNULL,
        "process_group": 0,
    }
    with subprocess.Popen(command, **options) as compiler:  # noqa: S603 - a program of ours
        os.setpriority(os.PRIO_PROCESS, compiler.pid, LAST)
        try:
            yield
        finally:
            compiler.terminate()


def _run(binding: _Binding) -> None:
    import uvicorn

    uvicorn.run(
        APP,
        factory=True,
        host=binding.host,
        port=binding.port,
        workers=binding.workers,
        loop="uvloop",
        **STREAMS,
        # Who asks is who is connected, unless that is a proxy of ours: a header can say anything.
        proxy_headers=bool(binding.proxies),
        forwarded_allow_ips=binding.proxies,
        server_header=False,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=binding.grace,
        timeout_worker_healthcheck=HUNG_SECONDS,
        ssl_certfile=binding.certificate,
        ssl_keyfile=binding.key,
    )


def _prepare(settings: "Settings") -> None:
    """Bring the database up and up to date, and make the secret, before any process needs it."""
    from seawall.cli.session import run
    from seawall.core.signing import read_secret
    from seawall.db.database import make_ready

    read_secret(settings)
    run(make_ready(settings))


def _is_local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _read_networks(given: list[str]) -> list[str]:
    from seawall.core.errors import InvalidError

    try:
        return [str(ip_network(each)) for each in given]
    except ValueError as error:
        raise InvalidError(
            f"--proxy: {error}.", hint="Write an address, or a network like 10.0.0.0/8."
        ) from None


def _require_pair(certificate: Path | None, key: Path | None) -> None:
    from seawall.core.errors import InvalidError

    if (certificate is None) != (key is None):
        raise InvalidError("TLS needs both --certificate and --key.")
    for each in (certificate, key):
        if each is not None and not os.access(each, os.R_OK):
            raise InvalidError(f"{each} cannot be read.")


def _require_safe(settings: "Settings", host: str, *, has_tls: bool, insecure: bool) -> None:
    from seawall.core.errors import ForbiddenError

    if settings.api.secret is None:
        raise ForbiddenError(
            f"{host} can be reached by others, and SEAWALL_API__SECRET is not set.",
            hint="Set it to 32 random characters or more, and keep it: openssl rand -hex 32",
        )
    if not (has_tls or insecure):
        raise ForbiddenError(
            f"{host} can be reached by others, and passwords would pass without TLS.",
            hint="Give --certificate and --key, or --insecure behind a proxy that has TLS.",
        )


def _require_shared_cache(settings: "Settings", workers: int) -> None:
    from seawall.core.errors import InvalidError

    if settings.cache.url is None:
        raise InvalidError(
            f"{workers} processes would each count guesses at passwords for themselves.",
            hint="Set SEAWALL_CACHE__URL, or serve with one.",
        )
