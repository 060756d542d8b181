"""Hashes and verifiers, against RFC vectors and against each other."""

import unicodedata

import pytest

from mailnode.auth import passwords
from mailnode.auth.passwords import ARGON2ID, SCRAM_SHA_256, ScramVerifier, make_credentials, matching
from mailnode.auth.saslprep import saslprep
from mailnode.values.composed import MOST_MARKS, SHORT


@pytest.mark.parametrize(
    ("written", "prepared"),
    [("I\u00adX", "IX"), ("user", "user"), ("USER", "USER"), ("\u00aa", "a"), ("\u2168", "IX"), ("a\u00a0b", "a b")],
)
def test_saslprep_examples(written, prepared):  # RFC 4013 3
    assert saslprep(written) == prepared


@pytest.mark.parametrize("prohibited", ["\u0007", "\u0627\u0031", "a\u0627", "\ue000"])
def test_saslprep_refuses(prohibited):
    with pytest.raises(ValueError):
        saslprep(prohibited)


@pytest.mark.parametrize(
    "text", ["\ufdfa", "\uff76\uff9e", "e\u0323\u0301", "\u1e9b\u0323", "\ud55c\uae00", "\u1112\u1161\u11ab"]
)
def test_saslprep_composes_as_the_standard_does(text):
    assert saslprep(text) == unicodedata.normalize("NFKC", text)


@pytest.mark.parametrize("marks", ["\u0301\u0323", "\uff9e\u0301"])
def test_saslprep_orders_no_long_run_of_marks(marks):
    runs = unicodedata.normalize("NFD", saslprep("a" + marks * SHORT)).split("\u034f")
    assert max(map(len, runs)) <= MOST_MARKS + 1


def test_one_password_becomes_a_hash_and_a_verifier():
    made = make_credentials("acct", "correct horse", 5.0, label="main")
    assert {c.kind for c in made} == {ARGON2ID, SCRAM_SHA_256}
    assert all(c.account_id == "acct" and c.label == "main" and c.created == 5.0 for c in made)
    assert not any("correct horse" in c.secret for c in made)
    hashed = next(c for c in made if c.kind == ARGON2ID)
    assert hashed.secret.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert matching(b"correct horse", made, b"s" * 16) == hashed
    assert matching(b"correct horsf", made, b"s" * 16) is None


def test_the_same_password_typed_in_two_forms_fits():
    made = make_credentials("acct", "pa\u00dfe\u0301", 0)
    assert matching("pa\u00df\u00e9".encode(), made, b"s" * 16)


def test_octets_that_are_no_text_are_hashed_as_they_are():
    assert passwords.password_octets(b"\xff\xfe") == b"\xff\xfe"


@pytest.mark.parametrize("password", ["", "x" * 1025])
def test_lengths_are_bounded(password):
    with pytest.raises(ValueError):
        make_credentials("acct", password, 0)


def test_every_login_costs_one_derivation(monkeypatch):
    derivations = []
    real = passwords.argon2id

    def counted(password, salt):
        derivations.append(salt)
        return real(password, salt)

    monkeypatch.setattr(passwords, "argon2id", counted)
    first = make_credentials("acct", "one", 0)
    several = [*first, *make_credentials("acct", "two", 0, label="phone", beside=first)]
    for credentials, password, fits in ((several, b"two", True), (several, b"no", False), ([], b"no", False)):
        derivations.clear()
        assert bool(matching(password, credentials, b"a" * 16)) is fits
        assert len(derivations) == 1


def test_verifier_round_trip():
    verifier = ScramVerifier.derive(b"pencil", b"salt" * 4, 4096)
    assert ScramVerifier.decode(verifier.encode()) == verifier
