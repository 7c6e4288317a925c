"""A device token is good for one user, for half a year, and cannot be made up."""

from datetime import timedelta
from uuid import uuid4

import pytest

from seawall.core.time import now
from seawall.identity import devices

KEY, ADA, NOW = b"k" * 32, uuid4(), now()


def test_a_device_is_recognised_as_its_user_s() -> None:
    token = devices.issue(KEY, ADA, NOW)
    known = devices.recognise(KEY, ADA, token, NOW)
    assert known is not None
    assert devices.recognise(KEY, ADA, token, NOW + timedelta(days=179)) == known
    assert devices.recognise(KEY, ADA, devices.issue(KEY, ADA, NOW), NOW) != known
    assert devices.recognise(KEY, uuid4(), token, NOW) is None
    assert devices.recognise(b"x" * 32, ADA, token, NOW) is None
    assert devices.recognise(KEY, ADA, token, NOW + timedelta(days=181)) is None


@pytest.mark.parametrize("token", [None, "", "AAAA", "é", "!" * 70, "A" * 5000])
def test_anything_else_is_not(token: str | None) -> None:
    assert devices.recognise(KEY, ADA, token, NOW) is None


def test_a_changed_token_is_not() -> None:
    token = devices.issue(KEY, ADA, NOW)
    for at in range(0, len(token), 7):
        changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        assert devices.recognise(KEY, ADA, changed, NOW) is None
