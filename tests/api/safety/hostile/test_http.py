"""Hostile requests below what a client library would send: the server says no, or hangs up."""

import gzip
import socket
import struct
import time
import zlib
from typing import Any

import pytest

LOGIN = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
GET = b"GET /api/v1/profile HTTP/1.1\r\nHost: x\r\n"
BODY = b'{"email":"a@example.com","password":"a"}'
MUCH = 1 << 20


def _lines(*headers: bytes, start: bytes = LOGIN, body: bytes = BODY) -> bytes:
    return start + b"\r\n".join(headers) + b"\r\n\r\n" + body


def _sized(body: bytes, *headers: bytes) -> bytes:
    return _lines(b"Content-Length: %d" % len(body), *headers, body=body)


def _bomb(megabytes: int) -> bytes:
    spaces, check = b" " * MUCH, 0
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    # Every block says the same, so one is packed.
    block = packer.compress(spaces) + packer.flush(zlib.Z_FULL_FLUSH)
    for _ in range(megabytes):
        check = zlib.crc32(spaces, check)
    sums = struct.pack("<LL", check, megabytes * MUCH)
    return gzip.compress(b"")[:10] + block * megabytes + packer.flush() + sums


def _bombs() -> dict[str, bytes]:
    """Make what takes long to make, and is not wanted by who only lists the tests."""
    return {
        "a gzip bomb": _sized(_bomb(500), b"Content-Encoding: gzip"),
        "a gzip of gzips": _sized(gzip.compress(_bomb(50)), b"Content-Encoding: gzip, gzip"),
        "a deflate bomb": _sized(
            zlib.compress(b" " * (64 * MUCH), 9), b"Content-Encoding: deflate"
        ),
    }


