"""Hashes of other servers: those that Dovecot's own tool made fit, and none that costs more than it may is taken."""

import re
import subprocess

import pytest

from mailnode.auth import foreign_hashes
from mailnode.auth.foreign_hashes import FOREIGN, adopt_hash, fits, read_foreign_hash
from mailnode.auth.passwords import MAX_PASSWORD_OCTETS, ScramVerifier
from tests.end_to_end.servers import program

PASSWORD = "correct horse battery"
# Made by "doveadm pw" of Dovecot 2.3.19.
MADE = (
    "{BLF-CRYPT}$2y$05$c2/LT0qPbp/0JGg0K7P5iOAM5abnoy8wSgSU/LV8I/P2Nee3Xf15u",
    "{SHA512-CRYPT}$6$CHUgxlh4IbVh5/iF$05FCQrn.ZX2HyBCS/ycN8jm/Fa9LBn/kcT1l7mGctOohAqceOZoqCuOBGGkPK4pXd7fqjYKNZBovNZHZOIuhP1",
    "{SHA256-CRYPT}$5$iny3U6tPYJ.XyY3V$.ZQflRbqiT/fSx1E6g3h0sj.6/yuED.MJgwTiLdeaf7",
    "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$+wycGxWdXrYhSmxLwQbsuA$AEt2FL/xDh+c5aJ2bMcSi5AHBq6e97ORUHiF+3xTPTc",
    "{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$3Rw164EHtIn6ZiXsiptD0A$HUYcsaqUaKy35xQsOqK49hn8bHsv2/Yx4Pbh8L0rFuQ",
    "{SSHA512}SjSLIws20XhE0Zt5xr5e7TCyysCT64SRDMON/5/kuBicBDB8b3IxjsXWe2TQii3B6rKMR/0KhC2dStQvaq4NXBMx13k=",
    "{SSHA256}s2OX+J0okoIP/t7u4G+06ksQdlYxKtD7jX8vFJvJXYRUHobk",
    "{SSHA}dQNgPx4xdxTJikLfdFa7r/nA0J5htMK3",
    "{SHA}mN7MYuzjmaIu0w1JDvMzvn/ec4U=",
    "{SHA256}kCjqDRXeyqNbLaIcApCvOxpboKMKWRkG+JtQdOIJ6nI=",
    "{SHA512}zvYeTk7ae6ii/qoSBhf896UTrZIEQjsl4kO30/VW+ShT6VsVatr/3Zon0OUHNq1qa7zFDOipvTUWL315nomlIQ==",
    "{PBKDF2}$1$D3seH5yNGFGD.pGl$5000$66999cd975f52ff26de1bbfd930d24fab331eb0e",
    "{SCRAM-SHA-256}4096,w3m++WQjWxZOdHPJvpwKVw==,cmSfA8xF7ua9eogj+ukYtUzkuHkOEktBcCHQu2EHy+k=,bSzd9lZcVC8KQ9Ntjd3tGaZzfq2Vg7JGOtYdS5pSUQQ=",
    "{SCRAM-SHA-1}4096,FRLsAKQdq67yeVsi8F00cQ==,INq2NeTtjjMtyCty7piN/irzgvY=,PC8ZT1z3uyLphqCBWZPl5exzStM=",
    "{CRYPT}$2y$05$vwsG5c7MamO10IxrhWVbEeVQapoF9oyfoE/Bo6krrLj9F5RW6msle",
    "{SSHA512.HEX}fb292b3b8cbd960efefb2e02736d08fd55005ffd35ce4d79f651a42141aa27e1e53165a1e9d8e1c1fb816b6da28d050367f381c6d4f871eb61a90cfb9690175dab92d221",
    "{SHA512.B64}zvYeTk7ae6ii/qoSBhf896UTrZIEQjsl4kO30/VW+ShT6VsVatr/3Zon0OUHNq1qa7zFDOipvTUWL315nomlIQ==",
)
SCRAM = next(one for one in MADE if one.startswith("{SCRAM-SHA-256}"))


def scheme_of(text):
    return text.partition("}")[0].strip("{")


@pytest.mark.parametrize("text", MADE, ids=scheme_of)
def test_what_dovecot_made_fits_its_password_and_no_other(text):
    found = read_foreign_hash(text)
    assert found.fits(PASSWORD.encode())
    for other in (b"", b"correct horse batterx", b"correct horse battery ", b"\xff\xfe", b"a\0b", b"x" * 1024):
        assert not found.fits(other)
    assert fits(text, PASSWORD.encode()) and not fits(text, b"x" * (MAX_PASSWORD_OCTETS + 1))


