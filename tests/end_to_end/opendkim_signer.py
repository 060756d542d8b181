"""OpenDKIM as a signer: what it would have an MTA put on top of a message, asked over the milter protocol."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

from servers import Process, program, wait_for

from tests.free_ports import free_port


class OpenDkimSigner:
    """One process with one key."""

    def __init__(self, folder: Path, domain: str, selector: str, key: str, form: str) -> None:
        """:param key: PEM. :param form: "relaxed/simple" ..."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "key.pem").write_text(key)
        (folder / "key.pem").chmod(0o600)
        self.port = free_port()
        (folder / "opendkim.conf").write_text(
            f"Mode s\nDomain {domain}\nSelector {selector}\nKeyFile {folder}/key.pem\nCanonicalization {form}\n"
            f"Socket inet:{self.port}@127.0.0.1\nInternalHosts 127.0.0.1\nBackground no\nRequireSafeKeys no\n"
        )
        self.process = Process([program("opendkim"), "-f", "-x", str(folder / "opendkim.conf")], cwd=folder)
        wait_for(self._listens, "opendkim")

    def stop(self) -> None:
        """End it."""
        self.process.stop()

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def signed(self, message: bytes) -> bytes:
        """Return a message with its signature on top."""
        header, _, body = message.partition(b"\r\n\r\n")
        with socket.create_connection(("127.0.0.1", self.port), 30) as peer:
            file = peer.makefile("rwb")
            _ask(file, b"O", struct.pack("!III", 6, 0x1FF, 0))
            _ask(file, b"C", b"load.test\0" + b"4" + struct.pack("!H", 25) + b"127.0.0.1\0")
            for command, text in ((b"H", b"load.test"), (b"M", b"<x@load.test>"), (b"R", b"<bob@here.test>")):
                _ask(file, command, text + b"\0")
            for field in header.replace(b"\r\n ", b"\n ").replace(b"\r\n\t", b"\n\t").split(b"\r\n"):
                name, _, value = field.partition(b":")
                _ask(file, b"L", name + b"\0" + value.removeprefix(b" ") + b"\0")
            _ask(file, b"N", b"")
            _ask(file, b"B", body)
            added = _ask(file, b"E", b"")
        # "i" has a position of four octets before the name, "h" has none.
        fields = [data[4:] if kind == b"i" else data for kind, data in added if kind in (b"h", b"i")]
        (signature,) = [field for field in fields if field.startswith(b"DKIM-Signature\0")]
        name, value = signature.split(b"\0")[:2]
        return name + b": " + value.lstrip(b" ").replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") + b"\r\n" + message


def _ask(file, command: bytes, data: bytes) -> list[tuple[bytes, bytes]]:
    """Say one thing; return what was said before the answer that ends it."""
    file.write(struct.pack("!I", len(data) + 1) + command + data)
    file.flush()
    said = []
    while True:
        (length,) = struct.unpack("!I", file.read(4))
        answer = file.read(length)
        if answer[:1] in (b"c", b"a", b"O"):
            return said
        said.append((answer[:1], answer[1:]))
