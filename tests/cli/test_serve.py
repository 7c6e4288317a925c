"""`seawall serve` refuses what is unsafe, and stops when the requests under way are answered."""

import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import pytest
from prometheus_client import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.parser import text_string_to_metric_families

Cli = Callable[..., Any]
SECRET = "0123456789abcdef" * 2
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""To load the certificates of the world anew takes longer than the request that needs none."""
_get = partial(httpx.get, verify=NO_TLS)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "localhost", "::1"])
def test_this_machine_alone_is_safe(shared: Cli, host: str) -> None:
    done = shared("serve", "--check", "--host", host)
    assert done.code == 0
    assert "Serving http://" in done.out


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])  # noqa: S104 - refused
def test_an_address_of_others_needs_a_secret_and_tls_or_a_word(
    shared: Cli, host: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = ("serve", "--check", "--host", host)
    done = shared(*asked, "--insecure")
    assert (done.code, "SEAWALL_API__SECRET" in done.err) == (6, True)
    monkeypatch.setenv("SEAWALL_API__SECRET", SECRET)
    done = shared(*asked)
    assert (done.code, "without TLS" in done.err) == (6, True)
    assert SECRET not in done.err
    assert shared(*asked, "--insecure").code == 0
    for name in ("certificate", "key"):
        (tmp_path / name).touch()
    half = ("--certificate", tmp_path / "certificate")
    assert shared(*asked, *half).code == 4
    assert shared(*asked, *half, "--key", tmp_path / "missing").code == 4
    assert "https://" in shared(*asked, *half, "--key", tmp_path / "key").out


def test_a_short_secret_is_refused(shared: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEAWALL_API__SECRET", "short")
    done = shared("serve", "--check")
    assert (done.code, "short" in done.err) == (4, False)


def test_processes_have_to_count_together(shared: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shared("serve", "--check", "--workers", "2").code == 4
    monkeypatch.setenv("SEAWALL_CACHE__URL", "redis://127.0.0.1:1/0")
    assert shared("serve", "--check", "--workers", "2").code == 0


def test_a_proxy_is_an_address(shared: Cli) -> None:
    assert shared("serve", "--check", "--proxy", "10.0.0.0/8", "--proxy", "::1").code == 0
    done = shared("serve", "--check", "--proxy", "everybody")
    assert (done.code, "'everybody'" in done.err) == (4, True)


def test_it_serves_until_it_is_told_to_stop(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, end_compiling: Callable[[int], None]
) -> None:
    assert cli("user", "create", "ada@example.com", "--invite").code == 0
    # Whatever it asks first is slow by that, and is kept.
    monkeypatch.setenv("SEAWALL_DATABASE__SLOW_MS", "1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "seawall.cli.app", "serve", "--port", str(port)]
    command += ["--proxy", "192.0.2.1", "--proxy", "127.0.0.2/31"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as server:
        try:
            address = f"http://127.0.0.1:{port}"
            until = monotonic() + 60
            while not _answers(address):
                assert server.poll() is None, server.communicate()
                assert monotonic() < until
                end_compiling(server.pid)
                sleep(0.2)
            assert _get(f"{address}/readyz").json()["status"] == "ok"
            found = _get(f"{address}/api/v1/profile")
            assert found.status_code == 401
            assert "server" not in found.headers
            said = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}
            for proxy, is_ours in ("127.0.0.1", False), ("127.0.0.2", True), ("127.0.0.3", True):
                of_it = httpx.HTTPTransport(verify=NO_TLS, local_address=proxy)
                with httpx.Client(transport=of_it) as client:
                    found = client.get(f"{address}/healthz", headers=said)
                assert ("strict-transport-security" in found.headers) == is_ours
            assert _get(f"{address}/api/v1/openapi.json", timeout=30).json()["openapi"] >= "3.1"
            while not (kept := _kept_by(cli, server.pid)):
                assert monotonic() < until
                sleep(0.2)
            assert {each["component"] for each in kept} == {"seawall.slow"}
        finally:
            server.send_signal(signal.SIGTERM)
            _, errors = server.communicate(timeout=30)
    assert b"Traceback" not in errors


def _kept_by(cli: Cli, pid: int) -> list[Any]:
    found = cli("logs", "--limit", "1000", "--json").document["logs"]
    return [each for each in found if each["metadata"]["process"] == f"server {pid}"]


def test_several_processes_tell_what_all_have_done(
    cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    end_compiling: Callable[[int], None],
) -> None:
    assert cli("user", "create", "ada@example.com", "--invite").code == 0
    monkeypatch.setenv("SEAWALL_CACHE__URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "seawall.cli.app", "serve", "--port", str(port)]
    command += ["--workers", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as server:
        try:
            address = f"http://127.0.0.1:{port}"
            until = monotonic() + 90
            while not _answers(address):
                assert server.poll() is None, server.communicate()
                assert monotonic() < until
                end_compiling(server.pid)
                sleep(0.2)
            asked, each = 0, [0.0]
            while len(each) < 2 or not all(each):
                # At once, so that one process alone is too busy to take them all.
                assert monotonic() < until
                with ThreadPoolExecutor(8) as pool:
                    list(pool.map(_get, [f"{address}/readyz"] * 16))
                asked += 16
                files = sorted(tmp_path.glob("seawall-metrics-*/counter_*.db"))
                each = [_asked_for_readiness(_counted_in(file)) for file in files]
            assert sum(each) == asked
            for _ in range(6):
                written = _get(f"{address}/metrics").text
                assert _asked_for_readiness(text_string_to_metric_families(written)) == asked
                assert "seawall_request_seconds_bucket" in written
            children = _children(server.pid)
            _hold_up(children, 6.5)
            assert _children(server.pid) == children, "one that was slow was killed"
            assert _answers(address)
        finally:
            server.send_signal(signal.SIGTERM)
            _, errors = server.communicate(timeout=30)
    assert b"Traceback" not in errors
    assert not list(tmp_path.glob("seawall-metrics-*"))


def _children(pid: int) -> list[int]:
    try:
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:  # There is no /proc.
        return []
    return [int(each) for each in found if b"spawn_main" in _command(each)]


def _command(pid: str) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def _hold_up(processes: list[int], seconds: float) -> None:
    for each in processes:
        os.kill(each, signal.SIGSTOP)
    sleep(seconds)
    for each in processes:
        os.kill(each, signal.SIGCONT)


def _counted_in(file: Path) -> list[Metric]:
    return list(MultiProcessCollector.merge([str(file)]))  # type: ignore[no-untyped-call]


def _asked_for_readiness(families: Iterable[Metric]) -> float:
    samples = [sample for family in families for sample in family.samples]
    of_it = [each for each in samples if each.labels.get("operation") == "readyz"]
    return sum(each.value for each in of_it if each.name == "seawall_requests_total")


def _answers(address: str) -> bool:
    try:
        return _get(f"{address}/healthz", timeout=1).status_code == 200
    except httpx.TransportError:
        return False
