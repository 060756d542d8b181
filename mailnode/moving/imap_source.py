"""Mail that another server has, by IMAP. A connection that is lost is made anew, and what was under way goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from mailnode.moving.imap_client import ExaminedFolder, ForeignImap, ImapLogin, ListedFolder
from mailnode.moving.imap_link import ImapLink, ImapPlace, ImapRefusal, LinkLost, LiteralTooLarge
from mailnode.moving.model import (
    ContentSink,
    FolderRefused,
    MessageTooLarge,
    MovingClock,
    SourceFailed,
    SourceFolder,
    SourceMessage,
)
from mailnode.moving.pop3_ids import Pop3Ids
from mailnode.moving.written_names import level_names
from mailnode.values.mailbox_name import INBOX

T = TypeVar("T")

LOSSES = 4  # connections that may be lost one after another, without anything that came in between
FIRST_WAIT = 1.0  # seconds before the next connection; twice as many each time
PAGE = 1000  # UIDs that are asked about at first
FEW, MANY = 250, 4000  # messages of an answer: with fewer the next range is larger, with more it is smaller
LAST_UID = 0xFFFF_FFFF
SLACK = 64 * 1024  # octets that a message may have beyond what was said; twice its size too, for line ends
_USES = {
    name.lower(): name
    for name in ["\\All", "\\Archive", "\\Drafts", "\\Flagged", "\\Important", "\\Junk", "\\Sent", "\\Trash"]
}
_NOT_SELECTABLE = frozenset({"\\noselect", "\\nonexistent"})


class ImapSource:
    """A mailbox on another server."""

    def __init__(
        self,
        place: ImapPlace,
        login: ImapLogin,
        clock: MovingClock,
        waits: Callable[[str], None],
        pop3: ImapPlace | None = None,
    ) -> None:
        """:param waits: told why something is waited for. :param pop3: where messages have unique-ids that they keep."""
        whose = login.user.partition("*")[0] or login.user  # whoever logs in for them
        self.name = f"imap {whose}@{place.host}:{place.port}"
        self.losses = 0
        self._place = place
        self._login = login
        self._clock = clock
        self._waits = waits
        self._pop3 = pop3
        self._client: ForeignImap | None = None
        self._opened = b""  # the folder that is open
        self._examined = ExaminedFolder()

    # Connections

    def _connect(self) -> ForeignImap:
        if self._client is None:
            link = ImapLink(self._place)
            try:
                self._client = ForeignImap(link, self._place.tls, self._login)
            except BaseException:
                link.close()
                raise
        return self._client

    def drop(self) -> None:
        """Let go of the connection, in the middle of whatever it is."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def lost(self, error: LinkLost) -> None:
        """Wait before the next connection. :raises SourceFailed: too many were lost."""
        self.drop()
        self.losses += 1
        if self.losses > LOSSES:
            raise SourceFailed(f"{self._place.host}: {error}")
        wait = FIRST_WAIT * 2 ** (self.losses - 1)
        self._waits(f"{self._place.host}: {error}; trying again in {wait:.0f} s")
        self._clock.sleep(wait)

    def retried(self, ask: Callable[[ForeignImap], T]) -> T:
        """Ask, over another connection where one is lost. :raises SourceFailed: :raises ImapRefusal:"""
        while True:
            try:
                answer = ask(self._connect())
            except LinkLost as error:
                self.lost(error)
            else:
                self.losses = 0
                return answer

    # What is read

    def folders(self) -> list[SourceFolder]:
        """All folders that can be opened. :raises SourceFailed:"""
        try:
            listed, (own, others) = self.retried(lambda client: (client.folders(), client.namespaces()))
        except ImapRefusal as refused:
            raise SourceFailed(f"{self._place.host}: it does not list folders: {refused}") from None
        mine = [one for one in listed if not any(prefix and one.name.startswith(prefix) for prefix in others)]
        prefix = own[0] if own else _common_prefix(mine)
        found = [_folder(one, prefix) for one in mine if not one.attributes & _NOT_SELECTABLE]
        return sorted(found, key=lambda one: (one.levels != (INBOX,), one.levels))

    def open(self, folder: SourceFolder) -> ImapReader:
        """Open one. :raises FolderRefused: :raises SourceFailed:"""
        name = folder.key.encode("latin-1")
        if b"\0" in name:
            raise FolderRefused("its name cannot be said to the server")
        try:
            self._opened = name
            examined = self._examined = self.retried(lambda client: client.examine(name))
            ids = self._unique_ids() if folder.levels == (INBOX,) and self._pop3 is not None else None
        except ImapRefusal as refused:
            raise FolderRefused(f"the server says {refused}") from None
        return ImapReader(self, folder.key, examined, ids)

    def _unique_ids(self) -> Pop3Ids | None:
        assert self._pop3 is not None
        ids = Pop3Ids(self._pop3, self._login)
        try:
            ids.match(self.in_folder(lambda client: client.sizes()) if self._examined.messages else [])
        finally:
            ids.close()
        return ids

    def in_folder(self, ask: Callable[[ForeignImap], T]) -> T:
        """Ask about the folder that is open, which is opened again after a loss. :raises SourceFailed: :raises ImapRefusal:"""

        def ask_there(client: ForeignImap) -> T:
            self.be_in_folder(client)
            return ask(client)

        return self.retried(ask_there)

    def be_in_folder(self, client: ForeignImap) -> None:
        """Have the folder open in a connection. :raises SourceFailed: it is another one by now."""
        if client.opened == self._opened:
            return
        examined = client.examine(self._opened)
        if examined.uidvalidity != self._examined.uidvalidity:
            raise SourceFailed("the folder was made anew at the source meanwhile: run this again")

    def connection(self) -> ForeignImap:
        """Return a connection with the folder open. :raises LinkLost:"""
        client = self._connect()
        self.be_in_folder(client)
        return client

    def close(self) -> None:
        """Say goodbye."""
        if self._client is not None:
            self._client.log_out()
            self._client = None


