"""AUTHENTICATE (RFC 3501 6.2.2, RFC 4959)."""

from __future__ import annotations

from binascii import b2a_base64
from dataclasses import dataclass
from typing import ClassVar

from mailnode.imap.answers import Answer, CommandRefused
from mailnode.imap.commands.context import Context, UnderWay
from mailnode.imap.commands.login import enter
from mailnode.imap.commands.row import BEFORE_LOGIN, CommandRow
from mailnode.imap.wire import responses
from mailnode.imap.wire.command import Command, Continuation, SaslResponse
from mailnode.imap.wire.lexer import CommandFault, Lexer, decode_base64
from mailnode.interfaces.sessions import IMailUser, ISaslExchange


# authenticate = "AUTHENTICATE" SP auth-type [SP ("=" / base64)] *(CRLF base64)
@dataclass(frozen=True, slots=True)
class Authenticate(Command):
    """RFC 3501 6.2.2, RFC 4959. ``initial`` is the decoded initial response: b"" for ``=``, None when not given."""

    verb: ClassVar[str] = "AUTHENTICATE"
    mechanism: str  # in capitals
    initial: bytes | None = None

    def __repr__(self) -> str:
        return f"Authenticate(tag={self.tag!r}, mechanism={self.mechanism!r})"


def _parse(tag: bytes, lexer: Lexer) -> Authenticate:
    """Read `` mechanism [initial response]`` (RFC 4959 3)."""
    lexer.space()
    mechanism = lexer.word()
    if not lexer.accept(b" "):
        return Authenticate(tag, mechanism)
    if lexer.accept(b"="):
        return Authenticate(tag, mechanism, b"")
    initial = decode_base64(lexer.remainder())
    if not initial:
        raise CommandFault("Initial response is not base64")
    return Authenticate(tag, mechanism, initial)


class Exchange(UnderWay):
    """AUTHENTICATE between its lines."""

    def __init__(self, sasl: ISaslExchange) -> None:
        self._sasl = sasl

    async def go_on(self, context: Context, event: Continuation) -> Answer | None:
        """Take a line of the exchange; ``*`` cancels (RFC 3501 6.2.2)."""
        assert isinstance(event, SaslResponse)
        if event.data is None:
            context.drop_under_way()
            raise CommandRefused("AUTHENTICATE cancelled", status=b"BAD")
        return await self.step(context, event.data)

    async def step(self, context: Context, response: bytes | None) -> Answer | None:
        """Take a response, None when there was none yet; challenge the client again, or let it in."""
        challenge = await self._sasl.step(response)
        if challenge is not None:
            context.write(responses.continuation(b2a_base64(challenge, newline=False)))
            context.connection.continue_sasl()
            return None
        context.drop_under_way()
        return enter(context, self._sasl.login, "AUTHENTICATE")


async def authenticate(context: Context, command: Authenticate) -> Answer | None:
    """RFC 3501 6.2.2, with an initial response RFC 4959."""
    secure = not context.connection.login_disabled
    if command.mechanism not in context.services.logins.mechanisms(context.mind, secure):
        raise CommandRefused("Unknown authentication mechanism", b"CANNOT")
    exchange = Exchange(context.services.logins.exchange(command.mechanism, IMailUser, context.mind))
    context.under_way = exchange
    return await exchange.step(context, command.initial)


ROWS = (
    CommandRow(
        name=b"AUTHENTICATE",
        states=BEFORE_LOGIN,
        parse=_parse,
        run=authenticate,
        needs=lambda command: ("SASL-IR",) if command.initial is not None else (),
        capabilities=("SASL-IR",),
        secret=True,
    ),
)
