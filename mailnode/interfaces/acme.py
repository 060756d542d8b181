"""Certificates from a certification authority: what the room asks of others, and what it is asked."""

from __future__ import annotations

from zope.interface import Interface

from mailnode.values.acme import RenewalStanding


class IProofs(Interface):
    """Shows an authority that a name leads here, in one of the ways there are (RFC 8555 8)."""

    async def show(name: str, token: str, authorization: str) -> None:
        """Return when it can be seen. :param name: lower case, A-labels, without "*.". :param token: of the authority, base64url.
        :param authorization: the key authorization (RFC 8555 8.1).

        :raises mailnode.errors.CertificateFailed: it cannot be shown; the text says why, in words."""

    async def hide(name: str, token: str, authorization: str) -> None:
        """Show it no longer, if it is shown. Never raises a domain error."""


class IHandshakeProofs(Interface):
    """Shows certificates to who asks for a proof in a TLS handshake (RFC 8737), in every process."""

    async def show_certificate(name: str, chain: bytes, key: bytes) -> None:
        """Return when every process shows it. :param chain: and ``key``: PEM."""

    async def hide_certificate(name: str) -> None:
        """Show it no longer."""


class IRenewal(Interface):
    """The certificates that are renewed by themselves."""

    def standing() -> RenewalStanding:
        """How they stand, as far as is known without looking."""

    async def renew(force: bool) -> RenewalStanding:
        """Renew what is due, whatever failed before; wait for its end. :param force: also what is not due.

        :raises mailnode.errors.CertificateFailed: in words."""
