"""Writes the mail of an account to files: to a Maildir, to mboxes or to a tar."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Protocol, cast

from mailnode.moving.batch import in_batches
from mailnode.moving.importing import MovingProgress
from mailnode.moving.model import StoreCalls
from mailnode.moving.report import ExportReport
from mailnode.values.moving import ContentsRead, MailboxesHere, MailboxHere, MessageHere, MessagesHere

PIECE = 256 * 1024  # octets read at once


class MailboxWriter(Protocol):
    """Takes the messages of one mailbox."""

    def has(self, message: MessageHere) -> bool:
        """Whether it is there from an earlier run; its flags are made those of now."""

    def add(self, message: MessageHere, content: Iterator[bytes], octets: int) -> None:
        """Write one. :raises OSError:"""

    def close(self) -> None:
        """All of it is there. :raises OSError:"""


class OutgoingTarget(Protocol):
    """Where mail goes."""

    def open(self, mailbox: MailboxHere) -> MailboxWriter:
        """Begin a mailbox. :raises OSError:"""

    def finish(self) -> None:
        """All mailboxes are there. :raises OSError:"""

    def give_up(self) -> None:
        """Leave nothing half written."""


class MailExport:
    """One run."""

    def __init__(self, calls: StoreCalls, address: str, target: OutgoingTarget, progress: MovingProgress) -> None:
        self._calls = calls
        self._address = address
        self._target = target
        self._progress = progress

    def run(self, where: str, only: frozenset[str]) -> ExportReport:
        """Write everything. :param where: what the report calls it. :param only: names of mailboxes; none: all. :raises OSError:"""
        told: ExportReport = {
            "address": self._address,
            "target": where,
            "mailboxes": 0,
            "messages": 0,
            "written": 0,
            "damaged": 0,
        }
        try:
            here = cast(MailboxesHere, self._calls.call("moving.mailboxes", address=self._address, source=""))
            for mailbox in here["mailboxes"]:
                if mailbox["selectable"] and (not only or mailbox["name"] in only):
                    self._write(mailbox, told)
            self._target.finish()
        except BaseException:
            self._target.give_up()
            raise
        self._progress.end()
        return told

    def _write(self, mailbox: MailboxHere, told: ExportReport) -> None:
        self._progress.folder(mailbox["name"], mailbox["messages"])
        writer = self._target.open(mailbox)
        told["mailboxes"] += 1
        for page in self._pages(mailbox):
            new = [message for message in page if not writer.has(message)]
            told["messages"] += len(page)
            self._progress.done(len(page) - len(new))
            for some in in_batches(new, lambda message: message["size"]):
                self._write_some(mailbox, some, writer, told)
                self._progress.done(len(some))
        writer.close()

    def _pages(self, mailbox: MailboxHere) -> Iterator[Sequence[MessageHere]]:
        after, more = 0, True
        while more:
            page = cast(
                MessagesHere,
                self._calls.call("moving.messages", address=self._address, mailbox=mailbox["id"], after=after),
            )
            yield page["messages"]
            after, more = page["uidnext"] - 1, page["more"]

    def _write_some(
        self, mailbox: MailboxHere, messages: Sequence[MessageHere], writer: MailboxWriter, told: ExportReport
    ) -> None:
        with tempfile.TemporaryFile() as file:
            uids = [str(message["uid"]) for message in messages]
            read = cast(
                ContentsRead,
                self._calls.call("moving.read", address=self._address, mailbox=mailbox["id"], uids=uids, content=file),
            )
            for message, octets in zip(messages, read["octets"], strict=True):
                if octets < 0:
                    told["damaged"] += 1
                    told["messages"] -= 1
                    continue
                writer.add(message, _pieces(file, octets), octets)
                told["written"] += 1


def _pieces(file: BinaryIO, octets: int) -> Iterator[bytes]:
    left = octets
    while left:
        piece = file.read(min(left, PIECE))
        left -= len(piece)
        yield piece