class ImapReader:
    """One open folder."""

    def __init__(self, source: ImapSource, key: str, examined: ExaminedFolder, ids: Pop3Ids | None) -> None:
        self.key = key
        self.uidvalidity = examined.uidvalidity
        self.count = examined.messages
        self._source = source
        self.untold = 0
        self._uidnext = examined.uidnext or LAST_UID
        self._ids = ids

    def pages(self, after: int) -> Iterator[Sequence[SourceMessage]]:
        """Yield what is known of all messages, some at a time. UIDs may be far apart: ranges grow where there are few. A server
        that counts more messages than it tells of is asked for UIDs beyond the last that it said there is."""
        seen = 0
        for first, end in ((1, self._uidnext), (self._uidnext, LAST_UID + 1)):
            if seen < self.count:
                for known in self._pages_between(first, end):
                    seen += len(known)
                    yield known
        if seen < self.count:  # or they were deleted there meanwhile
            self.untold = max(self._source.in_folder(lambda client: client.count()) - seen, 0)

    def _pages_between(self, first: int, end: int) -> Iterator[Sequence[SourceMessage]]:
        width = PAGE
        while first < end:
            last = min(first + width - 1, end - 1)
            known = self._known(first, last)
            if known:
                yield [self._with_uidl(message) for message in known]
            first = last + 1
            width = width * 4 if len(known) < FEW else max(width // 2, 1) if len(known) > MANY else width

    def _known(self, first: int, last: int) -> Sequence[SourceMessage]:
        try:
            return self._source.in_folder(lambda client: client.known(first, last))
        except ImapRefusal as refused:
            raise SourceFailed(f"the server does not tell of messages: {refused}") from None

    def _with_uidl(self, message: SourceMessage) -> SourceMessage:
        return message if self._ids is None else message._replace(uidl=self._ids.of(message))

    def read(self, messages: Sequence[SourceMessage], sink: ContentSink) -> None:
        """Hand over contents: together at first, and one by one what is left after something went wrong."""
        left = {message.uid: message for message in messages}
        try:
            self._read_some(left, sink)
        except LinkLost as error:
            self._source.lost(error)
        except (ImapRefusal, LiteralTooLarge):
            pass
        for uid in list(left):
            self._read_one(left[uid], sink)

    def _read_one(self, message: SourceMessage, sink: ContentSink) -> None:
        """Hand over one; it fails where the connection is lost by it twice."""
        for is_last in (False, True):
            try:
                left = {message.uid: message}
                self._read_some(left, sink)
            except LinkLost as error:
                self._source.lost(error)
                if is_last:
                    sink.fail(message, f"the connection was lost by it: {error}")
            except LiteralTooLarge as error:
                sink.fail(message, str(error))
                return
            except ImapRefusal as refused:
                sink.fail(message, f"the server says {refused}")
                return
            else:
                self._look_after(left, sink)
                return

    def _look_after(self, left: dict[int, SourceMessage], sink: ContentSink) -> None:
        """A message fails of which nothing came though it is there; one that was deleted meanwhile does not."""
        for uid, message in left.items():
            if self._known(uid, uid):
                sink.fail(message, "the server sends nothing of it")

    def _read_some(self, left: dict[int, SourceMessage], sink: ContentSink) -> None:
        """Hand over what comes of these messages, and take it off."""
        came = _Came(sink, max(message.size for message in left.values()))
        client = self._source.connection()
        try:
            for uid, has_content in client.contents(list(left), came):
                message = left.pop(uid, None)
                self._source.losses = 0
                if message is None:
                    continue
                if came.is_too_large:
                    sink.fail(message, "it is larger than messages may be here")
                elif has_content:
                    sink.end(message)
                else:
                    sink.fail(message, "the server has no content of it")
        except LiteralTooLarge as error:
            self._source.drop()
            raise error


class _Came:
    """The content of a message on its way (see ``LiteralSink``)."""

    def __init__(self, sink: ContentSink, largest: int) -> None:
        """:param largest: octets, as the server said of the largest that is due."""
        self.is_too_large = False
        self._sink = sink
        self._largest = largest

    def begin(self, octets: int) -> None:
        """One comes. :raises LiteralTooLarge: it is not what was said."""
        self.is_too_large = False
        if octets > 2 * self._largest + SLACK:
            raise LiteralTooLarge(f"the server sends {octets} octets, and said {self._largest}")
        self._sink.begin()

    def write(self, data: bytes) -> None:
        """Some of it; what is too much is let pass by."""
        if not self.is_too_large:
            try:
                self._sink.write(data)
            except MessageTooLarge:
                self.is_too_large = True


def _folder(one: ListedFolder, prefix: bytes) -> SourceFolder:
    name = one.name
    if name.upper() != INBOX.encode() and prefix and name.startswith(prefix) and len(name) > len(prefix):
        name = name[len(prefix) :]
    levels, oddity = level_names(name.split(one.delimiter) if one.delimiter else [name])
    if len(levels) == 1 and levels[0].upper() == INBOX:
        levels = (INBOX,)
    use = next((_USES[attribute] for attribute in sorted(one.attributes) if attribute in _USES), "")
    return SourceFolder(one.name.decode("latin-1"), levels, use, "\\subscribed" in one.attributes, oddity)


def _common_prefix(folders: Sequence[ListedFolder]) -> bytes:
    """Return what all folders but INBOX begin with, where that is INBOX and a delimiter: nothing but how the server names them."""
    others = [one for one in folders if one.name.upper() != INBOX.encode()]
    prefixes = {one.name[: len(INBOX) + len(one.delimiter)] for one in others}
    if len(prefixes) != 1 or not all(one.delimiter for one in others):
        return b""
    (prefix,) = prefixes
    return prefix if prefix[: len(INBOX)].upper() == INBOX.encode() and prefix.endswith(others[0].delimiter) else b""
