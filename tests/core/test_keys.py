"""Where keys come from: the environment, or a file that is made on first use and looked after."""

import base64
import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from pydantic import SecretStr

from seawall.core.errors import ForbiddenError, InvalidError, SeawallError, UnavailableError
from seawall.core.keys import KeyStore, as_key
from seawall.core.settings import EncryptionSettings, Settings, load_settings

RAW = [hashlib.sha256(bytes([number])).digest() for number in range(3)]
TEXT = [base64.b64encode(raw).decode() for raw in RAW]
IDS = [as_key(raw).id for raw in RAW]


def stored(home: Path, **given: object) -> KeyStore:
    return KeyStore(Settings(home=home, encryption=EncryptionSettings.model_validate(given)))


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    """Keys in a file that is not there yet."""
    return stored(tmp_path / "home")


def ids(found: KeyStore) -> list[str]:
    return [key.id for key in found.read().keys]


def test_an_id_is_the_labelled_digest_of_its_key() -> None:
    assert IDS[0] == hashlib.sha256(b"seawall/key-id/1\0" + RAW[0]).hexdigest()[:16]


def test_keys_of_the_environment_come_current_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    urlsafe = TEXT[2].replace("+", "-").replace("/", "_")
    assert urlsafe != TEXT[2]
    monkeypatch.setenv("SEAWALL_HOME", str(tmp_path))
    monkeypatch.setenv("SEAWALL_ENCRYPTION__KEY", f" {TEXT[1]} ")
    monkeypatch.setenv("SEAWALL_ENCRYPTION__OLD_KEYS", f"{TEXT[0]}, {urlsafe},{TEXT[1]},")
    settings = load_settings()
    found = KeyStore(settings)
    assert ids(found) == [IDS[1], IDS[0], IDS[2]]
    assert found.read_or_make() == found.read()
    assert found.read().current.secret.get_secret_value() == RAW[1]
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InvalidError, match="set in SEAWALL_ENCRYPTION__KEY") as caught:
        found.renew()
    assert "OLD_KEYS" in caught.value.hint
    assert not [text for text in TEXT if text in f"{settings!r} {caught.value}"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"key": SecretStr("canary")}, r"__KEY is not 32 bytes in base64"),
        ({"key": SecretStr("canary" * 8)}, r"__KEY is not 32 bytes"),
        ({"key": SecretStr("cänary")}, r"__KEY is not 32 bytes"),
        ({"key": SecretStr("")}, r"__KEY is not 32 bytes"),
        (
            {"key": SecretStr(TEXT[0]), "old_keys": SecretStr(f"{TEXT[1]},canary")},
            r"__OLD_KEYS is not 32 bytes",
        ),
        ({"old_keys": SecretStr("canary")}, r"OLD_KEYS is set, and SEAWALL_ENCRYPTION__KEY is not"),
    ],
)
def test_a_variable_that_is_no_key_is_refused_without_its_value(
    tmp_path: Path, given: dict[str, SecretStr], said: str
) -> None:
    with pytest.raises(InvalidError, match=said) as caught:
        stored(tmp_path, **given).read()
    assert caught.value.hint
    assert "c" + "anary" not in f"{caught.value} {caught.value!r}"


def test_the_first_key_is_made_when_it_is_needed_for_its_owner_alone(store: KeyStore) -> None:
    assert store.read().keys == ()
    assert not store.path.parent.exists()
    made = store.read_or_make()
    assert store.read() == store.read_or_make() == made
    assert (made.origin, len(made.keys)) == (str(store.path), 1)
    assert store.path.stat().st_mode & 0o777 == 0o600
    assert store.path.parent.stat().st_mode & 0o777 == 0o700
    (line,) = [each for each in store.path.read_text().splitlines() if not each.startswith("#")]
    name, written = line.split()
    raw = base64.b64decode(written)
    assert name == made.current.id == as_key(raw).id
    assert len(raw) == 32
    assert str(raw)[2:-1] not in repr(made)


def test_first_users_at_the_same_time_make_one_key(tmp_path: Path) -> None:
    count = 16
    together = Barrier(count)

    def use(_: int) -> str:
        mine = stored(tmp_path / "home")
        together.wait()
        return mine.read_or_make().current.id

    with ThreadPoolExecutor(count) as pool:
        assert len(set(pool.map(use, range(count)))) == 1


def test_a_new_key_stands_before_the_others(store: KeyStore) -> None:
    first = store.read_or_make()
    second = store.renew()
    third = store.renew()
    assert second.keys == (second.current, *first.keys)
    assert store.read() == third
    assert third.keys == (third.current, *second.keys)
    assert store.path.stat().st_mode & 0o777 == 0o600


def test_what_an_interrupted_writer_left_is_in_nobody_s_way(store: KeyStore) -> None:
    before = store.read_or_make()
    unfinished = store.path.with_name(store.path.name + ".new")
    unfinished.write_text("half a li")
    unfinished.chmod(0o644)
    assert store.read() == before
    assert store.renew().keys[1:] == before.keys
    assert not unfinished.exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610, 0o644])
def test_a_file_that_others_can_reach_is_refused(store: KeyStore, mode: int) -> None:
    store.read_or_make()
    store.path.chmod(mode)
    for use in (store.read, store.read_or_make, store.renew):
        with pytest.raises(ForbiddenError, match=f"its mode is {mode:04o}") as caught:
            use()
        assert f"chmod 600 '{store.path}'" in caught.value.hint
    store.path.chmod(0o400)
    assert store.read().keys


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it holds no key"),
        (b"# only a comment\n", "it holds no key"),
        (f"{IDS[0]}\n".encode(), "line 1 is not an id and a key"),
        (f"{IDS[0]} {TEXT[0]} more\n".encode(), "line 1 is not"),
        (f"# x\n\n{IDS[0]} {TEXT[0]}\n{TEXT[1]}\n".encode(), "line 4 is not"),
        (f"{IDS[0]} {TEXT[1]}\n".encode(), f"under the id {IDS[0]} is not that key"),
        (f"{IDS[0]} {TEXT[0][:-8]}\n".encode(), f"under the id {IDS[0]} is not that key"),
        (f"{TEXT[0]} {IDS[0]}\n".encode(), "under the id of one line is not that key"),
        (RAW[0] + b" " + RAW[1], "under the id of one line|is not an id"),
    ],
)
def test_a_damaged_file_is_refused_and_kept(store: KeyStore, content: bytes, said: str) -> None:
    store.path.parent.mkdir(parents=True)
    store.path.write_bytes(content)
    store.path.chmod(0o600)
    for use in (store.read, store.read_or_make, store.renew):
        with pytest.raises(InvalidError, match=said) as caught:
            use()
        assert not [text for text in TEXT if text in f"{caught.value!r}"]
    assert store.path.read_bytes() == content


def test_a_file_that_cannot_be_reached_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir(mode=0o700)
    (tmp_path / "file").touch()
    for path in (folder, tmp_path / "file" / "below"):
        with pytest.raises(SeawallError) as caught:
            stored(tmp_path, key_file=path).read_or_make()
        assert type(caught.value) in (UnavailableError, ForbiddenError)
        assert str(path) in caught.value.message


def test_another_file_can_be_named_and_a_link_to_it_stays_one(tmp_path: Path) -> None:
    real, link = tmp_path / "elsewhere" / "keys", tmp_path / "link"
    link.symlink_to(real)
    store = stored(tmp_path / "home", key_file=link)
    made = store.read_or_make()
    store.renew()
    assert link.is_symlink()
    assert stored(tmp_path / "home", key_file=real).read().keys[1:] == made.keys
    assert not (tmp_path / "home").exists()
