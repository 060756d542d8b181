"""Commands before login: STARTTLS, LOGIN, AUTHENTICATE (RFC 3501 6.2, RFC 4959)."""

from __future__ import annotations

from binascii import b2a_base64
from typing import TYPE_CHECKING

from mailnode.imap.answers import Answer, Refusal
from mailnode.imap.command_types import Authenticate, Login, SaslResponse, StartTls
from mailnode.imap.wire import responses
from mailnode.interfaces.sessions import ILogin, IMailUser, ISaslExchange

if TYPE_CHECKING:
    from mailnode.imap.session import ImapSession


async def start_tls(session: ImapSession, command: StartTls) -> Answer | None:
    """RFC 3501 6.2.1. What the client sent behind it is the connection's to throw away."""
    if session.channel.secure:
        raise Refusal("TLS is up already", status=b"BAD")
    if not session.services.start_tls:
        raise Refusal("TLS is not available here")
    session.write(Answer("Begin TLS negotiation").line(command.tag))
    session.flush()
    session.channel.start_tls()
    return None


async def login(session: ImapSession, command: Login) -> Answer:
    """RFC 3501 6.2.3."""
    found = await session.services.logins.password(command.user, command.password, IMailUser, session)
    return _enter(session, found, "LOGIN")


class Exchange:
    """AUTHENTICATE between its lines."""

    def __init__(self, sasl: ISaslExchange) -> None:
        self.sasl = sasl

    def drop(self) -> None:
        """Nothing is held."""


async def authenticate(session: ImapSession, command: Authenticate) -> Answer | None:
    """RFC 3501 6.2.2, with an initial response RFC 4959."""
    secure = not session.connection.login_disabled
    if command.mechanism not in session.services.logins.mechanisms(session.protocol, secure):
        raise Refusal("Unknown authentication mechanism", b"CANNOT")
    session.under_way = Exchange(session.services.logins.exchange(command.mechanism, IMailUser, session))
    return await _step(session, session.under_way, command.initial)


async def sasl_response(session: ImapSession, event: SaslResponse) -> Answer | None:
    """A line of the exchange; ``*`` cancels (RFC 3501 6.2.2)."""
    if event.data is None:
        session.drop_under_way()
        raise Refusal("AUTHENTICATE cancelled", status=b"BAD")
    return await _step(session, session.under_way, event.data)


async def _step(session: ImapSession, exchange: Exchange, response: bytes | None) -> Answer | None:
    challenge = await exchange.sasl.step(response)
    if challenge is not None:
        session.write(responses.continuation(b2a_base64(challenge, newline=False)))
        session.connection.continue_sasl()
        return None
    session.drop_under_way()
    return _enter(session, exchange.sasl.login, "AUTHENTICATE")


def _enter(session: ImapSession, found: ILogin, verb: str) -> Answer:
    if session.channel.closed:  # it went while the password was checked: lost() will not come again
        found.logout()
        raise Refusal("Connection lost")
    session.logged_in(found)
    return Answer(f"{verb} completed", responses.capability(session.capabilities()))
