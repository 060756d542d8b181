"""EXTERNAL (RFC 4422 A): who the client is, it showed in its TLS handshake."""

from __future__ import annotations

from dataclasses import dataclass

from mailnode.auth.sasl import Challenge
from mailnode.errors import AuthenticationFailed


@dataclass(frozen=True, slots=True)
class CheckCertificate:
    """Look whom the client's certificate names. ``wanted``: the login name it asks for; "": whom the certificate names."""

    wanted: str


class External:
    """One message: the name to act as, or nothing."""

    def step(self, response: bytes | None) -> Challenge | CheckCertificate:
        """:raises AuthenticationFailed: not UTF-8, or NUL in it."""
        if response is None:
            return Challenge(b"")
        try:
            wanted = response.decode("utf-8")
        except UnicodeDecodeError:
            raise AuthenticationFailed from None
        if "\0" in wanted:
            raise AuthenticationFailed
        return CheckCertificate(wanted)
