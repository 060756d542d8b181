"""One connection to an IMAP server that mail is taken from: commands out, answers in, in bounded memory. Blocks."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from mailnode.moving.imap_grammar import (
    ContinueReply,
    DataReply,
    GrammarFault,
    Literal,
    Reply,
    StatusReply,
    StreamedLiteral,
    literal_mark,
    parse_reply,
    text_for_people,
    without_mark,
)
from mailnode.moving.model import SourceFailed

PIECE = 64 * 1024  # octets read at once
MAX_LINE = 1024 * 1024  # octets of one line
MAX_HELD = 4 * 1024 * 1024  # octets of one answer, but for what is handed over as it comes
MAX_LITERAL = 256 * 1024  # octets of a literal that is kept in memory
CONNECT = 30.0  # seconds
MAX_ATOM = 1000  # octets of a quoted string; longer ones are literals


class LinkLost(Exception):
    """The connection is gone, or cannot be gone on with; the text is for a person."""


class LiteralTooLarge(Exception):
    """The server sends far more than it said, or than anybody asked for."""


class ImapRefusal(Exception):
    """The server says NO or BAD; the text is its own."""


class LiteralSink(Protocol):
    """Takes the literal of a message as it comes."""

    def begin(self, octets: int) -> None:
        """One comes. :raises LiteralTooLarge: it is not waited for."""

    def write(self, data: bytes) -> None:
        """Some of it."""


@dataclass(frozen=True, slots=True)
class ImapPlace:
    """Where a server is, and how it is spoken to."""

    host: str
    port: int
    tls: str  # implicit, starttls or none
    authorities: str | None = None  # a file with certificates that are trusted besides the system's
    timeout: float = 60.0  # seconds in which it has to say something


class ImapLink:
    """An open connection. Every method may raise :class:`LinkLost`."""

    def __init__(self, place: ImapPlace) -> None:
        """Connect. :raises SourceFailed: its certificate is not right."""
        self._place = place
        self._buffer = bytearray()
        self._tags = 0
        try:
            self._socket: socket.socket = socket.create_connection((place.host, place.port), CONNECT)
        except OSError as error:
            raise LinkLost(f"no connection to port {place.port}: {error.strerror or error}") from None
        except ValueError:  # of the encoding of host names
            raise SourceFailed(f"{place.host}: that cannot be a host") from None
        if place.tls == "implicit":
            self._secure()
        self._socket.settimeout(place.timeout)

    def _secure(self) -> None:
        try:
            context = ssl.create_default_context()
            if self._place.authorities is not None:
                context.load_verify_locations(self._place.authorities)
            self._socket = context.wrap_socket(self._socket, server_hostname=self._place.host)
        except ssl.SSLCertVerificationError as error:
            self.close()
            raise SourceFailed(f"{self._place.host}: its certificate is not right: {error.verify_message}") from None
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError):
            self.close()
            raise LinkLost("TLS: the connection was closed") from None
        except ssl.SSLError as error:  # another try would end alike
            self.close()
            raise SourceFailed(
                f"{self._place.host}: no TLS with what answers at port {self._place.port}: {error.reason}"
            ) from None
        except OSError as error:
            self.close()
            raise LinkLost(f"TLS: {error.strerror or error}") from None

    def start_tls(self) -> None:
        """Go on encrypted, after the server's OK. :raises SourceFailed: what came before would be taken for encrypted."""
        if self._buffer:
            raise SourceFailed(f"{self._place.host}: it says more before TLS has begun")
        self._secure()

    def close(self) -> None:
        """End it, whatever its state."""
        self._socket.close()

    def say_goodbye(self) -> None:
        """End it as one does."""
        with contextlib.suppress(LinkLost):
            self._send(b"bye LOGOUT\r\n")
        self.close()

    def greeting(self) -> StatusReply:
        """Return the first words of the server."""
        reply = self.read()
        if not isinstance(reply, StatusReply) or reply.status not in ("OK", "PREAUTH"):
            raise LinkLost(f"it greets with {reply.text if isinstance(reply, StatusReply) else 'something else'!r}")
        return reply

    def command(
        self, *words: bytes | str, answers: Sequence[bytes] = (), sink: LiteralSink | None = None
    ) -> Iterator[DataReply | StatusReply]:
        """Say a command and yield what is answered, the tagged OK at last.

        :param words: str stands for itself, octets are said as a string. :param answers: what continuations are answered with.
        :param sink: takes the contents of messages. :raises ImapRefusal: NO or BAD.
        """
        self._tags += 1
        tag = f"m{self._tags}"
        waiting = [*self._pieces(tag, words), *(answer + b"\r\n" for answer in answers)]
        self._send(waiting.pop(0))
        while True:
            reply = self.read(sink)
            if isinstance(reply, ContinueReply):
                if not waiting:
                    raise LinkLost("it waits for something that there is not")
                self._send(waiting.pop(0))
            elif isinstance(reply, StatusReply) and reply.status == "BYE":
                raise LinkLost(f"it ends the connection: {reply.text}")
            elif isinstance(reply, StatusReply) and reply.tag != "*":
                if reply.tag != tag:
                    raise LinkLost("it answers what was not asked")
                if reply.status != "OK":
                    raise ImapRefusal(reply.text or reply.status)
                yield reply
                return
            else:
                yield reply

    def _pieces(self, tag: str, words: Sequence[bytes | str]) -> list[bytes]:
        """Return what is sent at once, and what after each continuation."""
        pieces = [tag.encode()]
        for word in words:
            pieces[-1] += b" "
            if isinstance(word, str):
                pieces[-1] += word.encode("ascii")
            elif len(word) <= MAX_ATOM and all(32 <= octet < 127 and octet not in b'"\\' for octet in word):
                pieces[-1] += b'"' + word + b'"'
            else:
                pieces[-1] += b"{%d}\r\n" % len(word)
                pieces.append(word)
        pieces[-1] += b"\r\n"
        return pieces

    def _send(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise LinkLost(_words(error)) from None

    def read(self, sink: LiteralSink | None = None) -> Reply:
        """Return the next answer."""
        pieces: list[bytes] = []
        literals: list[Literal] = []
        held = 0
        while True:
            line = self._line()
            octets = literal_mark(line)
            pieces.append(line if octets is None else without_mark(line))
            held += len(line)
            if octets is None:
                break
            if sink is not None and pieces[-1].upper().rstrip().endswith(b"BODY[]"):
                literals.append(self._stream(octets, sink))
                continue
            held += octets
            if octets > MAX_LITERAL or held > MAX_HELD:
                raise LinkLost(f"it sends {octets} octets where a few are due")
            kept: list[bytes] = []
            self._take(octets, kept.append)
            literals.append(b"".join(kept))
        try:
            return parse_reply(pieces, literals)
        except GrammarFault as fault:
            raise LinkLost(f"it says what is no IMAP: {text_for_people(str(fault).encode())}") from None

    def _stream(self, octets: int, sink: LiteralSink) -> StreamedLiteral:
        sink.begin(octets)
        self._take(octets, sink.write)
        return StreamedLiteral(octets)

    def _take(self, octets: int, take: Callable[[bytes], object]) -> None:
        left = octets
        while left:
            if not self._buffer:
                self._fill()
            piece = bytes(self._buffer[:left])
            del self._buffer[: len(piece)]
            left -= len(piece)
            take(piece)

    def _line(self) -> bytes:
        looked_at = 0
        while (end := self._buffer.find(b"\n", looked_at)) < 0:
            looked_at = len(self._buffer)
            if looked_at > MAX_LINE:
                raise LinkLost("it sends a line without end")
            self._fill()
        line = bytes(self._buffer[:end]).removesuffix(b"\r")
        del self._buffer[: end + 1]
        return line

    def _fill(self) -> None:
        try:
            data = self._socket.recv(PIECE)
        except OSError as error:
            raise LinkLost(_words(error)) from None
        if not data:
            raise LinkLost("it has closed the connection")
        self._buffer += data


def _words(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "it does not answer"
    return f"the connection broke: {error.strerror or error}"
