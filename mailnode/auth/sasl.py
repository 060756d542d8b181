"""SASL mechanisms without a secret of their own, and what all of them answer with: PLAIN (RFC 4616), LOGIN.

A mechanism is a pure state machine: ``step`` takes a decoded response and returns what comes next. Looking up
and verifying is the exchange's matter (auth.exchange).
"""

from __future__ import annotations

from dataclasses import dataclass

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
    """SCRAM wants the verifier of this login; answer with :meth:`mailnode.auth.scram.Scram.verifier`."""

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