_MULTIPART = b"Content-Type: multipart/form-data; boundary=b"
_PART = b'--b\r\nContent-Disposition: form-data; name="x"; filename="../../x"\r\n\r\ny\r\n'
REQUESTS: dict[str, bytes] = {
    "two lengths": _lines(b"Content-Length: 40", b"Content-Length: 4"),
    "two lengths in one": _lines(b"Content-Length: 40, 4"),
    "a length and chunks": _lines(
        b"Content-Length: 4", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"
    ),
    "chunks of chunks": _lines(b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"),
    "chunks by another name": _lines(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"),
    "chunks with a space": _lines(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n"),
    "a negative length": _lines(b"Content-Length: -1"),
    "a signed length": _lines(b"Content-Length: +40"),
    "a length in hex": _lines(b"Content-Length: 0x28"),
    "a length beyond all": _lines(b"Content-Length: 99999999999999999999999"),
    "a length of many digits": _lines(b"Content-Length: " + b"0" * 5_000 + b"40"),
    "a chunk beyond all": _lines(b"Transfer-Encoding: chunked", body=b"FFFFFFFFFFFFFFFF0\r\nx"),
    "a chunk without a number": _lines(b"Transfer-Encoding: chunked", body=b"zz\r\nx\r\n0\r\n\r\n"),
    "a negative chunk": _lines(b"Transfer-Encoding: chunked", body=b"-1\r\nx\r\n0\r\n\r\n"),
    "many chunks": _lines(
        b"Transfer-Encoding: chunked", body=b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n"
    ),
    "too many chunks": _lines(
        b"Transfer-Encoding: chunked", body=b"FFFF\r\n" + b"x" * 0xFFFF + b"\r\n" * 1
    ),
    "a chunk's long extension": _lines(
        b"Transfer-Encoding: chunked", body=b"1;" + b"a" * 100_000 + b"\r\nx\r\n0\r\n\r\n"
    ),
    "a request in a request": _sized(BODY) + b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
    "a header of another line": _lines(b"X: a\r\n b", b"Content-Length: 40"),
    "a header with a bare newline": _lines(b"X: a\nSet-Cookie: b", b"Content-Length: 40"),
    "a header with a NUL": _lines(b"X: a\x00b", b"Content-Length: 40"),
    "a long header": _lines(b"X: " + b"a" * 200_000, start=GET, body=b""),
    "many headers": _lines(*(b"X%d: a" % n for n in range(5_000)), start=GET, body=b""),
    "a long path": b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "a path upwards": b"GET /api/v1/../../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
    "a path upwards in code": b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
    "a path with a NUL": b"GET /api/v1/profile%00.html HTTP/1.1\r\nHost: x\r\n\r\n",
    "a path that is no UTF-8": b"GET /api/v1/%ff%fe HTTP/1.1\r\nHost: x\r\n\r\n",
    "a path with newlines": b"GET /api/v1/%0d%0aSet-Cookie:%20x HTTP/1.1\r\nHost: x\r\n\r\n",
    "another's address": b"GET http://169.254.169.254/ HTTP/1.1\r\nHost: x\r\n\r\n",
    "a tunnel": b"CONNECT 127.0.0.1:5432 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a trace": b"TRACE / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret-canary\r\n\r\n",
    "an unknown method": b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n",
    "an old version": b"GET /healthz\r\n\r\n",
    "a version to come": b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    "HTTP/2 unasked": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200,
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "two hosts": _lines(b"Host: evil.example", start=GET, body=b""),
    "a hostile host": b"GET /nothing HTTP/1.1\r\nHost: <script>.example\r\n\r\n",
    "a range": _lines(b"Range: bytes=0-", start=GET, body=b""),
    "many ranges": _lines(b"Range: bytes=" + b"0-,1-," * 5_000, start=GET, body=b""),
    "ranges beyond": _lines(b"Range: bytes=-99999999999999999999", start=GET, body=b""),
    "many accepted types": _lines(b"Accept: " + b"a/b;q=0.1," * 5_000, start=GET, body=b""),
    "many encodings": _lines(b"Accept-Encoding: " + b"gzip;q=0.1," * 5_000, start=GET, body=b""),
    "many cookies": _lines(b"Cookie: " + b"a=b;" * 10_000, start=GET, body=b""),
    "a hostile cookie": _lines(b'Cookie: __Host-seawall_session="\\101\x80"', start=GET, body=b""),
    "a long token": _lines(b"Authorization: Bearer " + b"a." * 20_000, start=GET, body=b""),
    "a token without a signature": _lines(
        b"Authorization: Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.", start=GET, body=b""
    ),
    "a token that is no ASCII": _lines(b"Authorization: Bearer \xff\xfe", start=GET, body=b""),
    "deep arrays": _sized(b"[" * 500_000),
    "deep objects": _sized(b'{"a":' * 100_000),
    "deep and closed": _sized(b"[" * 200_000 + b"]" * 200_000),
    "many keys": _sized(b"{" + b",".join(b'"k%d":1' % n for n in range(60_000)) + b"}"),
    "the same key": _sized(b"{" + b'"email":"a",' * 60_000 + b'"email":"a"}'),
    "a number of many digits": _sized(b'{"email":' + b"9" * 900_000 + b"}"),
    "a number of a large exponent": _sized(b'{"email":1e999999999}'),
    "a long string": _sized(b'{"email":"' + b"a" * 900_000 + b'"}'),
    "many escapes": _sized(b'{"email":"' + b"\\u0000" * 150_000 + b'"}'),
    "a lone surrogate": _sized(b'{"email":"\\ud800","password":"\\udfff"}'),
    "text that is no UTF-8": _sized(b'{"email":"\xff\xfe"}'),
    "UTF-16": _sized('{"email":"a"}'.encode("utf-16")),
    "a mark before": _sized(b"\xef\xbb\xbf" + BODY),
    "not a number": _sized(b'{"email":NaN,"password":Infinity}'),
    "parts": _sized(_PART * 5_000 + b"--b--\r\n", _MULTIPART),
    "parts without an end": _sized(_PART * 1_000, _MULTIPART),
    "parts without a boundary": _sized(_PART, b"Content-Type: multipart/form-data"),
    "a form": _sized(b"a=b&" * 100_000, b"Content-Type: application/x-www-form-urlencoded"),
    "XML": _sized(
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>',
        b"Content-Type: application/xml",
    ),
    "pickles": _sized(b"cos\nsystem\n(S'id'\ntR.", b"Content-Type: application/python-pickle"),
    "an expectation": _sized(BODY, b"Expect: 100-continue"),
    "an unknown expectation": _sized(BODY, b"Expect: the-worst"),
    "an upgrade": _lines(b"Connection: Upgrade", b"Upgrade: h2c", start=GET, body=b""),
    "an upgrade to nothing": _lines(b"Connection: Upgrade", b"Upgrade: x", start=GET, body=b""),
    "another method": _sized(BODY, b"X-HTTP-Method-Override: DELETE"),
    "another's address said": _lines(b"X-Forwarded-For: 127.0.0.1", start=GET, body=b""),
    "a rewritten path": _lines(b"X-Original-URL: /metrics", start=GET, body=b""),
    "an id of the request": _lines(b"X-Request-ID: a\tb<script>", start=GET, body=b""),
}


def _answer(port: int, sent: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        received = b""
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(1 << 16):
                received += part
        except (ConnectionResetError, BrokenPipeError):
            pass
    return received


def test_the_server_says_no_or_hangs_up(served: Any, ask: Any, toll: Any, figures: Any) -> None:
    for name, sent in (REQUESTS | _bombs()).items():
        start = time.monotonic()
        with toll.of(name):
            received = _answer(served.port, sent)
        assert time.monotonic() - start < 15, name
        for status in received.split(b"HTTP/1.1 ")[1:]:
            assert status[:1] in b"124", (name, received[:500])
        head, _, _ = received.partition(b"\r\n\r\n")
        assert b"set-cookie" not in head.lower(), name
        assert b"root:x:0" not in received, name
        assert b"secret-canary" not in received, name
        assert b"<script>" not in head, name
        assert ask.get("/healthz").status_code == 200, name
    toll.check(figures, "HTTP", 80)


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HT", GET, b"GET /healthz HTTP/1.1\r\n\r\nG"])
def test_who_says_nothing_more_is_hung_up_on(hurried_port: int, sent: bytes) -> None:
    start = time.monotonic()
    with socket.create_connection(("127.0.0.1", hurried_port), timeout=30) as connection:
        connection.sendall(sent)
        received = b""
        while part := connection.recv(1 << 16):
            received += part
    assert received.endswith(b'{"status":"ok"}') == (b"1.1\r\n\r\nG" in sent)
    assert time.monotonic() - start < 10
