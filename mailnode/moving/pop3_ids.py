"""POP3 unique-ids of a server that mail is taken from, so that programs which leave mail on the server know it again here."""

from __future__ import annotations

import poplib
import ssl
from collections.abc import Sequence
from typing import NamedTuple

from mailnode.message.sortkeys import own_message_id
from mailnode.moving.imap_client import ImapLogin
from mailnode.moving.imap_link import ImapPlace
from mailnode.moving.model import SourceFailed, SourceMessage

MAX_UIDL = 70  # characters (RFC 1939 7)


class Pop3Message(NamedTuple):
    """A message as POP3 tells of it."""

    number: int
    size: int
    uidl: str


class Pop3Ids:
    """What POP3 calls the messages of an INBOX."""

    def __init__(self, place: ImapPlace, login: ImapLogin) -> None:
        """Log in, and ask for all of it. :raises SourceFailed:"""
        self._place = place
        try:
            self._session = _connected(place)
        except (poplib.error_proto, OSError, ValueError) as error:
            raise SourceFailed(f"POP3 at {place.host}: {_words(error)}") from None
        try:
            self._session.user(login.user)
            self._session.pass_(login.password)
            sizes = dict(_numbers(self._session.list()[1]))
            uidls = [_pair(line) for line in self._session.uidl()[1]]
        except (poplib.error_proto, OSError, ValueError) as error:
            self._session.close()
            raise SourceFailed(f"POP3 at {place.host}: {_words(error)}") from None
        good = [(int(number), uidl) for number, uidl in uidls if number.isdigit() and 0 < len(uidl) <= MAX_UIDL]
        self._messages = [Pop3Message(number, sizes.get(number, 0), uidl) for number, uidl in sorted(good)]
        self._by_uid: dict[int, str] = {}
        self._by_id: dict[tuple[str, int], str] = {}

    def match(self, sizes: Sequence[tuple[int, int]]) -> None:
        """Know which of the messages of INBOX each is: in their order where all sizes agree, else by Message-ID and size.

        :param sizes: UID and octets of each, ascending. :raises SourceFailed:
        """
        if [size for _, size in sizes] == [one.size for one in self._messages]:
            pairs = zip(sizes, self._messages, strict=True)
            self._by_uid = {uid: one.uidl for (uid, _), one in pairs}
            return
        for one in self._messages:
            try:
                header = b"\r\n".join(self._session.top(one.number, 0)[1])
            except (poplib.error_proto, OSError) as error:
                raise SourceFailed(f"POP3 at {self._place.host}: {_words(error)}") from None
            self._by_id[own_message_id(header + b"\r\n\r\n"), one.size] = one.uidl

    def of(self, message: SourceMessage) -> str:
        """Return the unique-id of a message; "": it has none that is known."""
        return self._by_uid.get(message.uid) or self._by_id.get((message.message_id, message.size), "")

    def close(self) -> None:
        """Say goodbye; nothing was marked to be deleted."""
        try:
            self._session.quit()
        except (poplib.error_proto, OSError):
            self._session.close()


def _connected(place: ImapPlace) -> poplib.POP3:
    context = ssl.create_default_context()
    if place.authorities is not None:
        context.load_verify_locations(place.authorities)
    if place.tls == "implicit":
        return poplib.POP3_SSL(place.host, place.port, timeout=place.timeout, context=context)
    session = poplib.POP3(place.host, place.port, timeout=place.timeout)
    if place.tls == "starttls":
        session.stls(context)
    return session


def _pair(line: bytes) -> tuple[str, str]:
    number, _, told = line.decode("ascii", "replace").partition(" ")
    return number, told.strip()


def _numbers(lines: Sequence[bytes]) -> list[tuple[int, int]]:
    pairs = map(_pair, lines)
    return [(int(number), int(size)) for number, size in pairs if number.isdigit() and size.isdigit()]


def _words(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not right: {error.verify_message}"
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return "".join(c if c.isprintable() else "?" for c in said)[:200]
