"""The keyring: what it keeps is unreadable, and its keys can be replaced."""

import hashlib
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from worker.infrastructure.environment.secret import Secret
from worker.infrastructure.errors import NotConfigured
from worker.infrastructure.keyring import Keyring, Undecipherable
from worker.infrastructure.settings import Settings

OLD = "an old key of some length"
NEW = "a new key of some length"


def _keyring(tmp_path, *keys: str) -> Keyring:
    given = Secret(",".join(keys)) if keys else None
    return Keyring(Settings(home=tmp_path / "home", secret_keys=given))


def test_what_is_encrypted_is_decrypted_and_reads_as_something_else(tmp_path):
    keyring = _keyring(tmp_path, OLD)
    sealed = keyring.encrypt("whsec_ü")
    assert "whsec" not in sealed
    assert sealed != keyring.encrypt("whsec_ü")
    assert keyring.decrypt(sealed) == "whsec_ü"


def test_the_first_key_encrypts_and_any_decrypts(tmp_path):
    sealed = _keyring(tmp_path, OLD).encrypt("secret")
    assert _keyring(tmp_path, NEW, OLD).decrypt(sealed) == "secret"
    sealed = _keyring(tmp_path, NEW, OLD).encrypt("secret")
    assert _keyring(tmp_path, NEW).decrypt(sealed) == "secret"
    with pytest.raises(Undecipherable):
        _keyring(tmp_path, OLD).decrypt(sealed)


@pytest.mark.parametrize("sealed", ["", "x", "gAAAAA", "ü"])
def test_what_was_never_encrypted_is_not_decrypted(tmp_path, sealed):
    with pytest.raises(Undecipherable):
        _keyring(tmp_path, OLD).decrypt(sealed)


def test_spaces_and_empty_places_between_keys_do_not_count(tmp_path):
    sealed = _keyring(tmp_path, f" {NEW} ", "", OLD).encrypt("secret")
    assert _keyring(tmp_path, NEW).decrypt(sealed) == "secret"


def test_a_short_key_is_refused_and_not_repeated(tmp_path):
    with pytest.raises(NotConfigured) as refused:
        _keyring(tmp_path, OLD, "short and sweet")
    assert "HOLDFAST_SECRET_KEYS" in str(refused.value)
    assert "short and sweet" not in str(refused.value)


def test_keys_are_not_shown_with_the_settings():
    settings = Settings(secret_keys=Secret(OLD))
    assert OLD not in repr(settings)
    assert OLD not in str(vars(settings))


def test_without_the_setting_the_home_has_a_key_of_its_own(tmp_path):
    sealed = _keyring(tmp_path).encrypt("secret")
    path = tmp_path / "home" / "secret.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert _keyring(tmp_path).decrypt(sealed) == "secret"
    assert list(path.parent.iterdir()) == [path]


def test_an_empty_setting_is_no_setting(tmp_path):
    assert _keyring(tmp_path, "").encrypt("secret")
    assert (tmp_path / "home" / "secret.key").exists()


def test_no_key_is_made_before_one_is_needed(tmp_path):
    _keyring(tmp_path)
    assert not (tmp_path / "home").exists()


def test_many_at_once_make_one_key(tmp_path):
    with ThreadPoolExecutor(16) as threads:
        rings = [_keyring(tmp_path) for _ in range(16)]
        signed = set(threads.map(lambda ring: ring.sign("file", "job-1"), rings))
    assert len(signed) == 1
    home = tmp_path / "home"
    assert list(home.iterdir()) == [home / "secret.key"]


def test_a_signature_is_for_its_text_and_its_purpose_alone(tmp_path):
    keyring = _keyring(tmp_path, OLD)
    signed = keyring.sign("file", "job-1")
    assert len(bytes.fromhex(signed)) == hashlib.sha256().digest_size
    assert keyring.verify("file", "job-1", signed)
    assert not keyring.verify("file", "job-2", signed)
    assert not keyring.verify("login", "job-1", signed)
    assert not keyring.verify("file", "job-1", "ü")


def test_what_an_old_key_has_signed_is_verified_while_it_is_there(tmp_path):
    signed = _keyring(tmp_path, OLD).sign("file", "job-1")
    assert _keyring(tmp_path, NEW, OLD).verify("file", "job-1", signed)
    assert not _keyring(tmp_path, NEW).verify("file", "job-1", signed)
