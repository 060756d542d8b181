"""Tokens: genuine, for us, of this time, by keys that the issuer shows; or as the issuer says when it is asked."""

import hmac
import json
from base64 import urlsafe_b64encode

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from mailnode.auth.introspected_tokens import MAX_REMEMBERED, REMEMBERED, IntrospectedTokens
from mailnode.auth.signed_tokens import REFRESH, RETRY, SignedTokens
from mailnode.auth.token_rules import LEEWAY, TokenRules
from mailnode.errors import AuthenticationFailed, IssuerUnavailable
from mailnode.interfaces.tokens import ITokens

NOW = 1_700_000_000
RSA = RSAKey.generate_key(2048, {"kid": "one"})
EC = ECKey.generate_key("P-256", {"kid": "two"})
OTHER = RSAKey.generate_key(2048, {"kid": "one"})
GOOD = {"iss": "https://issuer.test", "aud": "mail", "exp": NOW + 300, "email": "alice@a.test"}
RULES = TokenRules("https://issuer.test", ("mail", "imap"))


class Issuer:
    """Says what it is told to; counts how often it was asked."""

    def __init__(self, *keys):
        self.shown, self.answer, self.asked, self.down = list(keys), {}, 0, False

    async def keys(self):
        self.asked += 1
        if self.down:
            raise IssuerUnavailable
        return {"keys": [key.as_dict(private=False) for key in self.shown]}

    async def introspect(self, token):
        self.asked += 1
        if self.down:
            raise IssuerUnavailable
        return self.answer


def now(coroutine):
    found = []
    Deferred.fromCoroutine(coroutine).addBoth(found.append)
    if hasattr(found[0], "raiseException"):
        found[0].raiseException()
    return found[0]


@pytest.fixture
def clock():
    clock = Clock()
    clock.advance(NOW)
    return clock


def signed(claims, key=RSA, **header):
    return jwt.encode({"alg": "RS256", "kid": key.kid, **header}, claims, key)


def changed(**claims):
    return {name: value for name, value in (GOOD | claims).items() if value is not None}


# What must be true of the claims


@pytest.mark.parametrize(
    "claims",
    [
        GOOD,
        changed(aud=["other", "imap"]),
        changed(exp=NOW - LEEWAY + 1),
        changed(nbf=NOW + LEEWAY),
        changed(email_verified=True),
        changed(exp=NOW + 0.5),
    ],
)
def test_claims_that_are_right(claims):
    assert RULES.login_name(claims, NOW) == "alice@a.test"


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        (changed(iss=None), "issuer"),
        (changed(iss="https://issuer.test/"), "issuer"),
        (changed(aud=None), "aud"),
        (changed(aud="other"), "aud"),
        (changed(aud=[]), "aud"),
        (changed(aud={"mail": 1}), "aud"),
        (changed(aud=None, client_id="mail"), "aud"),
        (changed(exp=None), "when it expires"),
        (changed(exp=NOW - LEEWAY), "expired"),
        (changed(exp="9999999999"), "no time"),
        (changed(exp=True), "no time"),
        (changed(exp=float("inf")), "no time"),
        (changed(nbf=NOW + LEEWAY + 1), "not valid yet"),
        (changed(email=None), "claim email"),
        (changed(email=""), "claim email"),
        (changed(email=["alice@a.test"]), "claim email"),
        (changed(email="a" * 321), "claim email"),
        (changed(email_verified=False), "not verified"),
        (changed(email_verified="false"), "not verified"),
    ],
)
def test_claims_that_are_wrong(claims, why):
    with pytest.raises(AuthenticationFailed, match=why):
        RULES.login_name(claims, NOW)


def test_another_claim_and_a_scope():
    rules = TokenRules("https://issuer.test", ("mail",), "preferred_username", "mail.read")
    for scope in ({"scope": "openid mail.read"}, {"scp": ["mail.read"]}, {"scp": "mail.read"}):
        claims = changed(preferred_username="alice", email_verified=False, **scope)
        assert rules.login_name(claims, NOW) == "alice"
    for scope in ({}, {"scope": "mail.readall"}, {"scope": ""}, {"scope": {"mail.read": 1}}):
        with pytest.raises(AuthenticationFailed, match="scope"):
            rules.login_name(changed(preferred_username="alice", **scope), NOW)


# Signed


def test_a_signed_token(clock):
    issuer = Issuer(RSA, EC)
    tokens = SignedTokens(RULES, issuer, clock, {})
    verifyObject(ITokens, tokens)
    assert now(tokens.login_name(signed(GOOD))) == "alice@a.test"
    assert now(tokens.login_name(signed(GOOD, EC, alg="ES256"))) == "alice@a.test"
    assert issuer.asked == 1


