"""Queues filled while no server runs, and a server that tells when each message was first tried."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mailnode.net.no_reactor import run_now
from mailnode.server.administration import administration
from mailnode.server.configuration import configuration as configuration_of
from mailnode.store.engines.engine import QUEUE
from mailnode.store.units.queue_rows import add_together
from mailnode.values.blob import StagedBlob
from mailnode.values.ids import session_id
from mailnode.values.queue import EVERY_DESTINATION, NewEnvelope, QueuedEnvelope, QueuedRecipient

BATCH = 500  # envelopes put into the queue by one unit


def fill_queue(configuration: Path, destinations: list[str], count: int, due_in: float, paused: bool = False) -> None:
    """Put envelopes of one recipient each into the queue of a server that does not run.

    :param due_in: seconds from now. :param paused: whether the whole queue is paused besides."""
    with administration(configuration_of(configuration, None)) as parts:
        run_now(_fill(parts, destinations, count, time.time() + due_in))
        if paused:
            run_now(parts.queue.pause(EVERY_DESTINATION, time.time()))  # type: ignore[attr-defined]


async def _fill(parts: Any, destinations: list[str], count: int, due_at: float) -> None:
    for start in range(0, count, BATCH):
        some = []
        for number in range(start, min(start + BATCH, count)):
            blob = await parts.mail._blobs.put(b"Subject: number %d\r\n\r\nbody\r\n" % number)
            some.append((0, _envelope(number, destinations[number % len(destinations)], blob, due_at)))
        await parts.queue._engine.write(QUEUE, add_together, some)


def _envelope(number: int, destination: str, blob: StagedBlob, due_at: float) -> NewEnvelope:
    recipient = QueuedRecipient(0, f"u{number}@{destination}", destination, next_try=due_at)
    now = time.time()
    return NewEnvelope(
        QueuedEnvelope(session_id(), "out@side.test", blob.ref, now, now + 432_000, recipients=(recipient,)), blob
    )


@dataclass
class Watch:
    """An SMTP server in this process that takes everything and remembers when it heard of each recipient first."""

    address: str
    port: int
    tried: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        watch = self

        class Session(socketserver.StreamRequestHandler):
            disable_nagle_algorithm = True

            def handle(self) -> None:
                for reply in watch.replies(iter(self.rfile)):
                    self.wfile.write(reply)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = daemon_threads = True
            request_queue_size = 100

        self._server = Server((self.address, self.port), Session)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def replies(self, lines: Iterator[bytes]) -> Iterator[bytes]:
        """Yield what is said to a client."""
        yield b"220 watch.test\r\n"
        for line in lines:
            verb = line[:4].upper()
            if verb == b"RCPT":
                address = line[line.index(b"<") + 1 : line.index(b">")].decode()
                self.tried.setdefault(address, time.monotonic())
            if verb == b"DATA":
                yield b"354 go on\r\n"
                while next(lines, b".\r\n") != b".\r\n":
                    pass
            yield b"250 ok\r\n" if verb != b"QUIT" else b"221 bye\r\n"

    def stop(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()


class Probe:
    """A client that sends one small message at a time over one connection."""

    def __init__(self, address: str, port: int) -> None:
        self._socket = socket.create_connection((address, port), 60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")
        self._expect(1)
        self._say(b"EHLO side.test\r\n", 1)

    def _say(self, data: bytes, replies: int) -> None:
        self._socket.sendall(data)
        self._expect(replies)

    def _expect(self, replies: int) -> None:
        while replies:
            line = self._file.readline()
            if line[:1] not in (b"2", b"3"):
                raise RuntimeError(f"refused: {line!r}")
            replies -= line[3:4] == b" "

    def send(self, recipient: str) -> tuple[float, float]:
        """Send; return when it began and when the message was acknowledged."""
        began = time.monotonic()
        self._say(b"MAIL FROM:<out@side.test>\r\nRCPT TO:<%s>\r\nDATA\r\n" % recipient.encode(), 3)
        self._say(b"From: out@side.test\r\nSubject: new\r\n\r\n" + b"body\r\n" * 400 + b".\r\n", 1)
        return began, time.monotonic()

    def close(self) -> None:
        """End the connection."""
        self._socket.close()