@pytest.mark.parametrize("scheme", sorted({scheme_of(one) for one in MADE}))
def test_what_dovecot_makes_now_fits(scheme):
    for password in ("correct horse battery", "Kännwört €", "x" * 100):
        if "SCRAM" in scheme and not password.isascii():
            continue  # it does not prepare them as RFC 5802 asks
        done = subprocess.run(
            [program("doveadm"), "pw", "-s", scheme, "-p", password],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert fits(done.stdout.strip(), password.encode()), password


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "begins with its scheme"),
        ("$6$abc$def", "begins with its scheme"),
        ("{PLAIN}secret-one", "{PLAIN} is not known"),
        ("{MD5-CRYPT}$1$a$b", "not known"),
        ("{CRYPT}ab1234567890z", "{CRYPT} is not known"),
        ("{SSHA512}secret-one", "no such hash"),
        ("{SSHA512}AAAA", "no such hash"),
        ("{SHA512}" + "AAAA" * 30, "no such hash"),
        ("{SSHA.hex}zz", "no such hash"),
        ("{BLF-CRYPT.hex}00", "no other encoding"),
        ("{BLF-CRYPT}$2y$13$" + "a" * 53, "cost of 4 to 12"),
        ("{BLF-CRYPT}$2y$31$" + "a" * 53, "cost of 4 to 12"),
        ("{BLF-CRYPT}$2y$05$short", "no such hash"),
        ("{SHA512-CRYPT}$6$rounds=200001$salt$" + "a" * 86, "200000 rounds"),
        ("{SHA512-CRYPT}$6$rounds=999999999$salt$" + "a" * 86, "200000 rounds"),
        ("{SHA512-CRYPT}$5$salt$" + "a" * 43, "no such hash"),
        ("{ARGON2ID}$argon2id$v=19$m=524288,t=1,p=1$c29tZXNhbHQ$aGFzaGhhc2hoYXNo", "more memory"),
        ("{ARGON2ID}$argon2id$v=19$m=65536,t=1000,p=1$c29tZXNhbHQ$aGFzaGhhc2hoYXNo", "more memory"),
        ("{ARGON2ID}$argon2id$v=19$m=65536,t=1,p=900$c29tZXNhbHQ$aGFzaGhhc2hoYXNo", "more memory"),
        ("{ARGON2ID}$argon2i$v=19$m=65536,t=1,p=1$c29tZXNhbHQ$aGFzaGhhc2hoYXNo", "no such hash"),
        ("{ARGON2ID}$argon2id$v=19$m=0,t=999999999999,p=1$c29tZXNhbHQ$aGFzaGhhc2hoYXNo", "no such hash"),
        ("{ARGON2ID}$argon2id$v=19$m=65536,t=0,p=1$c29tZXNhbHQ$aGFzaGhhc2hoYXNo", "no such hash"),
        ("{ARGON2ID}$argon2id$v=19$m=8,t=9,p=2$c29tZXNhbHQ$aGFzaGhhc2hoYXNo", "no such hash"),
        ("{ARGON2ID}secret-one", "no such hash"),
        ("{PBKDF2}$1$salt$1000001$" + "a" * 40, "1000000 rounds"),
        ("{PBKDF2}$1$salt$5000$abc", "no such hash"),
        (SCRAM.replace("4096", "1000001"), "1000000 iterations"),
        (SCRAM.replace("{SCRAM-SHA-256}", "{SCRAM-SHA-1}"), "no such hash"),
        ("{SCRAM-SHA-256}4096,====,b,c", "no such hash"),
        ("{SSHA512}" + "A" * 1000, "begins with its scheme"),
        ("{SSHA512}ä", "begins with its scheme"),
    ],
)
def test_what_is_not_taken_is_said_without_repeating_it(text, words):
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        read_foreign_hash(text)
    assert "secret-one" not in str(caught.value)
    assert not fits(text, b"secret-one")


@pytest.mark.parametrize("text", MADE, ids=scheme_of)
def test_no_part_of_a_hash_can_be_left_out(text):
    """Cut anywhere, it is refused, or at least fits nothing."""
    for end in range(0, len(text), 5):
        assert not fits(text[:end], PASSWORD.encode())


def test_a_scram_verifier_serves_scram_too():
    plain, scram = adopt_hash("A1", SCRAM, 7.0, label="password")
    assert (plain.kind, plain.secret, plain.label, plain.created) == (FOREIGN, SCRAM, "password", 7.0)
    assert scram.kind == "scram-sha-256"
    kept = ScramVerifier.decode(scram.secret)
    assert kept == ScramVerifier.derive(PASSWORD.encode(), kept.salt, 4096)
    (alone,) = adopt_hash("A1", SCRAM.replace("4096", "2048"), 0.0)
    assert alone.kind == FOREIGN  # fewer iterations than RFC 7677 asks for


def test_what_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(foreign_hashes, "find_spec", lambda name: None)
    for scheme in ("BLF-CRYPT", "SHA512-CRYPT"):
        with pytest.raises(ValueError, match=r"needs mailnode\[hashes\]"):
            read_foreign_hash(next(one for one in MADE if scheme_of(one) == scheme))