def test_a_token_without_a_key_id_is_of_the_only_key(clock):
    token = jwt.encode({"alg": "RS256"}, GOOD, RSA)
    assert now(SignedTokens(RULES, Issuer(RSA), clock, {}).login_name(token)) == "alice@a.test"


def hmac_with_the_public_key(claims):
    """A token signed with what everybody may know, as if it were a secret."""
    parts = ({"alg": "HS256", "kid": "one"}, claims)
    text = b".".join(urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    proof = hmac.digest(RSA.as_pem(private=False), text, "sha256")
    return (text + b"." + urlsafe_b64encode(proof).rstrip(b"=")).decode()


@pytest.mark.parametrize(
    "token",
    [
        signed(GOOD, OTHER),  # by somebody else
        signed(changed(email="bob@a.test"))[:-4] + "AAAA",
        ".".join(
            [signed(GOOD).split(".")[0], signed(changed(email="bob@a.test")).split(".")[1], signed(GOOD).split(".")[2]]
        ),
        "eyJhbGciOiJub25lIn0." + signed(GOOD).split(".")[1] + ".",  # alg none
        hmac_with_the_public_key(GOOD),  # the public key as a secret
        signed(GOOD, EC, alg="ES256", kid="one"),  # a key of another kind under that name
        signed(GOOD).rpartition(".")[0],
        "a.b.c",
        "opaque",
        "",
    ],
    ids=["other key", "signature", "claims", "none", "HMAC", "kind of key", "unsigned", "garbage", "opaque", "empty"],
)
def test_a_token_that_is_not_genuine(clock, token):
    with pytest.raises(AuthenticationFailed):
        now(SignedTokens(RULES, Issuer(RSA), clock, {}).login_name(token))


def test_an_algorithm_that_is_not_allowed(clock):
    rules = TokenRules("https://issuer.test", ("mail",), algorithms=("ES256",))
    tokens = SignedTokens(rules, Issuer(RSA, EC), clock, {})
    assert now(tokens.login_name(signed(GOOD, EC, alg="ES256"))) == "alice@a.test"
    with pytest.raises(AuthenticationFailed):
        now(tokens.login_name(signed(GOOD)))


def test_new_keys_are_fetched_when_a_token_names_one_but_not_for_every_token(clock):
    issuer = Issuer(RSA)
    tokens = SignedTokens(RULES, issuer, clock, {})
    now(tokens.login_name(signed(GOOD)))
    for _ in range(3):
        with pytest.raises(AuthenticationFailed):
            now(tokens.login_name(signed(GOOD, EC, alg="ES256")))
    assert issuer.asked == 1
    clock.advance(RETRY)
    issuer.shown.append(EC)
    assert now(tokens.login_name(signed(GOOD, EC, alg="ES256"))) == "alice@a.test"
    assert issuer.asked == 2


def test_keys_are_fetched_anew_and_old_ones_go_on_while_the_issuer_is_down(clock):
    issuer = Issuer(RSA)
    tokens = SignedTokens(RULES, issuer, clock, {})
    later = changed(exp=NOW + 10 * REFRESH)
    now(tokens.login_name(signed(later)))
    issuer.down = True
    clock.advance(REFRESH)
    assert now(tokens.login_name(signed(later))) == "alice@a.test"
    assert now(tokens.login_name(signed(later))) == "alice@a.test"
    assert issuer.asked == 2
    issuer.down, issuer.shown = False, [OTHER]  # the key was withdrawn
    clock.advance(RETRY)
    with pytest.raises(AuthenticationFailed):
        now(tokens.login_name(signed(later)))


def test_a_token_of_a_known_key_does_not_wait_while_another_has_keys_fetched(clock):
    issuer = Issuer(RSA)
    tokens = SignedTokens(RULES, issuer, clock, {})
    now(tokens.login_name(signed(GOOD)))
    clock.advance(RETRY)
    coming = Deferred()

    async def keys():
        return await coming

    issuer.keys = keys
    unknown = Deferred.fromCoroutine(tokens.login_name(signed(GOOD, EC, alg="ES256")))
    assert now(tokens.login_name(signed(GOOD))) == "alice@a.test"
    second = Deferred.fromCoroutine(tokens.login_name(signed(GOOD, EC, alg="ES256")))
    coming.callback({"keys": [EC.as_dict(private=False)]})  # of one fetch, for which both have waited
    assert (unknown.result, second.result) == ("alice@a.test", "alice@a.test")


@pytest.mark.parametrize(
    "strange",
    [
        {"kty": "EC", "crv": "of another time", "x": "AA", "y": "AA", "kid": "1"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "2"},
        {"kty": "RSA", "n": "AQ", "e": "AQAB"},
        {"kty": "AKP", "kid": "3"},
        {"kty": ["RSA"]},
        {"kid": "4"},
        7,
        None,
    ],
)
def test_a_key_that_cannot_be_used_takes_no_other_with_it(clock, strange):
    issuer = Issuer()

    async def keys():
        return {"keys": [strange, RSA.as_dict(private=False)]}

    issuer.keys = keys
    assert now(SignedTokens(RULES, issuer, clock, {}).login_name(signed(GOOD))) == "alice@a.test"


@pytest.mark.parametrize("shown", [{}, {"keys": []}, {"keys": "x"}, {"keys": [{"kty": "RSA"}]}, {"keys": [1]}])
def test_without_keys_it_is_temporary(clock, shown):
    issuer = Issuer()

    async def keys():
        return shown

    issuer.keys = keys
    with pytest.raises(IssuerUnavailable):
        now(SignedTokens(RULES, issuer, clock, {}).login_name(signed(GOOD)))


# Introspected


def test_an_introspected_token(clock):
    issuer = Issuer()
    tokens = IntrospectedTokens(RULES, issuer, clock, {})
    verifyObject(ITokens, tokens)
    issuer.answer = {"active": True, "client_id": "mail", "email": "alice@a.test"}
    for _ in range(2):
        assert now(tokens.login_name("opaque")) == "alice@a.test"
    assert issuer.asked == 1
    issuer.answer = {"active": False}  # it was revoked
    clock.advance(REMEMBERED)
    with pytest.raises(AuthenticationFailed, match="not active"):
        now(tokens.login_name("opaque"))
    with pytest.raises(AuthenticationFailed, match="not active"):
        now(tokens.login_name("opaque"))
    assert issuer.asked == 2


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"active": "true"},
        {"active": 1},
        {"active": True, "iss": "https://other.test"},
        {"active": True, "client_id": "other"},
        {"active": True, "client_id": "mail", "aud": "other"},
        {"active": True, "exp": NOW - LEEWAY},
        {"active": True, "client_id": None},
    ],
)
def test_an_answer_that_does_not_say_yes(clock, answer):
    issuer = Issuer()
    issuer.answer = {"client_id": "mail", "email": "alice@a.test"} | answer
    with pytest.raises(AuthenticationFailed):
        now(IntrospectedTokens(RULES, issuer, clock, {}).login_name("opaque"))


