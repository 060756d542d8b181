"""IMAP: the connection, the arguments of every command, whole sessions; and what stands in mailbox names and URLs."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from imap_dialogs import Answering, connect
from imap_world import NothingShared, Plain, World

from mailnode.errors import AuthenticationFailed, BadMailboxName, NoSuchAccount
from mailnode.imap.commands.table import TABLE
from mailnode.imap.messages.urls import read_url
from mailnode.imap.wire.command import ImapState
from mailnode.imap.wire.lexer import CommandFault, Lexer
from mailnode.imap.wire.limits import ImapLimits
from mailnode.imap.wire.literals import literal_mark
from mailnode.imap.wire.names import Patterns, decode_utf8_name
from mailnode.imap.wire.uploads import read_passage
from mailnode.message.modified_utf7 import decode_name, encode_name
from mailnode.net.no_reactor import CallingThread, run_now
from mailnode.store.blobs.local import LocalBlobs
from mailnode.store.engines.sqlite import SqliteEngine
from mailnode.store.facades.mail_store import MailStore
from mailnode.values.mailbox_name import mailbox_name
from mailnode.values.sets import SeqSet, compress, select
from tests.fuzz.target import Target, each, pieces, variant
from tests.fuzz.watched import watched

LIMITS = ImapLimits(line=1000, literals=700, line_before_login=500, literals_before_login=300, message=5000)
MOST_MESSAGES = 40  # in the account: each COPY of all doubles them
STATES = (ImapState.NOT_AUTHENTICATED, ImapState.AUTHENTICATED, ImapState.SELECTED)

MAILS = (
    b"From: Al <a@x.test>\r\nTo: b@y.test\r\nSubject: =?utf-8?q?h=C3=A9llo?=\r\nDate: Mon, 1 Jan 2024 00:00:00 +0100\r\n"
    b"Message-ID: <1@x>\r\n\r\nhello world\r\n",
    b"Subject: Re: hello\r\nReferences: <1@x>\r\nIn-Reply-To: <1@x>\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\n"
    b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+aGVsbG88L2I+\r\n--b\r\n"
    b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nbody\r\n--b--\r\n",
    b"\r\nno header\r\n",
)

# One of each command at least: without its tag.
COMMANDS = each(
    b"""
