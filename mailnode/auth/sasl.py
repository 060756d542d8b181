"""SASL mechanisms, the server's side: PLAIN (RFC 4616), LOGIN, SCRAM-SHA-256 (RFC 5802, RFC 7677).

A mechanism is a pure state machine: ``step`` takes a decoded response and returns what comes next. Looking up
and verifying is the exchange's matter (auth.logins).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass

from mailnode.auth.passwords import ScramVerifier
from mailnode.errors import AuthenticationFailed


@dataclass(frozen=True, slots=True)
class Challenge:
    """Send these octets and wait for a response."""

    data: bytes


@dataclass(frozen=True, slots=True)
class CheckPassword:
    """The exchange has a login name and a clear password."""

    username: bytes
    password: bytes


@dataclass(frozen=True, slots=True)
class NeedVerifier:
    """SCRAM wants the verifier of this login; answer with :meth:`ScramSha256.verifier`."""

    username: str


@dataclass(frozen=True, slots=True)
class Proven:
    """SCRAM's proof was right and the client has seen ours."""


Step = Challenge | CheckPassword | NeedVerifier | Proven


class Plain:
    """RFC 4616: one message, authzid NUL authcid NUL password; an authzid may only repeat the authcid."""

    def step(self, response: bytes | None) -> Step:
        """:raises AuthenticationFailed: not of that form."""
        if response is None:
            return Challenge(b"")
        authzid, _, rest = response.partition(b"\0")
        authcid, separator, password = rest.partition(b"\0")
        if not separator or not authcid or not password or b"\0" in password or authzid not in (b"", authcid):
            raise AuthenticationFailed
        return CheckPassword(authcid, password)


class Login:
    """The LOGIN mechanism: name and password on two prompts; an initial response is the name."""

    def __init__(self) -> None:
        self._username: bytes | None = None

    def step(self, response: bytes | None) -> Step:
        """:raises AuthenticationFailed: an empty name or password, or NUL in one."""
        if response is None:
            return Challenge(b"Username:")
        if not response or b"\0" in response:
            raise AuthenticationFailed
        if self._username is None:
            self._username = response
            return Challenge(b"Password:")
        return CheckPassword(self._username, response)


# RFC 5802 7: client-first-message = gs2-header [reserved-mext ","] username "," nonce ["," extensions]
_CLIENT_FIRST = re.compile(
    rb"([ny]),(a=[^,\0]{1,1020})?,(n=([^,\0]{1,1020}),r=([\x21-\x2b\x2d-\x7e]{1,256})(?:,[^\0]*)?)\Z"
)
# client-final-message = channel-binding "," nonce ["," extensions] "," proof
_CLIENT_FINAL = re.compile(
    rb"(c=([A-Za-z0-9+/=]{1,512}),r=([\x21-\x2b\x2d-\x7e]{1,600})(?:,[^\0]*)?),p=([A-Za-z0-9+/=]{1,128})\Z"
)


class ScramSha256:
    """RFC 5802 with SHA-256, without channel binding: ``p=`` is refused, ``y`` is fine because we offer no -PLUS."""

    def __init__(self, nonce: str | None = None) -> None:
        """:param nonce: the server's part, for tests of known exchanges."""
        self._nonce = (nonce or secrets.token_urlsafe(24)).encode("ascii")
        self._state = "first"
        self._gs2 = self._bare = self._server_first = self._expected_nonce = b""
        self._verifier: ScramVerifier | None = None

    @property
    def wants_proof(self) -> bool:
        """Whether the next response is client-final-message: what tells a right password from a wrong one."""
        return self._state == "final"

    def step(self, response: bytes | None) -> Step:
        """:raises AuthenticationFailed: malformed, or a wrong proof."""
        if response is None and self._state == "first":
            return Challenge(b"")
        if response is None:
            raise AuthenticationFailed
        if self._state == "first":
            return self._client_first(response)
        if self._state == "final":
            return self._client_final(response)
        proven, self._state = self._state == "proven", "over"
        if proven and not response:
            return Proven()
        raise AuthenticationFailed

    def _client_first(self, message: bytes) -> NeedVerifier:
        match = _CLIENT_FIRST.match(message)
        if match is None:
            raise AuthenticationFailed
        flag, authzid, self._bare, name, nonce = match.groups()
        self._gs2 = flag + b"," + (authzid or b"") + b","
        username = _saslname(name)
        if authzid is not None and _saslname(authzid[2:]) != username:
            raise AuthenticationFailed
        self._expected_nonce = nonce + self._nonce
        self._state = "verifier"
        return NeedVerifier(username)

    def verifier(self, verifier: ScramVerifier) -> Challenge:
        """Take the verifier of the login and return server-first-message."""
        self._verifier = verifier
        salt = b64encode(verifier.salt)
        self._server_first = b"r=%b,s=%b,i=%d" % (self._expected_nonce, salt, verifier.iterations)
        self._state = "final"
        return Challenge(self._server_first)

    def _client_final(self, message: bytes) -> Challenge:
        self._state = "failed"
        match = _CLIENT_FINAL.match(message)
        if match is None or self._verifier is None:
            raise AuthenticationFailed
        without_proof, binding, nonce, encoded_proof = match.groups()
        proof = _decode64(encoded_proof)
        if _decode64(binding) != self._gs2 or nonce != self._expected_nonce or len(proof) != 32:
            raise AuthenticationFailed
        auth_message = b",".join((self._bare, self._server_first, without_proof))
        signature = hmac.digest(self._verifier.stored_key, auth_message, "sha256")
        client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
        if not hmac.compare_digest(hashlib.sha256(client_key).digest(), self._verifier.stored_key):
            raise AuthenticationFailed
        self._state = "proven"
        return Challenge(b"v=" + b64encode(hmac.digest(self._verifier.server_key, auth_message, "sha256")))


def _saslname(name: bytes) -> str:
    """Decode a saslname (RFC 5802 5.1): ``=2C`` is a comma, ``=3D`` an equals sign, any other ``=`` an error."""
    if re.search(rb"=(?!2C|3D)", name):
        raise AuthenticationFailed
    try:
        return name.replace(b"=2C", b",").replace(b"=3D", b"=").decode("utf-8")
    except UnicodeDecodeError:
        raise AuthenticationFailed from None


def _decode64(data: bytes) -> bytes:
    try:
        return b64decode(data, validate=True)
    except (Base64Error, ValueError):
        raise AuthenticationFailed from None


Mechanism = Plain | Login | ScramSha256
MECHANISMS: dict[str, type[Plain] | type[Login] | type[ScramSha256]] = {
    "SCRAM-SHA-256": ScramSha256,
    "PLAIN": Plain,
    "LOGIN": Login,
}
