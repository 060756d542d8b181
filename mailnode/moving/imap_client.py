"""What is asked of an IMAP server that mail is taken from. Nothing is changed there: folders are opened by EXAMINE, messages read
by BODY.PEEK (RFC 9051 6.3.3 and 6.4.5)."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mailnode.message.dates import parse_date
from mailnode.message.sortkeys import own_message_id
from mailnode.moving.imap_grammar import DataReply, Item, StatusReply
from mailnode.moving.imap_link import ImapLink, ImapRefusal, LinkLost, LiteralSink
from mailnode.moving.model import SourceFailed, SourceMessage

MAX_FOLDERS = 50_000
MAX_PAGE = 100_000  # messages of one answer
KNOWN = "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])"


class ListedFolder(NamedTuple):
    """A folder as LIST tells of it."""

    name: bytes
    delimiter: bytes  # b"": there are no levels
    attributes: frozenset[str]  # in lower case


@dataclass(slots=True)
class ExaminedFolder:
    """A folder that was opened."""

    messages: int = 0
    uidvalidity: int = 0
    uidnext: int = 0  # 0: the server does not say


@dataclass(frozen=True, slots=True)
class ImapLogin:
    """Who logs in."""

    user: str
    password: str = field(repr=False)


class ForeignImap:
    """A connection that has logged in. Every method may raise :class:`LinkLost`."""

    def __init__(self, link: ImapLink, secure: str, login: ImapLogin) -> None:
        """Greet, go on with TLS where that is to be done, and log in. :raises SourceFailed: it cannot be."""
        self._link = link
        self.capabilities: frozenset[str] = frozenset()
        self.opened: bytes | None = None  # the folder
        greeted = link.greeting()
        if secure == "starttls":
            self._ask_capabilities()
            if "STARTTLS" not in self.capabilities:
                raise SourceFailed("the server offers no STARTTLS")
            self._done("STARTTLS")
            link.start_tls()
        if greeted.status != "PREAUTH":
            self._log_in(login)
        self._ask_capabilities()

    def _done(self, *words: bytes | str, answers: Sequence[bytes] = ()) -> list[DataReply | StatusReply]:
        return list(self._link.command(*words, answers=answers))

    def _ask_capabilities(self) -> None:
        for reply in self._link.command("CAPABILITY"):
            if isinstance(reply, DataReply) and reply.word == "CAPABILITY":
                self.capabilities = frozenset(_text(item).upper() for item in reply.items)

    def _log_in(self, login: ImapLogin) -> None:
        self._ask_capabilities()
        user, password = login.user.encode(), login.password.encode()
        try:
            if "AUTH=PLAIN" in self.capabilities:
                plain = base64.b64encode(b"\0" + user + b"\0" + password)
                self._done("AUTHENTICATE", "PLAIN", answers=(plain,))
            elif "LOGINDISABLED" in self.capabilities:
                raise SourceFailed("the server takes no password over this connection: try --tls starttls or implicit")
            else:
                self._done("LOGIN", user, password)
        except ImapRefusal as refused:
            raise SourceFailed(f"{login.user}: the login is refused: {refused}") from None

    def folders(self) -> list[ListedFolder]:
        """All folders, with what is known of their use and whether somebody subscribed to them. :raises ImapRefusal:"""
        words: tuple[bytes | str, ...] = "LIST", b"", b"*"
        extended = "LIST-EXTENDED" in self.capabilities
        if extended:
            use = " SPECIAL-USE" if "SPECIAL-USE" in self.capabilities else ""
            words = (*words, "RETURN", f"(SUBSCRIBED{use})")
        found = self._listed("LIST", *words)
        if extended:
            return found
        subscribed = {one.name for one in self._listed("LSUB", "LSUB", b"", b"*")}
        return [
            one._replace(attributes=one.attributes | {"\\subscribed"}) if one.name in subscribed else one
            for one in found
        ]

    def _listed(self, answer: str, *words: bytes | str) -> list[ListedFolder]:
        found: list[ListedFolder] = []
        for reply in self._link.command(*words):
            if not isinstance(reply, DataReply) or reply.word != answer or len(reply.items) < 3:
                continue
            attributes, delimiter, name = reply.items[:3]
            if isinstance(attributes, list) and isinstance(name, bytes):
                told = frozenset(_text(one).lower() for one in attributes)
                found.append(ListedFolder(name, delimiter if isinstance(delimiter, bytes) else b"", told))
            if len(found) > MAX_FOLDERS:
                raise LinkLost(f"it has more than {MAX_FOLDERS} folders")
        return found

    def namespaces(self) -> tuple[list[bytes], list[bytes]]:
        """The prefixes of one's own folders, and of those of others (RFC 2342); none where it is not told."""
        if "NAMESPACE" not in self.capabilities:
            return [], []
        for reply in self._done("NAMESPACE"):
            if isinstance(reply, DataReply) and reply.word == "NAMESPACE" and len(reply.items) >= 3:
                own, others, shared = map(_prefixes, reply.items[:3])
                return own, [*others, *shared]
        return [], []

    def examine(self, name: bytes) -> ExaminedFolder:
        """Open a folder to read it. :raises ImapRefusal:"""
        folder = ExaminedFolder()
        self.opened = None
        for reply in self._link.command("EXAMINE", name):
            if isinstance(reply, DataReply) and reply.word == "EXISTS":
                folder.messages = _number(reply.items[0])
            elif isinstance(reply, StatusReply) and reply.code[:1] == ("UIDVALIDITY",) and len(reply.code) == 2:
                folder.uidvalidity = _number(reply.code[1].encode())
            elif isinstance(reply, StatusReply) and reply.code[:1] == ("UIDNEXT",) and len(reply.code) == 2:
                folder.uidnext = _number(reply.code[1].encode())
        self.opened = name
        return folder

    def count(self) -> int:
        """How many messages the open folder has now. :raises ImapRefusal:"""
        assert self.opened is not None
        return self.examine(self.opened).messages

    def known(self, first: int, last: int) -> list[SourceMessage]:
        """What is known of the messages with UIDs from the first to the last, ascending. :raises ImapRefusal:"""
        found: dict[int, SourceMessage] = {}
        for attributes in self._fetched("UID", "FETCH", f"{first}:{last}", KNOWN):
            message = _message(attributes)
            if message is not None and first <= message.uid <= last:
                found[message.uid] = message
            if len(found) > MAX_PAGE:
                raise LinkLost("it tells of more messages than it was asked for")
        return [found[uid] for uid in sorted(found)]

    def sizes(self) -> list[tuple[int, int]]:
        """UID and octets of every message, ascending. :raises ImapRefusal:"""
        found = [
            (_number(one.get("UID")), _number(one.get("RFC822.SIZE")))
            for one in self._fetched("FETCH", "1:*", "(UID RFC822.SIZE)")
        ]
        return sorted(found)

    def contents(self, uids: Sequence[int], sink: LiteralSink) -> Iterator[tuple[int, bool]]:
        """Read messages; yield the UID of each after its content, and whether there was any. :raises ImapRefusal:
        :raises LiteralTooLarge:"""
        words = "UID", "FETCH", ",".join(map(str, uids)), "(UID BODY.PEEK[])"
        for attributes in self._fetched(*words, sink=sink):
            if "UID" in attributes and "BODY[]" in attributes:
                body = attributes["BODY[]"]
                if isinstance(body, bytes):  # a string in place of a literal
                    sink.begin(len(body))
                    sink.write(body)
                yield _number(attributes["UID"]), body is not None

    def _fetched(self, *words: bytes | str, sink: LiteralSink | None = None) -> Iterator[dict[str, Item]]:
        for reply in self._link.command(*words, sink=sink):
            if isinstance(reply, DataReply) and reply.word == "FETCH" and len(reply.items) == 2:
                pairs = reply.items[1]
                if isinstance(pairs, list):
                    yield {_text(key).upper(): value for key, value in zip(pairs[::2], pairs[1::2], strict=False)}

    def log_out(self) -> None:
        """Say goodbye, and wait for no answer: there may be much on its way that nobody wants any more."""
        self._link.say_goodbye()

    def close(self) -> None:
        """End the connection as it is."""
        self._link.close()


def _message(attributes: dict[str, Item]) -> SourceMessage | None:
    uid = _number(attributes.get("UID"))
    if not uid:
        return None
    flags = attributes.get("FLAGS")
    arrived = attributes.get("INTERNALDATE")
    date = parse_date(arrived) if isinstance(arrived, bytes) else None
    header = next((value for key, value in attributes.items() if key.startswith("BODY[HEADER.FIELDS")), None)
    return SourceMessage(
        uid,
        _number(attributes.get("RFC822.SIZE")),
        tuple(_text(flag) for flag in flags) if isinstance(flags, list) else (),
        max(date[0] // 1_000_000, 0) if date else 0,
        date[1] if date else 0,
        own_message_id(header) if isinstance(header, bytes) else "",
    )


def _text(item: Item) -> str:
    return item.decode("utf-8", "replace") if isinstance(item, bytes) else ""


def _number(item: Item) -> int:
    """Return a number; 0 for what is none."""
    return int(item) if isinstance(item, bytes) and item.isdigit() and len(item) <= 19 else 0


def _prefixes(item: Item) -> list[bytes]:
    if not isinstance(item, list):
        return []
    return [one[0] for one in item if isinstance(one, list) and one and isinstance(one[0], bytes)]
