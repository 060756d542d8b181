"""SASL mechanisms: RFC exchanges, a client that is not ours, and every malformed message refused."""

import hashlib
import hmac
from base64 import b64decode, b64encode

import pytest
import scramp

from mailnode.auth.external import CheckCertificate, External
from mailnode.auth.passwords import ScramVerifier
from mailnode.auth.sasl import Challenge, CheckPassword, Login, NeedVerifier, Plain, Proven
from mailnode.auth.scram import Scram
from mailnode.errors import AuthenticationFailed

PENCIL = ScramVerifier.derive(b"pencil", b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096)


def test_plain():
    assert Plain().step(None) == Challenge(b"")
    assert Plain().step(b"\0tim\0tanstaaftanstaaf") == CheckPassword(b"tim", b"tanstaaftanstaaf")
    assert Plain().step(b"tim\0tim\0x") == CheckPassword(b"tim", b"x")


# SMTP trap 27: another authzid, NUL in a name
@pytest.mark.parametrize(
    "message", [b"", b"\0", b"tim", b"\0tim", b"\0tim\0", b"\0\0x", b"eve\0tim\0x", b"\0tim\0x\0y"]
)
def test_plain_malformed(message):
    with pytest.raises(AuthenticationFailed):
        Plain().step(message)


def test_login():
    login = Login()
    assert login.step(None) == Challenge(b"Username:")
    assert login.step(b"tim") == Challenge(b"Password:")
    assert login.step(b"secret") == CheckPassword(b"tim", b"secret")
    assert Login().step(b"tim") == Challenge(b"Password:")


@pytest.mark.parametrize("messages", [(b"",), (b"a\0b",), (b"tim", b"")])
def test_login_malformed(messages):
    login = Login()
    with pytest.raises(AuthenticationFailed):
        for message in messages:
            login.step(message)


