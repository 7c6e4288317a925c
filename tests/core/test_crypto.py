"""Sealing: against published vectors, a decoder written here, and every way to tamper."""

import hashlib
import io
import traceback
from dataclasses import replace
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from rich.console import Console
from rich.traceback import Traceback

from seawall.core.crypto import OVERHEAD, Place, key_id_of, open_sealed, rewrap, seal
from seawall.core.errors import ForbiddenError, InvalidError, SeawallError, UnavailableError
from seawall.core.keys import KeyRing, as_key

TENANT, ROW = UUID(int=7), UUID("00112233-4455-6677-8899-aabbccddeeff")
PLACE = Place("exchange_connections", "api_secret_encrypted", TENANT, ROW)
KEYS = [hashlib.sha256(bytes([number])).digest() for number in range(3)]
SECRET = SecretStr("canary-4711 🐤")
HALVED = SecretStr("canary-4711 \ud800")


def ring(*numbers: int) -> KeyRing:
    return KeyRing(tuple(as_key(KEYS[number]) for number in numbers), "the test", "Look there.")


SEALED = seal(ring(0), SECRET, PLACE)

_KEY = "feffe9928665731c6d6a8f9467308308" * 2
_IV = "cafebabefacedbaddecaf888"
_PLAIN = (
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255"
)
_CIPHER = (
    "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
    "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"
)


@pytest.mark.parametrize(
    ("key", "nonce", "plain", "associated", "ciphertext", "tag"),
    [
        ("00" * 32, "00" * 12, "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"),
        (
            "00" * 32,
            "00" * 12,
            "00" * 16,
            "",
            "cea7403d4d606b6e074ec5d3baf39d18",
            "d0d1c8a799996bf0265b98b5d48ab919",
        ),
        (_KEY, _IV, _PLAIN, "", _CIPHER, "b094dac5d93471bdec1a502270e3cc6c"),
        (
            _KEY,
            _IV,
            _PLAIN[:120],
            "feedfacedeadbeeffeedfacedeadbeefabaddad2",
            _CIPHER[:120],
            "76fc6ece0f4e1768cddf8853bb2d551b",
        ),
    ],
)
def test_the_cipher_is_the_published_one(
    key: str, nonce: str, plain: str, associated: str, ciphertext: str, tag: str
) -> None:
    """Test cases 13 to 16 of McGrew and Viega, as submitted to NIST for SP 800-38D."""
    made = AESGCM(bytes.fromhex(key)).encrypt(
        bytes.fromhex(nonce), bytes.fromhex(plain), bytes.fromhex(associated)
    )
    assert made.hex() == ciphertext + tag


def decode(sealed: bytes, secret: bytes, place: Place) -> str:
    """Open a sealed secret by the written format alone."""
    rest = sealed
    fields = []
    for length in (3, 1, 8, 12, 48, 12):
        fields.append(rest[:length])
        rest = rest[length:]
    magic, version, key_id, wrap_nonce, wrapped, nonce = fields
    assert (magic, version) == (b"SWS", b"\x01")
    assert key_id == hashlib.sha256(b"seawall/key-id/1\0" + secret).digest()[:8]
    table, column = place.table.encode(), place.column.encode()
    bound = bytes([0, len(table)]) + table + bytes([0, len(column)]) + column
    bound += place.tenant.bytes + place.row.bytes
    label = b"seawall/data-key/1\0" + key_id
    data_key = AESGCM(secret).decrypt(wrap_nonce, wrapped, label + bound)
    return AESGCM(data_key).decrypt(nonce, rest, b"seawall/secret/1\0" + bound).decode()


@given(st.text())
def test_what_is_sealed_opens_and_follows_the_written_format(text: str) -> None:
    sealed = seal(ring(0, 1), SecretStr(text), PLACE)
    assert open_sealed(ring(1, 0), sealed, PLACE).get_secret_value() == text
    assert decode(sealed, KEYS[0], PLACE) == text
    assert len(sealed) == OVERHEAD + len(text.encode())
    assert key_id_of(sealed) == ring(0).current.id


def test_what_was_sealed_in_the_past_opens() -> None:
    """Sealed by the first release that could: the format may gain versions, never change one."""
    kept = bytes.fromhex(
        "535753012c4546b69868300e6465666768696a6b6c6d6e6f91bad2fd7b80ebe05c1c8da2ee276f55"
        "395d8295e7bef1d25a12dcfc9e8ef931bc4067afb05fffff09dc665d3d1132b1c8c9cacbcccdcecf"
        "d0d1d2d372190fbaf4b5d614430d2e9eee997bb0823f294ada83d9918c7e23e4a46fcdee"
    )
    assert open_sealed(ring(0), kept, PLACE).get_secret_value() == "canary-4711 🐤"


def test_nothing_random_is_used_twice() -> None:
    many = [seal(ring(0), SECRET, PLACE) for _ in range(1_000)]
    for field in (slice(12, 24), slice(24, 72), slice(72, 84), slice(84, None)):
        assert len({each[field] for each in many}) == len(many)


