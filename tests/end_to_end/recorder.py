"""What stands between a mail program and a server, over implicit TLS, and keeps the commands that the program gives."""

from __future__ import annotations

import asyncio
import re
import ssl
import threading
import zlib

from servers import MailNode, wait_for

_LITERAL = re.compile(rb"\{(\d+)\+?\}\r\n\Z")
_COMPRESS = re.compile(rb"\S+ COMPRESS DEFLATE\r\n", re.IGNORECASE)


class Recorder:
    """A port with a server's certificate. What comes there goes on to the server's own port for IMAP over TLS."""

    def __init__(self, node: MailNode) -> None:
        self.commands: list[str] = []  # of all connections, as they came; literals within, without the last CRLF
        self.answered = 0  # octets that programs got, before compression
        self._node = node
        self._accepting = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._accepting.load_cert_chain(node.folder / "cert.pem", node.folder / "key.pem")
        self._trusting = ssl.create_default_context(cafile=node.ca)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        opening = asyncio.start_server(self._serve, node.address, 0, ssl=self._accepting)
        self._server = asyncio.run_coroutine_threadsafe(opening, self._loop).result(60)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """End what is open, and listen no more."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()

    def wait(self, pattern: str, after: int = 0) -> str:
        """Return the first command from an index on that a pattern is found in, whatever the case."""
        looked = re.compile(pattern, re.IGNORECASE)
        return wait_for(
            lambda: next((command for command in self.commands[after:] if looked.search(command)), ""),
            f"{pattern} among the commands",
        )

    async def _close(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to_there = await asyncio.open_connection(
            self._node.address, self._node.ports["imaps"], ssl=self._trusting, server_hostname="localhost"
        )
        heard = _Commands(self.commands)
        try:
            ways = [self._pass(reader, to_there, heard.take), self._pass(there, writer, heard.answer)]
            _, rest = await asyncio.wait(map(asyncio.ensure_future, ways), return_when=asyncio.FIRST_COMPLETED)
            for one in rest:
                one.cancel()
        finally:
            self.answered += heard.answered
            for one in (writer, to_there):
                one.close()

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, seen) -> None:
        while octets := await source.read(65536):
            seen(octets)
            sink.write(octets)
            await sink.drain()


class _Commands:
    """The octets of one connection, as commands."""

    def __init__(self, commands: list[str]) -> None:
        self._commands = commands
        self._last, self._line, self._literal, self._text = b"", b"", 0, b""
        self._into: list = []  # what takes each side's compression back, once there is one
        self.answered = 0

    def take(self, octets: bytes) -> None:
        """Take what the program says."""
        self._text += self._into[0].decompress(octets) if self._into else octets
        while self._text:
            if self._literal:
                part, self._text = self._text[: self._literal], self._text[self._literal :]
                self._literal -= len(part)
                self._line += part
                continue
            line, end, rest = self._text.partition(b"\n")
            if not end:
                return
            self._text = rest
            self._line += line + end
            if literal := _LITERAL.search(self._line):
                self._literal = int(literal[1])
                continue
            self._commands.append(self._line[:-2].decode("utf-8", "replace"))
            self._last, self._line = self._line, b""

    def answer(self, octets: bytes) -> None:
        """Take what the server says: the answer to the COMPRESS that came last ends what is not compressed."""
        if self._into:
            self.answered += len(self._into[1].decompress(octets))
            return
        self.answered += len(octets)
        if _COMPRESS.fullmatch(self._last) and b" OK " in octets:
            self._into = [zlib.decompressobj(wbits=-15), zlib.decompressobj(wbits=-15)]
