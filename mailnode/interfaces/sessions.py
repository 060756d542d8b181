"""What the portal hands out: avatars by interface, and the credentials it takes.

``Portal.login(credentials, mind, IMailUser)`` for IMAP, ``IPopUser`` for POP3, ``ISubmitter`` for submission, ``IScriptUser`` for
ManageSieve.
``mind`` provides :class:`ISessionMind`, so that the realm can end a live session.
"""

from __future__ import annotations

from collections.abc import Mapping

from twisted.cred.credentials import ICredentials
from zope.interface import Attribute, Interface

from mailnode.interfaces.scripts import IScripts
from mailnode.interfaces.store import IMaildrop
from mailnode.values.address import Address
from mailnode.values.client_names import ClientNames


class ISessionMind(Interface):
    """The protocol session behind a login."""

    session = Attribute("str: the session id of the log")
    protocol = Attribute("str: imap, pop3, submission or managesieve")
    peer = Attribute("str: the client's IP address")
    server_name = Attribute('str: the name the client asked for in its TLS handshake (SNI), lower-case; "" without one')

    def tls_bindings() -> Mapping[str, bytes]:
        """What an exchange can be bound to of the client's own TLS, by type: ``tls-exporter`` (RFC 9266),
        ``tls-server-end-point`` (RFC 5929); none without such TLS, or where somebody between us may have it."""

    def certificate_names() -> ClientNames:
        """Whom the client's certificate is for, of an authority we trust with it; nobody without one."""

    def end(reason: str) -> None:
        """End the session soon, with the protocol's own words; called when the account may no longer use it."""


class ICredentialContext(ICredentials):
    """Credentials that know which protocol and which peer they come from; every checker of ours takes these."""

    protocol = Attribute("str: imap, pop3, submission or managesieve")
    peer = Attribute("str: the client's IP address")
    session = Attribute("str")


class IAccountProof(ICredentials):
    """The SASL server has found which account it is: by a proof against the stored verifier (SCRAM, RFC 5802), by the client's
    certificate (EXTERNAL)."""

    account_id = Attribute("str")


class IMailUser(Interface):
    """IMAP's avatar."""

    account = Attribute("Account")
    mail = Attribute("IMailAccount")


class IPopUser(Interface):
    """POP3's avatar."""

    account = Attribute("Account")

    async def maildrop() -> IMaildrop:
        """Open INBOX under the lease. :raises Busy:"""


class ISubmitter(Interface):
    """Submission's avatar."""

    account = Attribute("Account")

    async def may_send_as(address: Address) -> bool:
        """Whether the account may use this reverse-path or From address."""


class IScriptUser(Interface):
    """ManageSieve's avatar."""

    account = Attribute("Account")
    scripts: IScripts = Attribute("of all accounts")


class ISessionCounts(Interface):
    """How many sessions an account has, by protocol: in all processes of a server together."""

    async def enter(account_id: str, protocol: str, limit: int) -> bool:
        """Count one more and return True, unless there are ``limit`` already."""

    def leave(account_id: str, protocol: str) -> None:
        """One that was counted has ended."""


class ILogins(Interface):
    """The one door to logging in, for every protocol: throttle, SASL, portal. Protocol sessions see only this."""

    def mechanisms(mind: ISessionMind, secure: bool) -> tuple[str, ...]:
        """SASL mechanism names to offer this client. :param secure: passwords may come over this connection; else
        there are none."""

    def exchange(mechanism: str, interface: type[Interface], mind: ISessionMind) -> ISaslExchange:
        """Begin a SASL exchange. :raises KeyError: unknown mechanism."""

    async def password(user: bytes, password: bytes, interface: type[Interface], mind: ISessionMind) -> ILogin:
        """LOGIN, USER and PASS. :raises AuthenticationFailed: :raises LoginNotAllowed: :raises Busy:"""


class ISaslExchange(Interface):
    """The server's side of one SASL exchange (RFC 4422)."""

    async def step(response: bytes | None) -> bytes | None:
        """Feed the decoded client response (None: no initial response was given) and get the next challenge, or None
        when the exchange succeeded and :attr:`login` is set.

        :raises AuthenticationFailed: :raises LoginNotAllowed: :raises Busy:
        """

    login = Attribute("ILogin once succeeded")
    final = Attribute(
        'bool: the challenge that step returned last is for a client that has proven itself, and wants b"" for an answer: a'
        " protocol may say it together with its success instead (RFC 4422 4)"
    )


class ILogin(Interface):
    """A login that stands."""

    avatar = Attribute("IMailUser, IPopUser, ISubmitter or IScriptUser")
    account = Attribute("Account")
    mechanism = Attribute("str: PLAIN, LOGIN, SCRAM-SHA-256 ...")

    def logout() -> None:
        """The session ended; forget it."""