@pytest.mark.parametrize(
    "other",
    [
        replace(PLACE, table="users"),
        replace(PLACE, column="api_key_encrypted"),
        replace(PLACE, tenant=UUID(int=8)),
        replace(PLACE, row=UUID(int=8)),
        replace(PLACE, tenant=ROW, row=TENANT),
        # The same letters, divided elsewhere.
        replace(PLACE, table="exchange_connectionsa", column="pi_secret_encrypted"),
    ],
)
def test_a_secret_opens_in_its_own_place_alone(other: Place) -> None:
    for attempt in (open_sealed, rewrap):
        with pytest.raises(ForbiddenError, match="sealed for another place, or was changed"):
            attempt(ring(0), SEALED, other)


@pytest.mark.parametrize("at", range(len(SEALED)))
def test_a_changed_bit_is_noticed_wherever_it_is(at: int) -> None:
    spoilt = bytearray(SEALED)
    spoilt[at] ^= 1
    with pytest.raises(SeawallError):
        open_sealed(ring(0, 1), bytes(spoilt), PLACE)


@pytest.mark.parametrize(
    ("sealed", "family", "said"),
    [
        (b"", InvalidError, "not a sealed secret"),
        (b"plain text that somebody put here" * 4, InvalidError, "not a sealed secret"),
        (SEALED[: OVERHEAD - 1], InvalidError, "not a sealed secret"),
        (SEALED[:-1], ForbiddenError, "was changed"),
        (SEALED + b"\0", ForbiddenError, "was changed"),
        (b"SWS\x02" + SEALED[4:], UnavailableError, "version 2 of the format"),
        (seal(ring(2), SECRET, PLACE), UnavailableError, f"{ring(2).current.id}, missing in"),
        # The envelope of one secret around another of the same place.
        (seal(ring(0), SECRET, PLACE)[:72] + SEALED[72:], ForbiddenError, "was changed"),
        # A key id that was changed to another key of the ring.
        (SEALED[:4] + bytes.fromhex(ring(1).current.id) + SEALED[12:], ForbiddenError, "changed"),
    ],
    # What is sealed differs from process to process, and so would names made of it.
    ids=["empty", "plain", "short", "cut", "longer", "version", "key", "envelope", "key id"],
)
def test_what_cannot_be_opened_is_told_by_family(
    sealed: bytes, family: type[SeawallError], said: str
) -> None:
    with pytest.raises(family, match=said):
        open_sealed(ring(0, 1), sealed, PLACE)


def test_wrapping_anew_changes_the_envelope_alone() -> None:
    again = rewrap(ring(1, 0), SEALED, PLACE)
    assert key_id_of(again) == ring(1).current.id
    assert again[72:] == SEALED[72:]
    assert again[12:72] != SEALED[12:72]
    assert decode(again, KEYS[1], PLACE) == SECRET.get_secret_value()
    with pytest.raises(UnavailableError, match="missing in the test") as caught:
        open_sealed(ring(0), again, PLACE)
    assert caught.value.hint == "Look there."
    assert caught.value.details["missing"] == [ring(1).current.id]


def test_half_a_character_is_refused() -> None:
    with pytest.raises(InvalidError, match="characters that are no text"):
        seal(ring(0), HALVED, PLACE)


def _everything_said(error: BaseException) -> str:
    screen = Console(file=io.StringIO(), width=500)
    for local in (True, False):
        shown = Traceback.from_exception(
            type(error),
            error,
            error.__traceback__,
            width=500,
            show_locals=local,
            locals_max_string=10_000,
        )
        screen.print(shown)
    assert isinstance(screen.file, io.StringIO)
    plain = "".join(traceback.format_exception(error))
    chain = []
    seen: BaseException | None = error
    while seen is not None:
        chain += [str(seen), repr(seen)]
        seen = seen.__cause__ or seen.__context__
    return "\n".join([plain, screen.file.getvalue(), *chain])


@pytest.mark.parametrize(
    ("sealed", "place"),
    [
        (SEALED, replace(PLACE, row=TENANT)),
        (SEALED[:-1], PLACE),
        (SEALED[:80] + bytes(4) + SEALED[84:], PLACE),
        (seal(ring(2), SECRET, PLACE), PLACE),
    ],
)
def test_no_error_repeats_a_secret_or_a_key(sealed: bytes, place: Place) -> None:
    with pytest.raises(SeawallError) as caught:
        open_sealed(ring(0), sealed, place)
    with pytest.raises(SeawallError) as also_caught:
        seal(ring(0), HALVED, place)
    said = _everything_said(caught.value) + _everything_said(also_caught.value)
    assert "Traceback" in said
    assert "locals" in said
    for hidden in ("canary", KEYS[0].hex(), str(KEYS[0])[2:-1]):
        assert hidden not in said


def test_no_repr_shows_a_secret_or_a_key() -> None:
    shown = repr([ring(0), ring(0).current, open_sealed(ring(0), SEALED, PLACE)])
    shown += f"{ring(0)} {open_sealed(ring(0), SEALED, PLACE)}"
    assert ring(0).current.id in shown
    for hidden in ("canary", KEYS[0].hex(), str(KEYS[0])[2:-1]):
        assert hidden not in shown
