"""What APPEND and REPLACE say of their messages: the text before, between and behind their literals.

A passage is the text from one message literal to the next, or to an end of the command. It is read when its literal has been
announced and before any octet of that is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from mailnode.imap.wire.lexer import CommandFault, Flags, InternalDate, Lexer
from mailnode.imap.wire.literals import LiteralMark


@dataclass(frozen=True, slots=True)
class Begin:
    """A message begins; the one before has ended. ``date`` None: now. ``utf8``: it comes as one with UTF-8 in its header
    (RFC 6855 4)."""

    flags: Flags
    date: InternalDate | None = None
    utf8: bool = False


@dataclass(frozen=True, slots=True)
class Octets:
    """The literal that comes next is of the message. ``size``: octets as announced. ``binary``: of any value, and none of them
    is a line end unless it says so (RFC 3516 4.4). ``part``: one of several of which the message is made (RFC 4469)."""

    size: int
    binary: bool = False
    part: bool = False


@dataclass(frozen=True, slots=True)
class UrlPart:
    """The message goes on with what an IMAP URL names, as the client wrote it (RFC 4469 3)."""

    url: bytes


Step: TypeAlias = Begin | Octets | UrlPart


@dataclass(frozen=True, slots=True)
class Passage:
    """What is to be done, in order. :class:`Octets` is only ever the last; without it the command has ended. ``open``: a
    parenthesis is to be closed behind the literal. ``parts``: the literal is one of the parts of CATENATE. ``alone``: no other
    message may follow (RFC 8508 4.7)."""

    steps: tuple[Step, ...] = ()
    open: bool = False
    parts: bool = False
    alone: bool = False

    @property
    def ends(self) -> bool:
        """Whether the command has ended."""
        return not self.steps or not isinstance(self.steps[-1], Octets)


NOTHING = Passage()


def read_passage(
    lexer: Lexer, mark: LiteralMark | None, behind: Passage | None = None, alone: bool = False
) -> Passage | None:
    """Read a passage.

    :param lexer: behind the mailbox, or the message before. :param mark: of the literal that comes next, cut off the text;
        None where the command ends. :param behind: what stood before the literal that has been read; None: no message has
        come yet, so one must. :param alone: the command has one message.
    :returns: None when the literal that comes next is a URL.
    :raises CommandFault: with BAD or NO.
    """
    return _PassageReader(lexer, mark, alone or (behind is not None and behind.alone)).read(behind)


class _UrlComes(Exception):
    """The literal that comes next is a URL."""


class _PassageReader:
    def __init__(self, lexer: Lexer, mark: LiteralMark | None, alone: bool) -> None:
        self._lexer = lexer
        self._mark = mark
        self._alone = alone
        self._steps: list[Step] = []

    def read(self, behind: Passage | None) -> Passage | None:
        try:
            if behind is not None and behind.open:
                self._lexer.expect(b")")
            if behind is not None and behind.parts:
                found = self._parts(first=False)
                if found is not None:
                    return found
            began = behind is not None
            while True:
                if began and (self._alone or (self._mark is None and self._lexer.peek() != b" ")):
                    return self._end()
                found = self._message(first=not began)
                if found is not None:
                    return found
                began = True
        except _UrlComes:
            return None

    def _end(self) -> Passage:
        self._lexer.end()
        if self._mark is not None:
            raise CommandFault("Missing arguments or misplaced characters")
        return Passage(tuple(self._steps))

    # append-message = [SP flag-list] [SP date-time] SP append-data  # RFC 3502, RFC 4466
    # append-data = literal / literal8 / "UTF8" SP "(" literal8 ")"  # RFC 3516, RFC 6855
    # append-data =/ "CATENATE" SP "(" cat-part *(SP cat-part) ")"  # RFC 4469
    def _message(self, first: bool) -> Passage | None:
        """Read a message as far as its literal; None when it has ended without one."""
        lexer = self._lexer
        lexer.space()
        if not first:
            lexer.accept(b" ")  # IMAPClient 4.1 says two, and may
        flags = Flags()
        if lexer.peek() == b"(":
            flags = lexer.flag_list(recent=True)
            lexer.space()
        date = None
        if lexer.peek() == b'"':
            date = lexer.date_time()
            lexer.space()
        if lexer.accept_word(b"CATENATE ("):
            self._steps.append(Begin(flags, date))
            return self._parts(first=True)
        utf8 = lexer.accept_word(b"UTF8 (")
        self._steps.append(Begin(flags, date, utf8))
        return self._literal(utf8=utf8, part=False)

    # cat-part = "TEXT" SP literal / "URL" SP astring / "UTF8" SP "(" literal8 ")"  # RFC 4469, RFC 6855
    def _parts(self, first: bool) -> Passage | None:
        """Read parts as far as a literal; None when they have ended without one."""
        lexer = self._lexer
        while first or not lexer.accept(b")"):
            if not first:
                lexer.space()
            first = False
            if lexer.accept_word(b"URL "):
                if lexer.at_end and self._mark is not None:
                    raise _UrlComes
                self._steps.append(UrlPart(lexer.astring()))
                continue
            utf8 = lexer.accept_word(b"UTF8 (")
            if not utf8 and not lexer.accept_word(b"TEXT "):
                raise CommandFault("A part is TEXT or URL")
            return self._literal(utf8=utf8, part=True)
        return None

    def _literal(self, *, utf8: bool, part: bool) -> Passage:
        self._lexer.end()
        mark = self._mark
        if mark is None:
            raise CommandFault("A message literal is needed here")
        if utf8 and not mark.binary:
            raise CommandFault("A binary literal is needed here")
        if part and mark.binary and not utf8:
            raise CommandFault("Binary literals are not allowed here")
        self._steps.append(Octets(mark.size, mark.binary and not part, part))
        return Passage(tuple(self._steps), utf8, part, self._alone)
