"""What is kept: whole or not at all, for nobody else, and of use whatever a crash left."""

from __future__ import annotations

import os

import pytest

from mailnode.acme.files import AcmeFiles, PendingOrder, PinnedKey, RenewalState, Suggestion
from mailnode.acme.keys import key_digest, new_key
from mailnode.errors import CertificateFailed

DIRECTORY = "https://ca.example/directory"


@pytest.fixture
def files(tmp_path):
    return AcmeFiles(tmp_path / "acme")


def test_nothing_is_there_at_first(files, tmp_path):
    assert (files.certificate("ecdsa"), files.state()) == (b"", RenewalState())
    assert not (tmp_path / "acme").exists()


def test_all_that_is_remembered_comes_back(files):
    state = RenewalState(
        3,
        1.8e9,
        "why",
        "rehearsed",
        {"ecdsa": PendingOrder(DIRECTORY, "https://ca.example/order/1", "ab")},
        {"ecdsa": Suggestion("id", 1.0, 2.0, 3.0, 4.0, "https://why.example")},
        {"rsa": PinnedKey("cd", 5.0, 6.0)},
        {"ef": 7.0},
    )
    files.keep_state(state)
    assert files.state() == state


@pytest.mark.parametrize("octets", [b"", b"[]", b"{}", b'{"failures": "x"}', b"\xff\x00", b"[" * 100_000, b"null"])
def test_a_state_that_cannot_be_read_is_none(files, tmp_path, octets):
    files.keep_state(RenewalState(1))
    (tmp_path / "acme" / "state.json").write_bytes(octets)
    assert files.state() == RenewalState()


def test_the_next_key_stays_until_it_is_used(files):
    first = files.next_key("ecdsa", "")
    assert files.next_key("ecdsa", "") == first
    assert files.next_key("ecdsa", "another") == first
    second = files.next_key("ecdsa", key_digest(first))
    assert second != first and files.next_key("ecdsa", key_digest(first)) == second


def test_a_damaged_next_key_is_made_anew(files, tmp_path):
    first = files.next_key("ecdsa", "")
    path = tmp_path / "acme" / "next-ecdsa.key"
    path.write_bytes(first[:50])
    assert files.next_key("ecdsa", "") != first
    key_digest(path.read_bytes())


def test_an_account_key_is_made_once_for_each_directory(files):
    key, url = files.account_key(DIRECTORY)
    assert url == "" and files.account_key(DIRECTORY) == (key, "")
    files.keep_account(DIRECTORY, key, "https://ca.example/account/1")
    assert files.account_key(DIRECTORY) == (key, "https://ca.example/account/1")
    assert files.account_key("https://other.example/directory")[0] != key


def test_everything_is_for_the_owner_alone(files, tmp_path):
    before = os.umask(0)
    try:
        files.account_key(DIRECTORY)
        files.next_key("rsa", "")
        files.install("ecdsa", new_key("ecdsa"), b"chain")
        files.keep_state(RenewalState())
    finally:
        os.umask(before)
    assert (tmp_path / "acme").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "acme").iterdir()} == {0o600}
    assert len(list((tmp_path / "acme").iterdir())) == 4


def test_what_a_crash_left_is_no_hindrance(files, tmp_path):
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / ".ecdsa.pem.new").write_bytes(b"half")
    files.install("ecdsa", b"key", b"chain")
    assert files.certificate("ecdsa") == b"keychain"


def test_where_nothing_can_be_written_the_old_stays(files, tmp_path, monkeypatch):
    files.install("ecdsa", b"key", b"chain")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CertificateFailed, match="No space left"):
        files.install("ecdsa", b"other", b"chain")
    assert files.certificate("ecdsa") == b"keychain"


def test_what_cannot_be_read_is_said(tmp_path):
    (tmp_path / "acme").write_text("a file")
    with pytest.raises(CertificateFailed, match="cannot be"):
        AcmeFiles(tmp_path / "acme").certificate("ecdsa")
    with pytest.raises(CertificateFailed, match="cannot be written"):
        AcmeFiles(tmp_path / "acme").keep_state(RenewalState())
