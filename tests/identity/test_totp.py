"""Codes of the second factor are those of RFC 6238."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from seawall.identity import totp

# Appendix B of the RFC, in its last six digits.
RFC = SecretStr(base64.b32encode(b"12345678901234567890").decode())


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_codes_are_the_published_ones(seconds: int, code: str) -> None:
    moment = datetime.fromtimestamp(seconds, UTC)
    step = seconds // 30
    assert totp.matching_step(RFC, code, moment) == step
    for drift in (-30, 30):
        assert totp.matching_step(RFC, code, moment + timedelta(seconds=drift)) == step
    assert totp.matching_step(RFC, code, moment + timedelta(seconds=61)) is None
    assert totp.matching_step(RFC, code[:3] + " " + code[3:], moment) == step


@pytest.mark.parametrize("code", ["", "28708", "2870820", "²87082", "\ud800", "287 08x"])
def test_what_is_no_code_matches_nothing(code: str) -> None:
    assert totp.matching_step(RFC, code, datetime.fromtimestamp(59, UTC)) is None


def test_secrets_and_recovery_codes_are_new_each_time() -> None:
    assert len({totp.new_secret().get_secret_value() for _ in range(50)}) == 50
    assert len(base64.b32decode(totp.new_secret().get_secret_value())) == 20
    codes = [each.get_secret_value() for each in totp.new_recovery_codes()]
    assert len(set(codes)) == 10
    assert all(len(each) == 19 for each in codes)


def test_a_recovery_code_is_known_however_it_is_written() -> None:
    (code, *_) = totp.new_recovery_codes()
    written = code.get_secret_value()
    known = totp.hash_recovery_code(written)
    assert totp.hash_recovery_code(written.lower().replace("-", " ")) == known
    assert totp.hash_recovery_code(written[:-1]) != known


def test_an_app_is_told_whose_it_is() -> None:
    uri = totp.provisioning_uri(SecretStr("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"), "ada@example.com")
    assert uri.get_secret_value() == (
        "otpauth://totp/Seawall:ada%40example.com?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Seawall"
    )
