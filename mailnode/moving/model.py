"""What mail that moves in is taken from: folders and messages of a source, whatever its kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class SourceFailed(Exception):
    """The source cannot be read any further; the text is for a person."""


class FolderRefused(Exception):
    """One folder of the source cannot be read; the text is for a person."""


@dataclass(frozen=True, slots=True)
class SourceFolder:
    """A folder of a source."""

    key: str  # what the source knows it by
    levels: tuple[str, ...]  # its name, outermost level first
    special_use: str = ""  # an attribute of RFC 6154
    subscribed: bool = False
    oddity: str = ""  # what of its name could not be read, in words


class SourceMessage(NamedTuple):
    """A message of a folder, as far as it is known before its content is read."""

    uid: int  # ascending within the folder; kept by the source only where the folder has a UIDVALIDITY
    size: int  # octets, as the source says; 0: not known
    flags: tuple[str, ...]  # names, keywords included
    internaldate: int  # UTC seconds
    offset: int = 0  # minutes east
    message_id: str = ""  # without brackets; "" where there is none, or it is not known before the content is read
    uidl: str = ""  # POP3 unique-id, "" where it is not known


class ContentSink(Protocol):
    """Takes the contents of messages, one after another."""

    def begin(self) -> None:
        """A message comes; what came of one that did not end is forgotten."""

    def write(self, data: bytes) -> None:
        """Some of it. :raises MessageTooLarge:"""

    def end(self, message: SourceMessage) -> None:
        """It has ended, and was this one."""

    def fail(self, message: SourceMessage, why: str) -> None:
        """It cannot be had. :param why: for a person."""


class MessageTooLarge(Exception):
    """A message has more octets than are taken."""


class SourceReader(Protocol):
    """One open folder of a source."""

    key: str  # of the folder
    uidvalidity: int  # 0: its UIDs say nothing at the next time
    count: int  # messages
    untold: int  # of them, that the source tells nothing of; known when all pages were read

    def pages(self, after: int) -> Iterator[Sequence[SourceMessage]]:
        """Yield all messages, ascending by UID, some at a time. :param after: those up to this UID are known: what they are is
        told, their content is not asked for. :raises SourceFailed:"""

    def read(self, messages: Sequence[SourceMessage], sink: ContentSink) -> None:
        """Hand over the contents of messages; those that are gone meanwhile are left out. :raises SourceFailed:"""


class IncomingSource(Protocol):
    """Where mail comes from."""

    name: str  # one line that stays the same from run to run

    def folders(self) -> list[SourceFolder]:
        """All folders. :raises SourceFailed:"""

    def open(self, folder: SourceFolder) -> SourceReader:
        """Open one; it is valid until the next is opened. :raises FolderRefused: :raises SourceFailed:"""

    def close(self) -> None:
        """Let go of it."""


class StoreCalls(Protocol):
    """Operations on the store here, by name. What fails for good is raised; what may pass is waited for."""

    def call(self, name: str, /, **arguments: object) -> object:
        """Do one; asked twice it does no more than once."""


class MovingClock(Protocol):
    """Time, for who moves mail: a command that may wait."""

    def monotonic(self) -> float:
        """Seconds from any moment on, which never step."""

    def sleep(self, seconds: float) -> None:
        """Wait."""
