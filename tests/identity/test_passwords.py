"""Passwords are hashed with argon2id, checked, upgraded, and refused when they are weak."""

import bcrypt
import pytest
from argon2 import PasswordHasher, extract_parameters
from pwdlib.hashers.argon2 import Argon2Hasher
from pydantic import SecretStr

from seawall.core.errors import InvalidError
from seawall.identity.passwords import Checked, Passwords, require_strong

QUICK = Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1)
WORD = SecretStr("correct horse battery staple")


@pytest.fixture(scope="module")
def passwords() -> Passwords:
    return Passwords(QUICK)


async def test_a_hash_is_argon2id_salted_and_verified_by_others(passwords: Passwords) -> None:
    first, second = await passwords.hash(WORD), await passwords.hash(WORD)
    assert first.startswith("$argon2id$")
    assert first != second
    assert PasswordHasher().verify(first, WORD.get_secret_value())
    assert await passwords.check(WORD, first) == Checked(is_right=True)
    assert not (await passwords.check(SecretStr("another"), first)).is_right


def test_by_default_the_parameters_are_those_of_rfc_9106() -> None:
    made = Argon2Hasher().hash("x")
    found = extract_parameters(made)
    assert (found.memory_cost, found.time_cost, found.parallelism) == (64 * 1024, 3, 4)


async def test_nobody_has_no_password(passwords: Passwords) -> None:
    assert await passwords.check(WORD, None) == Checked(is_right=False)
    assert await passwords.check(SecretStr(""), None) == Checked(is_right=False)


@pytest.mark.parametrize("prefix", [b"2a", b"2b"])
@pytest.mark.parametrize("word", ["pässword of old", "x" * 71 + "yz and much more"])
async def test_bcrypt_is_verified_and_upgraded(
    passwords: Passwords, prefix: bytes, word: str
) -> None:
    # Older systems cut off what was longer than 72 bytes.
    old = bcrypt.hashpw(word.encode()[:72], bcrypt.gensalt(4, prefix)).decode()
    found = await passwords.check(SecretStr(word), old)
    assert found.is_right
    assert found.upgraded is not None
    assert found.upgraded.startswith("$argon2id$")
    assert found.upgraded not in repr(found)
    assert (await passwords.check(SecretStr(word), found.upgraded)).is_right
    assert not (await passwords.check(SecretStr(word[:-1]), found.upgraded)).is_right
    assert await passwords.check(SecretStr("wrong"), old) == Checked(is_right=False)


async def test_weaker_parameters_are_upgraded(passwords: Passwords) -> None:
    weak = Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1, hash_len=16)
    found = await passwords.check(WORD, weak.hash(WORD.get_secret_value()))
    assert found.is_right
    assert found.upgraded is not None


@pytest.mark.parametrize("word", ["a\x00b", "\ud800", "x" * 100_000])
async def test_strange_passwords_are_wrong_and_no_more(passwords: Passwords, word: str) -> None:
    for known in (
        await passwords.hash(WORD),
        bcrypt.hashpw(b"abc", bcrypt.gensalt(4)).decode(),
        None,
    ):
        assert not (await passwords.check(SecretStr(word), known)).is_right


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("", "12 to 256"),
        ("elevenchars", "12 to 256"),
        ("x" * 257, "12 to 256"),
        ("ababababababab", "repeats"),
        ("\x00bcdefghijklmn", "no text"),
        ("\ud800bcdefghijklmn", "no text"),
        ("ada.lovelace@example.com", "name or address"),
        ("ADA.LOVELACE", "name or address"),
    ],
)
def test_a_weak_password_is_refused_with_the_reason_and_not_repeated(word: str, said: str) -> None:
    with pytest.raises(InvalidError, match=said) as caught:
        require_strong(SecretStr(word), "ada.lovelace@example.com", "ada.lovelace")
    assert not word or word not in str(caught.value)


def test_a_long_password_is_taken() -> None:
    require_strong(WORD, "ada@example.com", None)
