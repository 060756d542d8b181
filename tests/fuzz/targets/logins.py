"""What a client proves with: the messages of SASL mechanisms, passwords, and the tokens of an OAuth server."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64encode
from functools import cache
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailnode.auth.bearer import MAX_TOKEN, Bearer, CheckToken, OAuthBearer, XOAuth2
from mailnode.auth.external import CheckCertificate, External
from mailnode.auth.introspected_tokens import IntrospectedTokens
from mailnode.auth.names import login_name
from mailnode.auth.passwords import ScramVerifier, password_octets
from mailnode.auth.sasl import Challenge, CheckPassword, Login, NeedVerifier, Plain, Proven
from mailnode.auth.saslprep import saslprep
from mailnode.auth.scram import Scram
from mailnode.auth.signed_tokens import SignedTokens
from mailnode.auth.token_rules import TokenRules
from mailnode.errors import AuthenticationFailed
from tests.fuzz.target import Target, each, variant

NOW = 1_700_000_000
MOST_STEPS = 5
BINDINGS = {"tls-exporter": b"e" * 32}
SALTED = hashlib.pbkdf2_hmac("sha256", b"secret", b"salt", 1)
VERIFIER = ScramVerifier.derive(b"secret", b"salt", 1)
RULES = TokenRules("https://issuer.test", ("mail",), scope="mail")
GOOD = {"iss": "https://issuer.test", "aud": ["mail"], "exp": NOW + 300, "email": "a@x.test", "scope": "mail"}


def _mechanism(number: int) -> Any:
    makers = (
        Plain,
        Login,
        External,
        OAuthBearer,
        XOAuth2,
        lambda: Scram(nonce="srv"),
        lambda: Scram(nonce="srv", bindings=BINDINGS),
        lambda: Scram(nonce="srv", bindings=BINDINGS, plus=True),
    )
    return makers[number % len(makers)]()


def sasl(data: bytes) -> None:
    """Speak a mechanism: a response a line; who proves nothing gets nowhere."""
    number, text = variant(data)
    mechanism = _mechanism(number)
    for response in (None, *text.split(b"\n"))[:MOST_STEPS] if number & 64 else text.split(b"\n")[:MOST_STEPS]:
        step = mechanism.step(response)
        match step:
            case NeedVerifier():
                assert mechanism.verifier(VERIFIER).data.startswith(b"r=")
            case CheckPassword():
                assert step.username and step.password
                login_name(step.username)
                password_octets(step.password)
                return
            case CheckCertificate():
                assert "\0" not in step.wanted
                return
            case CheckToken():
                assert isinstance(mechanism, Bearer) and len(step.token) <= MAX_TOKEN and len(step.wanted) <= 1020
                assert mechanism.refused(b"{}") == Challenge(b"{}")
            case Proven():
                assert text.count(b"p=") >= 1
                return
            case Challenge():
                assert len(step.data) < 2000


def _final(first: bytes, binding: bytes) -> bytes:
    """Return client-final-message for the password "secret" (RFC 5802 3)."""
    bare = first.partition(b"n=")[1] + first.partition(b"n=")[2]
    nonce = bare.rpartition(b"r=")[2] + b"srv"
    server = b"r=" + nonce + b",s=" + b64encode(b"salt") + b",i=1"
    without = b"c=" + b64encode(binding) + b",r=" + nonce
    client_key = hmac.digest(SALTED, b"Client Key", "sha256")
    signature = hmac.digest(hashlib.sha256(client_key).digest(), b",".join((bare, server, without)), "sha256")
    return without + b",p=" + b64encode(bytes(a ^ b for a, b in zip(client_key, signature, strict=True)))


def password(data: bytes) -> None:
    """Prepare a password, and look whether everybody uses it."""
    text = data.decode("utf-8", "replace")
    octets = password_octets(data)
    assert len(octets) <= 40 * len(data) + 10
    prepared = saslprep(text)
    assert saslprep(prepared) == prepared


class _Issuer:
    def __init__(self, keys: object = None, answer: object = None) -> None:
        self._keys, self._answer = keys, answer

    async def keys(self) -> Any:
        return {"keys": self._keys}

    async def introspect(self, token: str) -> Any:
        return self._answer


@cache
def _keys() -> list[Any]:
    keys = (RSAKey.generate_key(2048, {"kid": "one"}), ECKey.generate_key("P-256", {"kid": "two"}))
    return [key.as_dict(private=True) for key in keys]


def _shown() -> list[Any]:
    return [
        {name: value for name, value in key.items() if name not in ("d", "p", "q", "dp", "dq", "qi")} for key in _keys()
    ]


def _signed() -> bytes:
    """A token, made anew for each run of the tests: nothing depends on its signature but that it holds."""
    return jwt.encode({"alg": "RS256", "kid": "one"}, GOOD, RSAKey.import_key(_keys()[0])).encode()


def _asked(tokens: Any, token: str) -> str:
    outcome: list[Any] = []
    Deferred.fromCoroutine(tokens.login_name(token)).addBoth(outcome.append)
    if not isinstance(outcome[0], str):
        outcome[0].raiseException()
    return outcome[0]


def _clock() -> Clock:
    clock = Clock()
    clock.advance(NOW)
    return clock


def token(data: bytes) -> None:
    """Read a signed token: what is genuine names whom we signed it for."""
    assert _asked(SignedTokens(RULES, _Issuer(_shown()), _clock(), {}), data.decode("latin-1")) == "a@x.test"


def token_keys(data: bytes) -> None:
    """Read the keys that an issuer shows, and what it answers about a token."""
    try:
        shown = json.loads(data)
    except RecursionError:
        return
    for tokens in (
        SignedTokens(RULES, _Issuer(shown), _clock(), {}),
        IntrospectedTokens(RULES, _Issuer(answer=shown if isinstance(shown, dict) else {}), _clock(), {}),
    ):
        try:
            assert _asked(tokens, "a.b.c") != ""
        except Exception as error:
            if type(error).__name__ not in ("AuthenticationFailed", "IssuerUnavailable"):
                raise


CLAIM_WORDS = each(
    b'"\n{\n}\n[\n]\n:\n,\nnull\ntrue\n1e400\n-1\nNaN\n"kty"\n"RSA"\n"EC"\n"OKP"\n"oct"\n"crv"\n"P-256"\n"x"\n"n"\n"e"\n"AQAB"\n"exp"\n"active"\n"aud"'
)

TARGETS = (
    Target(
        "sasl",
        sasl,
        (
            b"\0\0alice\0secret",
            b"\1alice\nsecret",
            b"\2alice",
            b"\3n,a=alice,\1host=x\1auth=Bearer abc.def\1\1\n\1",
            b"\4user=alice\1auth=Bearer abc\1\1\n",
            b"\105n,,n=alice,r=abc\n" + _final(b"n,,n=alice,r=abc", b"n,,"),
            b"\5n,,n=alice,r=abc\n" + _final(b"n,,n=alice,r=abc", b"n,,") + b"\n",
            b"\6y,,n=alice,r=abc\n",
            b"\7p=tls-exporter,,n=al=2Cice,r=abc\n"
            + _final(b"p=tls-exporter,,n=al=2Cice,r=abc", b"p=tls-exporter,," + b"e" * 32)
            + b"\n",
        ),
        errors=(AuthenticationFailed,),
        words=(
            b"\0",
            b"\1",
            b"\n",
            b"n,,",
            b"y,,",
            b"p=tls-exporter,,",
            b"n=",
            b",r=",
            b"c=biws",
            b",p=",
            b"=2C",
            b"=3D",
            b"a=",
            b"m=x,",
            b"\xff",
            b"auth=Bearer ",
            b"user=",
        ),
    ),
    Target(
        "password",
        password,
        (b"geheim", "I\xadX \u2168 \xaa".encode(), "\u0627\u0031".encode(), "a\u0300\u0323".encode()),
        errors=(ValueError,),
        words=(
            "\u0300".encode(),
            "\u05d0".encode(),
            "\xa0".encode(),
            b"\0",
            "\ufb01".encode(),
            "\U0001d400".encode(),
            b"\xff",
        ),
    ),
    Target(
        "token",
        token,
        (_signed(), b"a.b.c", b"e30.e30."),
        errors=(AuthenticationFailed,),
        words=(b".", b"e30", b"=", b"eyJhbGciOiJub25lIn0", b"-", b"_"),
    ),
    Target(
        "token_keys",
        token_keys,
        (json.dumps(_shown()).encode(), json.dumps({**GOOD, "active": True}).encode(), b'{"active": false}'),
        errors=(ValueError,),
        words=(*CLAIM_WORDS, b"[" * 400),
    ),
)
