"""What checks try on the network, on the event loop of :mod:`asyncio` that runs them. Answers are bounded in octets and time."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import h11
from cryptography import x509
from zope.interface import implementer

from mailnode.interfaces.checks import INetwork
from mailnode.interfaces.runtime import IClock
from mailnode.net.aside import aside
from mailnode.net.own_addresses import own_addresses
from mailnode.values.machine import Dialled, Fetched, ShownCertificate

T = TypeVar("T")

PATIENCE = 6.0  # seconds for one thing that is tried
MAX_LINE = 1024  # octets of a line of SMTP
MAX_LINES = 40  # of one reply
MAX_BODY = 65_536  # octets of an HTTPS answer
NTP_PORT = 123
NTP_EPOCH = 2_208_988_800  # seconds from 1900 to 1970
_NTP = struct.Struct("!BBbb11I")
_CLIENT = 0x23  # version 4, mode 3 (RFC 4330 4)

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@implementer(INetwork)
class Trying:
    """Tries. See :class:`INetwork`."""

    def __init__(self, clock: IClock, patience: float = PATIENCE, trusted: ssl.SSLContext | None = None) -> None:
        """:param clock: its ``seconds`` are called from other threads. :param patience: seconds for each thing.
        :param trusted: whose certificates are right; None: those of the machine."""
        self._clock = clock
        self._patience = patience
        self._trusted = trusted

    async def own_addresses(self) -> Sequence[str]:
        """See :class:`INetwork`."""
        return await aside(own_addresses)

    async def dial(self, address: str, port: int) -> Dialled:
        """See :class:`INetwork`."""

        async def knock(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Dialled:
            return Dialled(True)

        return await self._dialled(address, port, knock)

    async def greet(self, address: str, port: int, hostname: str) -> Dialled:
        """See :class:`INetwork`."""

        async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Dialled:
            said = await _reply(reader)
            if said[0][:1] == "2":
                writer.write(f"EHLO {hostname}\r\n".encode("ascii", "replace"))
                said += await _reply(reader)
            writer.write(b"QUIT\r\n")
            return Dialled(True, "", tuple(said))

        return await self._dialled(address, port, greet)

    async def _dialled(
        self, address: str, port: int, talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[Dialled]]
    ) -> Dialled:
        async def work() -> Dialled:
            reader, writer = await asyncio.open_connection(address, port, limit=MAX_LINE)
            try:
                return await talk(reader, writer)
            finally:
                writer.close()

        try:
            return await asyncio.wait_for(work(), self._patience)
        except (OSError, EOFError, ValueError) as error:
            return Dialled(False, _words(error))

    async def can_listen(self, address: str, port: int) -> Dialled:
        """See :class:`INetwork`."""
        six = ":" in address
        try:
            with socket.socket(socket.AF_INET6 if six else socket.AF_INET) as opened:
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                opened.bind((address, port))
                opened.listen(1)
        except OSError as error:
            return Dialled(False, _words(error))
        return Dialled(True)

    async def certificate(self, address: str, port: int, name: str, starttls: bool) -> ShownCertificate:
        """See :class:`INetwork`."""
        trouble = ""
        for context in (self._trusted or ssl.create_default_context(), _unchecked()):
            try:
                shown = await asyncio.wait_for(self._shown(address, port, name, starttls, context), self._patience)
                return ShownCertificate(trouble, *shown)
            except ssl.SSLCertVerificationError as error:
                trouble = error.verify_message.rstrip(".")
            except (OSError, EOFError, ValueError) as error:
                return ShownCertificate(trouble or _words(error))
        return ShownCertificate(trouble)

    async def _shown(
        self, address: str, port: int, name: str, starttls: bool, context: ssl.SSLContext
    ) -> tuple[float, tuple[str, ...]]:
        reader, writer = await asyncio.open_connection(address, port, limit=MAX_LINE)
        try:
            if starttls:
                for said in (b"", b"EHLO localhost\r\n", b"STARTTLS\r\n"):
                    writer.write(said)
                    if (await _reply(reader))[0][:1] != "2":
                        raise ValueError("it does not offer STARTTLS")
            await writer.start_tls(context, server_hostname=name)
            found = writer.get_extra_info("ssl_object")
            return _read_certificate(found.getpeercert(True))
        finally:
            writer.close()

    async def fetch(self, address: str, host: str, path: str, port: int = 443) -> Fetched:
        """See :class:`INetwork`."""
        context = self._trusted or ssl.create_default_context()
        try:
            return await asyncio.wait_for(_get(address, host, path, port, context), self._patience)
        except ssl.SSLCertVerificationError as error:
            return Fetched(f"its certificate is not right: {error.verify_message.rstrip('.')}")
        except h11.RemoteProtocolError:
            return Fetched("it does not speak HTTP")
        except (OSError, EOFError, ValueError) as error:
            return Fetched(_words(error))

    async def clock_offset(self, address: str) -> float | None:
        """See :class:`INetwork`."""
        try:
            return await asyncio.wait_for(self._offset(address), self._patience)
        except (OSError, ValueError):
            return None

    async def _offset(self, address: str) -> float:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bytes] = loop.create_future()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Datagram(answer), remote_addr=(address, NTP_PORT))
        try:
            sent = self._clock.seconds()
            stamp = int((sent + NTP_EPOCH) * 2**32)
            transport.sendto(_NTP.pack(_CLIENT, 0, 0, 0, *[0] * 9, stamp >> 32 & 0xFFFFFFFF, stamp & 0xFFFFFFFF))
            told = await answer
            return _read_offset(told, stamp, sent, self._clock.seconds())
        finally:
            transport.close()


class _Datagram(asyncio.DatagramProtocol):
    def __init__(self, answer: asyncio.Future[bytes]) -> None:
        self._answer = answer

    def datagram_received(self, data: bytes, addr: object) -> None:
        if not self._answer.done():
            self._answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self._answer.done():
            self._answer.set_exception(exc)


def _read_offset(told: bytes, asked: int, sent: float, received: float) -> float:
    """Return how far the other clock is before this one (RFC 4330 5). :raises ValueError: it is no answer that counts."""
    if len(told) < _NTP.size:
        raise ValueError("too short")
    first, stratum, _, _, *words = _NTP.unpack(told[: _NTP.size])
    stamps = [(words[at] << 32 | words[at + 1]) for at in (5, 7, 9)]  # of the question, when it came, when this left
    if first & 7 != 4 or first >> 6 == 3 or not 0 < stratum < 16 or stamps[0] != asked or not stamps[2]:
        raise ValueError("not of a server that knows the time")
    came, left = (stamp / 2**32 - NTP_EPOCH for stamp in stamps[1:])
    return float((came - sent) + (left - received)) / 2


async def _reply(reader: asyncio.StreamReader) -> list[str]:
    """Return the lines of one SMTP reply. :raises ValueError: it is none. :raises EOFError: it does not end."""
    said = []
    for _ in range(MAX_LINES):
        try:
            line = await reader.readuntil(b"\n")
        except asyncio.LimitOverrunError:
            raise ValueError("it does not speak SMTP") from None
        text = "".join(chr(c) if 32 <= c < 127 else "?" for c in line.rstrip(b"\r\n"))
        if not text[:3].isdigit():
            raise ValueError("it does not speak SMTP")
        said.append(text)
        if text[3:4] != "-":
            return said
    raise ValueError("it does not speak SMTP")


async def _get(address: str, host: str, path: str, port: int, context: ssl.SSLContext) -> Fetched:
    reader, writer = await asyncio.open_connection(address, port, ssl=context, server_hostname=host)
    try:
        talk = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_BODY)
        ask = h11.Request(method="GET", target=path, headers=[("Host", host), ("Connection", "close")])
        writer.write((talk.send(ask) or b"") + (talk.send(h11.EndOfMessage()) or b""))
        status, body = 0, b""
        while True:
            event = talk.next_event()
            if event is h11.NEED_DATA:
                talk.receive_data(await reader.read(MAX_BODY))
            elif isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > MAX_BODY:
                    raise ValueError("its answer is too long")
            elif isinstance(event, h11.EndOfMessage):
                return Fetched("", status, body)
            elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
                raise ValueError("it does not speak HTTP")
    finally:
        writer.close()


def _unchecked() -> ssl.SSLContext:
    """Return what takes any certificate: to look at it, and for nothing else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _read_certificate(der: bytes) -> tuple[float, tuple[str, ...]]:
    """:raises ValueError:"""
    try:
        leaf = x509.load_der_x509_certificate(der)
        named = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return leaf.not_valid_after_utc.timestamp(), ()
    except (x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        raise ValueError("its certificate cannot be read") from None
    names = named.get_values_for_type(x509.DNSName)
    return leaf.not_valid_after_utc.timestamp(), tuple(name.lower() for name in names)


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, ssl.SSLError):
        return "TLS failed"
    if isinstance(error, EOFError | ConnectionError):
        return "the connection was closed"
    if isinstance(error, PermissionError):
        return "this needs the rights of root"
    if isinstance(error, OSError):
        return _BY_NUMBER.get(error.errno or 0, "no connection")
    return str(error)


_BY_NUMBER = {98: "somebody listens there already", 99: "no interface here has this address"}
_BY_NUMBER |= {101: "no route to that network", 113: "no route to that host"}