def test_scram_example():  # RFC 7677 3
    scram = Scram("sha256", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0")
    assert scram.step(None) == Challenge(b"")
    assert scram.step(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO") == NeedVerifier("user")
    assert scram.verifier(PENCIL) == Challenge(
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    )
    assert scram.step(
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    ) == Challenge(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
    assert scram.step(b"") == Proven()
    with pytest.raises(AuthenticationFailed):
        scram.step(b"")


@pytest.mark.parametrize("user", ["user", "a,b=c", "us\u00e9r"])
def test_scram_against_another_client(user):
    client = scramp.ScramClient(["SCRAM-SHA-256"], user, "pencil")
    server = Scram()
    assert server.step(client.get_client_first().encode()) == NeedVerifier(user)
    client.set_server_first(server.verifier(PENCIL).data.decode())
    client.set_server_final(server.step(client.get_client_final().encode()).data.decode())
    assert server.step(b"") == Proven()


def test_scram_wrong_password():
    client = scramp.ScramClient(["SCRAM-SHA-256"], "user", "pencils")
    server = Scram()
    server.step(client.get_client_first().encode())
    client.set_server_first(server.verifier(PENCIL).data.decode())
    with pytest.raises(AuthenticationFailed):
        server.step(client.get_client_final().encode())
    with pytest.raises(AuthenticationFailed):
        server.step(b"")


# SMTP trap 30: a binding that was not offered
@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"p=tls-unique,,n=user,r=abc",
        b"n,,m=ext,n=user,r=abc",
        b"n,,n=us=er,r=abc",
        b"n,,n=\xff,r=abc",
        b"n,,n=user,r=",
        b"n,,n=user,r=a b",
        b"n,a=other,n=user,r=abc",
        b"n,,n=user,r=" + b"a" * 257,
    ],
)
def test_scram_bad_first(first):
    with pytest.raises(AuthenticationFailed):
        Scram().step(first)


# SMTP trap 30: another nonce, another binding
@pytest.mark.parametrize(
    "final",
    [
        b"",
        b"c=biws,r=abcN,p=AAAA",  # proof too short
        b"c=eSws,r=abcN,p=" + b"A" * 43 + b"=",  # another gs2 header than was sent
        b"c=biws,r=abcX,p=" + b"A" * 43 + b"=",  # another nonce
        b"c=!!!!,r=abcN,p=" + b"A" * 43 + b"=",
        b"c=biws,r=abcN,p=" + b"A" * 43 + b"=",  # a wrong proof
    ],
)
def test_scram_bad_final(final):
    scram = Scram("sha256", "N")
    scram.step(b"n,,n=user,r=abc")
    scram.verifier(PENCIL)
    with pytest.raises(AuthenticationFailed):
        scram.step(final)
    with pytest.raises(AuthenticationFailed):  # and the exchange is over
        scram.step(final)


def proven(gs2, binding, used, **options):
    """An exchange whose proof is right for what the client says, whatever that is."""
    server = Scram("sha256", "N", **options)
    server.step(gs2 + b"n=user,r=abc")
    first = server.verifier(PENCIL).data
    without_proof = b"c=" + b64encode(binding) + b",r=" + used
    message = b",".join((b"n=user,r=abc", first, without_proof))
    salted = hashlib.pbkdf2_hmac("sha256", b"pencil", PENCIL.salt, PENCIL.iterations)
    key = hmac.digest(salted, b"Client Key", "sha256")
    signature = hmac.digest(hashlib.sha256(key).digest(), message, "sha256")
    proof = bytes(a ^ b for a, b in zip(key, signature, strict=True))
    return server.step(without_proof + b",p=" + b64encode(proof))


# SMTP trap 30: who knows the password may not use another nonce or binding either
def test_scram_a_right_proof_over_something_else_is_none():
    for gs2 in (b"n,,", b"y,,"):
        assert proven(gs2, gs2, b"abcN").data.startswith(b"v=")
    for gs2, binding, used in ((b"n,,", b"n,,", b"abcX"), (b"n,,", b"y,,", b"abcN"), (b"y,,", b"n,,", b"abcN")):
        with pytest.raises(AuthenticationFailed):
            proven(gs2, binding, used)


# SMTP trap 30: a nonce for each exchange
def test_scram_nonces_differ():
    def first():
        scram = Scram()
        scram.step(b"n,,n=user,r=abc")
        return scram.verifier(PENCIL).data

    assert first() != first()


EXPORTER, END_POINT = b"e" * 32, b"p" * 32
BINDINGS = {"tls-exporter": EXPORTER, "tls-server-end-point": END_POINT}


def test_scram_sha_1_example():  # RFC 5802 5
    verifier = ScramVerifier.derive(b"pencil", b64decode("QSXCR+Q6sek8bf92"), 4096, "sha1")
    scram = Scram("sha1", "3rfcNHYJY1ZVvWVs7j")
    assert scram.step(b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL") == NeedVerifier("user")
    assert scram.verifier(verifier) == Challenge(
        b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096"
    )
    assert scram.step(
        b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="
    ) == Challenge(b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=")
    assert scram.step(b"") == Proven()


@pytest.mark.parametrize("kind", BINDINGS)
def test_scram_plus_is_bound_to_the_channel(kind):
    gs2 = f"p={kind},,".encode()
    assert proven(gs2, gs2 + BINDINGS[kind], b"abcN", bindings=BINDINGS, plus=True).data.startswith(b"v=")
    for bound in (b"", b"x" * 32, BINDINGS[kind][:-1], *(set(BINDINGS.values()) - {BINDINGS[kind]})):
        with pytest.raises(AuthenticationFailed):
            proven(gs2, gs2 + bound, b"abcN", bindings=BINDINGS, plus=True)


# SMTP trap 30: what was taken out of the offer
@pytest.mark.parametrize(
    ("flag", "plus", "bindings"),
    [
        (b"y", False, BINDINGS),
        (b"y", True, BINDINGS),
        (b"n", True, BINDINGS),
        (b"p=tls-exporter", False, BINDINGS),
        (b"p=tls-unique", True, BINDINGS),
        (b"p=tls-exporter", True, {}),
        (b"p=", True, BINDINGS),
    ],
)
def test_scram_refuses_a_flag_that_does_not_fit(flag, plus, bindings):
    with pytest.raises(AuthenticationFailed):
        Scram(bindings=bindings, plus=plus).step(flag + b",,n=user,r=abc")


def test_scram_takes_a_client_that_cannot_bind():
    assert proven(b"n,,", b"n,,", b"abcN", bindings=BINDINGS).data.startswith(b"v=")


def test_external():
    assert External().step(None) == Challenge(b"")
    assert External().step(b"") == CheckCertificate("")
    assert External().step("J\u00fcrg@a.test".encode()) == CheckCertificate("J\u00fcrg@a.test")


@pytest.mark.parametrize("message", [b"\xff", b"a\0b"])
def test_external_malformed(message):
    with pytest.raises(AuthenticationFailed):
        External().step(message)
