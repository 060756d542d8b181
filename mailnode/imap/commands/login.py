"""LOGIN (RFC 3501 6.2.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mailnode.imap.answers import Answer
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.row import BEFORE_LOGIN, CommandRow
from mailnode.imap.wire import responses
from mailnode.imap.wire.command import Command
from mailnode.imap.wire.lexer import Lexer
from mailnode.interfaces.sessions import ILogin, IMailUser


# login = "LOGIN" SP userid SP password; each an astring
@dataclass(frozen=True, slots=True)
class Login(Command):
    """RFC 3501 6.2.3. Not given while LOGINDISABLED holds."""

    verb: ClassVar[str] = "LOGIN"
    user: bytes
    password: bytes

    def __repr__(self) -> str:
        return f"Login(tag={self.tag!r}, user={self.user!r})"


def _parse(tag: bytes, lexer: Lexer) -> Login:
    """Read `` userid password``."""
    lexer.space()
    user = lexer.astring()
    lexer.space()
    return Login(tag, user, lexer.astring())


async def login(context: Context, command: Login) -> Answer:
    """RFC 3501 6.2.3."""
    found = await context.services.logins.password(command.user, command.password, IMailUser, context.mind)
    return enter(context, found, "LOGIN")


def enter(context: Context, found: ILogin, verb: str) -> Answer:
    """Enter the authenticated state by what LOGIN or AUTHENTICATE found; return its answer."""
    context.logged_in(found)
    return Answer(f"{verb} completed", responses.capability(context.capabilities()))


ROWS = (CommandRow(name=b"LOGIN", states=BEFORE_LOGIN, parse=_parse, run=login, secret=True),)
