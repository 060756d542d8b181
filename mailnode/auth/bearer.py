"""Mechanisms with a token of an OAuth 2.0 server: OAUTHBEARER (RFC 7628) and XOAUTH2, the form before it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailnode.auth.sasl import Challenge
from mailnode.auth.scram import saslname
from mailnode.errors import AuthenticationFailed

MAX_TOKEN = 8192  # octets
# RFC 7628 3.1, of gs2-header: a flag (no channel is bound to, RFC 5801 5), and perhaps whom to act as
_GS2 = re.compile(rb"[ny],(?:a=([^,\0\x01]{1,1020}))?,\Z")
_TOKEN = re.compile(rb"[A-Za-z0-9._~+/-]+=*\Z")  # RFC 6750 2.1


@dataclass(frozen=True, slots=True)
class CheckToken:
    """Look whom a token is for. ``wanted``: the login name it comes with; "": none. ``token``: "" where there was none, by which
    programs ask what they need."""

    wanted: str
    token: str


class Bearer:
    """One message with the token. What is wrong is told in a challenge, which any response ends (RFC 7628 3.2.3)."""

    def __init__(self) -> None:
        self._told = False

    def step(self, response: bytes | None) -> Challenge | CheckToken:
        """:raises AuthenticationFailed: not of the form, or what is wrong was told."""
        if self._told:
            raise AuthenticationFailed
        if response is None:
            return Challenge(b"")
        return self.read(response)

    def refused(self, problem: bytes) -> Challenge:
        """Tell what is wrong, as JSON."""
        self._told = True
        return Challenge(problem)

    @property
    def told(self) -> bool:
        """Whether what comes now only ends the exchange."""
        return self._told

    def read(self, message: bytes) -> CheckToken:
        """Read the message."""
        raise NotImplementedError


class OAuthBearer(Bearer):
    """RFC 7628 3.1. Host and port that it may hold say how the program was set up; the token itself says for whom it is good."""

    def read(self, message: bytes) -> CheckToken:
        """:raises AuthenticationFailed:"""
        header, separator, rest = message.partition(b"\x01")
        match = _GS2.match(header)
        if match is None or not separator or not rest.endswith(b"\x01"):
            raise AuthenticationFailed
        pairs = _pairs(rest[:-1])
        return CheckToken(saslname(match[1]) if match[1] else "", _token(pairs))


class XOAuth2(Bearer):
    """``user=`` login name, ``auth=Bearer`` token, each with ^A behind it, and one more ^A."""

    def read(self, message: bytes) -> CheckToken:
        """:raises AuthenticationFailed:"""
        if not message.endswith(b"\x01\x01"):
            raise AuthenticationFailed
        pairs = _pairs(message[:-1])
        try:
            wanted = pairs.get(b"user", b"").decode("utf-8")
        except UnicodeDecodeError:
            raise AuthenticationFailed from None
        if not wanted or len(wanted) > 1020:
            raise AuthenticationFailed
        return CheckToken(wanted, _token(pairs))


def _pairs(text: bytes) -> dict[bytes, bytes]:
    """Read ``key=value`` pairs, each with ^A behind it. :raises AuthenticationFailed: one is no pair, or there are two of a key."""
    if b"\0" in text or (text and not text.endswith(b"\x01")):
        raise AuthenticationFailed
    pairs: dict[bytes, bytes] = {}
    for pair in text.split(b"\x01")[:-1]:
        key, separator, value = pair.partition(b"=")
        if not separator or key in pairs:
            raise AuthenticationFailed
        pairs[key] = value
    return pairs


def _token(pairs: dict[bytes, bytes]) -> str:
    kind, _, token = pairs.get(b"auth", b"").partition(b" ")
    token = token.strip(b" ")
    if kind.lower() not in (b"bearer", b"") or len(token) > MAX_TOKEN or (token and not _TOKEN.match(token)):
        raise AuthenticationFailed
    return token.decode("ascii")