SETACL INBOX bob +lrs
DELETEACL INBOX bob
GETACL INBOX
LISTRIGHTS INBOX bob
MYRIGHTS INBOX
AUTHENTICATE PLAIN
AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==
CANCELUPDATE "a"
CAPABILITY
CLOSE
UNSELECT
COMPRESS DEFLATE
COPY 1:2 Archive
UID COPY 1,3:* INBOX
CREATE Work/2024 (USE (\\Archive))
DELETE Archive
ENABLE CONDSTORE UTF8=ACCEPT
ENABLE UIDONLY
EXPUNGE
UID EXPUNGE 1:*
FETCH 1:* (FLAGS UID BODY.PEEK[HEADER.FIELDS (From To)]<0.20> MODSEQ PREVIEW (LAZY))
UID FETCH 2 (BODY[1.TEXT] BODY[3.HEADER] BINARY[2] BINARY.SIZE[2] ENVELOPE BODYSTRUCTURE) (CHANGEDSINCE 1 VANISHED)
FETCH $ FULL
ID ("name" "x" "version" NIL)
IDLE
LIST (SUBSCRIBED REMOTE) "" (INBOX "*") RETURN (CHILDREN STATUS (MESSAGES UNSEEN))
LIST "" *%*
LOGIN alice secret
LOGIN {5}\r\nalice {6+}\r\nsecret
LOGOUT
LSUB "" *
GETMETADATA (MAXSIZE 100 DEPTH infinity) INBOX (/private/comment)
SETMETADATA INBOX (/private/comment "x" /private/y NIL)
MOVE 1 Archive
UID MOVE 1 Archive
ESEARCH IN (personal subtree (INBOX) mailboxes "a") RETURN (COUNT) UNSEEN
NAMESPACE
NOOP
CHECK
NOTIFY SET STATUS (SELECTED (MessageNew (UID) MessageExpunge)) (PERSONAL (MailboxName))
NOTIFY NONE
GETQUOTA ""
GETQUOTAROOT INBOX
SETQUOTA "" (STORAGE 512)
RENAME Archive Old
SEARCH RETURN (MIN MAX ALL COUNT SAVE PARTIAL 1:5) CHARSET UTF-8 OR (SUBJECT hello NOT SEEN) TEXT "w\xc3\xb6rld"
UID SEARCH FUZZY BODY helo SINCE 1-Jan-2024 LARGER 10 KEYWORD $Junk HEADER X-A "" MODSEQ 5 YOUNGER 100 UID 1:*
SEARCH RETURN (UPDATE) FROM a UNDELETED SENTBEFORE 1-Feb-2025 $
SEARCH RETURN (RELEVANCY ALL) FUZZY SUBJECT hello
SORT RETURN (ALL) (RELEVANCY REVERSE FROM) UTF-8 FUZZY TEXT "helo wrld"
SELECT INBOX (CONDSTORE)
SELECT INBOX (QRESYNC (1 5 1:10 (1,2 3,4)))
SELECT {5+}\r\nINBOX
EXAMINE INBOX
SORT (REVERSE DATE SUBJECT) UTF-8 ALL
UID SORT RETURN (COUNT) (ARRIVAL SIZE) US-ASCII FROM x
STARTTLS
STATUS INBOX (MESSAGES UIDNEXT HIGHESTMODSEQ SIZE DELETED)
STORE 1 +FLAGS.SILENT (\\Seen $Junk)
UID STORE 1:* (UNCHANGEDSINCE 2) FLAGS ()
SUBSCRIBE a
UNSUBSCRIBE a
THREAD REFERENCES UTF-8 ALL
UID THREAD ORDEREDSUBJECT US-ASCII SUBJECT x
UIDBATCHES 10
UNAUTHENTICATE
APPEND INBOX (\\Seen) "01-Jan-2024 00:00:00 +0000" {6+}\r\na: b\r\n
APPEND INBOX UTF8 (~{6+}\r\na: b\r\n) (\\Draft) {0+}\r\n
APPEND INBOX CATENATE (URL "/INBOX/;UID=1/;SECTION=HEADER" TEXT {4+}\r\nbody URL {15+}\r\n/INBOX/;UID=100)
REPLACE 1 INBOX {4+}\r\na: b
UID REPLACE 1 INBOX (\\Seen) {4+}\r\na: b
"""
)
WORDS = (
    *b'  ( ) " \\ 1:* * $ 1,$ 4294967295 &AOk- &- % NIL UID BODY.PEEK[ ]<0.4294967295> 1.2.3 MIME INBOX / a1 \\Seen'.split(
        b" "
    ),
    *each(
        b"""
 RETURN (
 RETURN ()
 CHARSET UTF-8
 NOT
 OR
 (
HEADER.FIELDS.NOT (
{3+}\r\nabc
{3}\r\n
~{3+}\r\na\0b
{4294967296+}\r\n
\r\n
\r\nDONE\r\n
 UTF8 (~{3+}\r\na: )
 CATENATE (URL "/a;UID=1")
=\r\n
*\r\n
AGFsaWNlAHNlY3JldA==\r\n
zz NOOP\r\n
\xc3\xa9
\xff
"""
    ),
)


def _connected(state: ImapState, secure: bool, utf8: bool, refuse: bool, octets: Any) -> Answering:
    side = Answering(connect(state, secure, LIMITS), refuse_append=refuse)
    if utf8:
        side.connection.accept_utf8()
    for piece in octets:
        if side.closed:
            break
        side.feed(piece)
        assert side.connection.buffered <= LIMITS.sasl_line + len(piece)
    return side


def connection(data: bytes) -> None:
    """Feed a connection, whole and in pieces: both come to the same."""
    bits, stream = variant(data)
    state, secure = STATES[bits % 3], not bits & 64
    whole, cut = (
        _connected(state, secure, bool(bits & 32), bool(bits & 16), octets) for octets in ([stream], pieces(stream))
    )
    if secure:  # what comes ahead of TLS is forgotten
        assert repr(cut.seen) == repr(whole.seen)
        assert cut.connection.state is whole.connection.state


def command(data: bytes) -> None:
    """Read a command with its literals in place."""
    bits, line = variant(data)
    name = max((name for name in TABLE if line.upper().startswith(name)), key=len, default=b"")
    if not name:
        return
    row, rest = TABLE[name], line[len(name) :]
    utf8 = bool(bits & 1)
    if row.parse_streamed is not None:
        end = line.find(b"\r\n")
        mark = literal_mark(line[: end if end >= 0 else len(line)])
        if mark is not None:
            row.parse_streamed(b"t", Lexer(line[: mark.start], len(name), utf8), mark)
    lexer = Lexer(b"t " + line, len(line) - len(rest) + 2, utf8)
    read = row.parse(b"t", lexer)
    lexer.end()
    assert read.verb == name.decode().removeprefix("UID ")
    assert len(repr(read)) < 40 * len(data) + 2000


@cache
def _engine() -> tuple[SqliteEngine, Path]:
    """One store in memory for all runs: to make one takes twenty times as long as a run."""
    engine = SqliteEngine(None, 1)
    run_now(engine.start())
    return engine, Path(tempfile.mkdtemp())


def _account(world: World) -> Any:
    engine, folder = _engine()
    blobs = LocalBlobs(folder, CallingThread(), world.clock)
    store = world.store = MailStore(engine, blobs, world.hints, world.clock)
    run_now(store.remove("acc"))
    run_now(store.provision("acc", 0, MOST_MESSAGES))
    return store.account("acc")


class AnyText(Plain):
    """Takes what is none of PLAIN for a wrong password."""

    async def step(self, response: bytes | None) -> bytes | None:
        if response is not None and response.count(b"\0") != 2:
            raise AuthenticationFailed
        return await super().step(response)


class Sharing(NothingShared):
    """Nobody else is there."""

    async def shown(self, identifier: str) -> str:
        raise NoSuchAccount(identifier)

    async def give_rights(self, *_: object) -> None:
        raise NoSuchAccount


def session(data: bytes) -> None:
    """Feed a session on the pump, with mail and a mailbox selected: nothing unforeseen is met, every response is a line."""
    bits, stream = variant(data)
    with watched():
        world = World(_account, sharing=Sharing())
        world.logins.exchange = lambda mechanism, interface, mind: AnyText(world.logins, mind)
        for mail in MAILS:
            world.put(mail)
        world.logins.hidden = "CONDSTORE ESEARCH SEARCH=FUZZY" if bits & 4 else ""
        client = world.connect(login=not bits & 9, select="INBOX" if not bits & 11 else "", secure=not bits & 8)
        for piece in [stream] if bits & 128 else pieces(stream):
            if client.closed:
                break
            client.send(piece)
            world.clock.advance(0.01)
        heard = client.received()
        assert client.pump.compressed or heard.endswith(b"\r\n") or not heard, heard[-80:]
        client.lose()
        world.clock.advance(4000)
    assert world.logins.standing == 0


def name(data: bytes) -> None:
    """Read a mailbox name, in both ways, and write what was read."""
    text = decode_name(data)
    if text is not None:
        assert encode_name(text) == data
    for found in (text, decode_utf8_name(data)):
        if found is not None:
            try:
                canonical = mailbox_name(found)
            except BadMailboxName:
                continue
            assert mailbox_name(canonical) == canonical
            assert decode_name(encode_name(canonical)) == canonical


def patterns(data: bytes) -> None:
    """Match a name with patterns: each alone says what all say together."""
    text, *given = data.decode("utf-8", "replace").split("\n")
    try:
        canonical = mailbox_name(text)
    except BadMailboxName:
        return
    together = Patterns("", given).match(canonical)
    assert together == any(Patterns("", [one]).match(canonical) for one in given)


def url(data: bytes) -> None:
    """Read an IMAP URL."""
    found = read_url(data)
    assert found is None or found.uid > 0


def message_set(data: bytes) -> None:
    """Read a set, and look for messages with it: no more are found than there are."""
    read = Lexer(data).sequence_set(SeqSet)
    uids = list(range(1, 60, 3))
    spans = read.concrete(uids[-1])
    assert all(low <= high for low, high in spans)
    found = select(uids, spans)
    assert found == sorted(set(found))
    if found:
        again = Lexer(compress(found).encode()).sequence_set(SeqSet)
        assert select(uids, again.concrete(uids[-1])) == found


def passage(data: bytes) -> None:
    """Read what stands before and between the messages of APPEND."""
    bits, text = variant(data)
    mark = literal_mark(text)
    read_passage(Lexer(text if mark is None else text[: mark.start]), mark, None, bool(bits & 1))


TARGETS = (
    Target(
        "imap_connection",
        connection,
        tuple(bytes([bits]) + b"a " + line + b"\r\nb NOOP\r\n" for bits in (0, 1, 2, 18, 34, 64) for line in COMMANDS),
        words=WORDS,
    ),
    Target("imap_command", command, tuple(b"\0" + line for line in COMMANDS), errors=(CommandFault,), words=WORDS),
    Target(
        "imap_session",
        session,
        (
            *(bytes([bits]) + b"a " + line + b"\r\nb NOOP\r\n" for bits in (0, 2, 4) for line in COMMANDS),
            b"\10a STARTTLS\r\nb LOGIN alice secret\r\n",
            b"\0a SELECT INBOX\r\na STORE 1:* +FLAGS (\\Deleted)\r\na EXPUNGE\r\na IDLE\r\nDONE\r\nb LOGOUT\r\n",
            b"\1a AUTHENTICATE PLAIN\r\nAGFsaWNlAHNlY3JldA==\r\nb SELECT INBOX\r\nc FETCH 1 BODY[]\r\n",
        ),
        words=(*WORDS, *(b"b " + line + b"\r\n" for line in COMMANDS)),
    ),
    Target(
        "imap_name",
        name,
        (b"INBOX", b"&AOk-t&AOk-", b"a&-b", b"&2D3eAA-", b"\xc3\xa9/x"),
        words=(b"&", b"-", b"/", b"&AOk-", b"&ZeVnLIqe-"),
    ),
    Target(
        "imap_patterns",
        patterns,
        (b"a/b/c\n*%*%*c\n%/%\nINBOX*", b"INBOX/x\ninbox%\n*"),
        words=(b"*", b"%", b"/", b"\n", b"a", b"INBOX"),
    ),
    Target(
        "imap_url",
        url,
        (b"/INBOX;UIDVALIDITY=1/;UID=20/;SECTION=1.2.MIME/;PARTIAL=0.1024", b"/a%20b/;UID=1", b"//host/INBOX;UID=1"),
        words=(b";UID=", b";SECTION=", b";PARTIAL=", b"%41", b"%", b"/", b"HEADER", b"?", b"4294967296"),
    ),
    Target(
        "imap_set",
        message_set,
        (b"1:*", b"*:4,5:7,1", b"4294967295,$", b"1,2,3,7:10"),
        errors=(CommandFault,),
        words=(b",", b":", b"*", b"$", b"1"),
    ),
    Target(
        "imap_passage",
        passage,
        (
            b'\0 (\\Seen) "01-Jan-2024 00:00:00 +0000" {5+}',
            b"\0 UTF8 (~{5+}",
            b"\0 CATENATE (URL a TEXT {5}",
            b"\1 {0}",
        ),
        errors=(CommandFault,),
        words=WORDS,
    ),
)
