"""The account that mail moves to: what stands there, and what is placed there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias, cast

from mailnode.moving.batch import BatchedMessage
from mailnode.moving.model import SourceMessage, StoreCalls
from mailnode.values.moving import (
    ArrivingMessage,
    ImportNoted,
    MailboxesHere,
    MailboxHere,
    MessageHere,
    MessagesHere,
    MessagesPlaced,
)

FLAGS_TOGETHER = 500  # messages


MessageKey: TypeAlias = tuple[str, int]  # Message-ID, and date of arrival in UTC seconds


def key_of(message: SourceMessage) -> MessageKey:
    """Return what a message is known by before its content is read."""
    return message.message_id, message.internaldate


class StandingMessage(NamedTuple):
    """A message of a mailbox here."""

    uid: int
    flags: frozenset[str]  # names, in lower case
    size: int


class MailboxIndex:
    """The messages of one mailbox here, by what they are known by."""

    def __init__(self, calls: StoreCalls, address: str, mailbox: MailboxHere) -> None:
        self.mailbox = mailbox
        self.uidnext = 1  # all below it is known
        self.by_digest: dict[bytes, StandingMessage] = {}
        self.tops: dict[int, set[int]] = {}  # by octets of whole messages: of what delivery put on top of such
        self._by_key: dict[MessageKey, list[StandingMessage]] = {}
        self._calls = calls
        self._address = address

    def __contains__(self, digest: object) -> bool:
        return digest in self.by_digest

    def catch_up(self) -> None:
        """Know all that stands there now."""
        more = True
        while more:
            page = cast(
                MessagesHere,
                self._calls.call(
                    "moving.messages", address=self._address, mailbox=self.mailbox["id"], after=self.uidnext - 1
                ),
            )
            for one in page["messages"]:
                self._add(one)
            self.uidnext, more = page["uidnext"], page["more"]

    def _add(self, one: MessageHere) -> None:
        flags = frozenset(flag.lower() for flag in one["flags"])
        standing = StandingMessage(one["uid"], flags, one["size"])
        self.by_digest.setdefault(bytes.fromhex(one["digest"]), standing)
        if one["on_top"]:
            self.tops.setdefault(one["size"], set()).add(one["on_top"])
        self._by_key.setdefault((one["message_id"], one["internaldate"]), []).append(standing)

    def placed(self, messages: Sequence[BatchedMessage], uids: Sequence[int], uidnext: int) -> None:
        """Know messages that were placed just now."""
        for one, uid in zip(messages, uids, strict=True):
            flags = frozenset(flag.lower() for flag in one.message.flags)
            self.by_digest[one.digest] = StandingMessage(uid, flags, one.octets)
        self.uidnext = uidnext

    def keys(self) -> frozenset[MessageKey]:
        """What all messages are known by that stood there at first."""
        return frozenset(self._by_key)

    def take(self, message: SourceMessage) -> StandingMessage | None:
        """Return the message here that an earlier run made of one, by Message-ID and date of arrival, and give it to no other.
        Of several the one of its size."""
        some = self._by_key.get(key_of(message))
        if not some:
            return None
        at = next((index for index, one in enumerate(some) if one.size == message.size), 0)
        return some.pop(at)


class ImportTarget:
    """The account that mail moves to."""

    def __init__(self, calls: StoreCalls, address: str) -> None:
        self.address = address
        self._calls = calls

    def mailboxes(self, source: str) -> MailboxesHere:
        """All its mailboxes. :param source: whose notes to tell with them."""
        return cast(MailboxesHere, self._calls.call("moving.mailboxes", address=self.address, source=source))

    def mailbox(self, name: str, special_use: str, subscribe: bool) -> MailboxHere:
        """Return a mailbox, which is made when it is not there."""
        found = self._calls.call(
            "moving.mailbox", address=self.address, name=name, special_use=special_use, subscribe=subscribe
        )
        return cast(MailboxHere, found)

    def index(self, mailbox: MailboxHere) -> MailboxIndex:
        """Return what stands in a mailbox."""
        index = MailboxIndex(self._calls, self.address, mailbox)
        index.catch_up()
        return index

    def keys_elsewhere(self, mailbox: MailboxHere) -> frozenset[MessageKey]:
        """Return what the messages of all other mailboxes are known by."""
        others = [one for one in self.mailboxes("")["mailboxes"] if one["id"] != mailbox["id"] and one["selectable"]]
        return frozenset().union(*(self.index(one).keys() for one in others))

    def place(self, index: MailboxIndex, messages: Sequence[BatchedMessage], content: object) -> MessagesPlaced | None:
        """Place messages; durable when this returns. None: something came into the mailbox meanwhile, and the index knows it
        now: look whether it is one of these. :param content: an open file with their octets."""
        arriving = [
            ArrivingMessage(
                one.octets, one.message.internaldate, one.message.offset, one.message.flags, one.message.uidl
            ).as_text()
            for one in messages
        ]
        done = cast(
            MessagesPlaced,
            self._calls.call(
                "moving.place",
                address=self.address,
                mailbox=index.mailbox["id"],
                seen=index.uidnext,
                messages=arriving,
                content=content,
            ),
        )
        if done["behind"]:
            index.catch_up()
            return None
        index.placed(messages, done["uids"], done["uidnext"])
        return done

    def add_flags(self, index: MailboxIndex, flags: Mapping[int, Iterable[str]]) -> None:
        """Add flags to messages, by UID."""
        texts = [" ".join([str(uid), *names]) for uid, names in sorted(flags.items())]
        for at in range(0, len(texts), FLAGS_TOGETHER):
            some = texts[at : at + FLAGS_TOGETHER]
            self._calls.call("moving.flags", address=self.address, mailbox=index.mailbox["id"], messages=some)

    def note(self, index: MailboxIndex, source: str, text: str) -> None:
        """Keep a text about a mailbox for the next run."""
        told = self._calls.call(
            "moving.note", address=self.address, mailbox=index.mailbox["id"], source=source, text=text
        )
        assert cast(ImportNoted, told)["noted"] == text