def test_a_token_that_expires_is_not_remembered_beyond_that(clock):
    issuer = Issuer()
    issuer.answer = {"active": True, "client_id": "mail", "email": "alice@a.test", "exp": NOW + 10}
    tokens = IntrospectedTokens(RULES, issuer, clock, {})
    now(tokens.login_name("opaque"))
    clock.advance(10 + LEEWAY)
    with pytest.raises(AuthenticationFailed, match="expired"):
        now(tokens.login_name("opaque"))
    assert issuer.asked == 1


def test_an_issuer_that_is_down_is_asked_again(clock):
    issuer = Issuer()
    tokens = IntrospectedTokens(RULES, issuer, clock, {})
    issuer.down = True
    for _ in range(2):
        with pytest.raises(IssuerUnavailable):
            now(tokens.login_name("opaque"))
    assert issuer.asked == 2


def test_answers_are_remembered_in_bounds(clock):
    issuer = Issuer()
    tokens = IntrospectedTokens(RULES, issuer, clock, {})
    issuer.answer = {"active": False}
    for number in range(MAX_REMEMBERED + 5):
        with pytest.raises(AuthenticationFailed):
            now(tokens.login_name(f"guess{number}"))
    assert len(tokens._known) == 5


def test_of_an_answer_the_name_and_the_times_alone_are_remembered(clock):
    issuer = Issuer()
    tokens = IntrospectedTokens(RULES, issuer, clock, {})
    times = {"exp": NOW + 300, "nbf": NOW}
    long = {"aud": ["mail", "x" * 100_000], "groups": ["y" * 100_000]}
    issuer.answer = {"active": True, "email": "alice@a.test", **times, **long}
    for _ in range(2):
        assert now(tokens.login_name("opaque")) == "alice@a.test"
    (known,) = tokens._known.values()
    assert (known.login, known.problem, known.times) == ("alice@a.test", "", times)
    assert issuer.asked == 1
