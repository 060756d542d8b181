"""SCRAM (RFC 5802) by SHA-256 (RFC 7677) and SHA-1, with and without channel binding, the server's side."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping

from mailnode.auth.passwords import ScramVerifier
from mailnode.auth.sasl import Challenge, NeedVerifier, Proven, Step
from mailnode.errors import AuthenticationFailed

# RFC 5802 7: client-first-message = gs2-header [reserved-mext ","] username "," nonce ["," extensions]
_CLIENT_FIRST = re.compile(
    rb"([ny]|p=[A-Za-z0-9.-]{1,64}),(a=[^,\0]{1,1020})?,(n=([^,\0]{1,1020}),r=([\x21-\x2b\x2d-\x7e]{1,256})(?:,[^\0]*)?)\Z"
)
# client-final-message = channel-binding "," nonce ["," extensions] "," proof
_CLIENT_FINAL = re.compile(
    rb"(c=([A-Za-z0-9+/=]{1,2048}),r=([\x21-\x2b\x2d-\x7e]{1,600})(?:,[^\0]*)?),p=([A-Za-z0-9+/=]{1,128})\Z"
)


class Scram:
    """One exchange. A client that says it would bind to the channel where we do not (``y``) is refused where we do: somebody
    between us has taken the mechanism out of what we offered (RFC 5802 6)."""

    def __init__(
        self,
        digest: str = "sha256",
        nonce: str | None = None,
        *,
        bindings: Mapping[str, bytes] | None = None,
        plus: bool = False,
    ) -> None:
        """:param digest: "sha256" or "sha1". :param nonce: the server's part, for tests of known exchanges.
        :param bindings: what -PLUS can be bound to here, by type; none where it is not offered.
        :param plus: whether this is the -PLUS of the mechanism, which must be bound to one of them."""
        self.digest = digest
        self._bindings = bindings or {}
        self._plus = plus
        self._nonce = (nonce or secrets.token_urlsafe(24)).encode("ascii")
        self._state = "first"
        self._gs2 = self._bound = self._bare = self._server_first = self._expected_nonce = b""
        self._verifier: ScramVerifier | None = None

    @property
    def wants_proof(self) -> bool:
        """Whether the next response is client-final-message: what tells a right password from a wrong one."""
        return self._state == "final"

    @property
    def proven(self) -> bool:
        """Whether the proof was right, and the client is shown ours."""
        return self._state == "proven"

    def step(self, response: bytes | None) -> Step:
        """:raises AuthenticationFailed: malformed, not bound to this channel, or a wrong proof."""
        if response is None and self._state == "first":
            return Challenge(b"")
        if response is None:
            raise AuthenticationFailed
        if self._state == "first":
            return self._client_first(response)
        if self._state == "final":
            return self._client_final(response)
        proven, self._state = self.proven, "over"
        if proven and not response:
            return Proven()
        raise AuthenticationFailed

    def _client_first(self, message: bytes) -> NeedVerifier:
        self._state = "failed"
        match = _CLIENT_FIRST.match(message)
        if match is None:
            raise AuthenticationFailed
        flag, authzid, self._bare, name, nonce = match.groups()
        self._gs2 = flag + b"," + (authzid or b"") + b","
        self._bound = self._bound_to(flag)
        username = saslname(name)
        if authzid is not None and saslname(authzid[2:]) != username:
            raise AuthenticationFailed
        self._expected_nonce = nonce + self._nonce
        self._state = "verifier"
        return NeedVerifier(username)

    def _bound_to(self, flag: bytes) -> bytes:
        """Return what the client must prove to see of the channel, too. :raises AuthenticationFailed: RFC 5802 6"""
        kind = flag[2:].decode("ascii")
        if bool(kind) != self._plus or (flag == b"y" and self._bindings) or (kind and not self._bindings.get(kind)):
            raise AuthenticationFailed
        return self._bindings[kind] if kind else b""

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
        stored, proof = self._verifier.stored_key, _decode64(encoded_proof)
        if not hmac.compare_digest(_decode64(binding), self._gs2 + self._bound) or nonce != self._expected_nonce:
            raise AuthenticationFailed
        if len(proof) != len(stored):
            raise AuthenticationFailed
        auth_message = b",".join((self._bare, self._server_first, without_proof))
        signature = hmac.digest(stored, auth_message, self.digest)
        client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
        if not hmac.compare_digest(hashlib.new(self.digest, client_key).digest(), stored):
            raise AuthenticationFailed
        self._state = "proven"
        return Challenge(b"v=" + b64encode(hmac.digest(self._verifier.server_key, auth_message, self.digest)))


def saslname(name: bytes) -> str:
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
