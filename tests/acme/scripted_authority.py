"""An authority that answers as a test says, over real TLS: what it does wrong no real one does on demand."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import trustme

Answer = tuple[int, dict[str, str], bytes]  # status, header fields, body


class ScriptedAuthority:
    """``answers`` are asked with method, path and body; None closes the connection without a word."""

    def __init__(self, folder: Path, answers: Callable[[str, str, bytes], Answer | None]) -> None:
        authority = trustme.CA()
        self.ca = folder / "ca.pem"
        authority.cert_pem.write_to_path(str(self.ca))
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(self._context)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        self._answers = answers
        self.asked: list[tuple[str, str]] = []
        self.octet_by_octet = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take no more connections."""
        with contextlib.suppress(OSError):  # a second time
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._speak, args=(plain,), daemon=True).start()

    def _speak(self, plain: socket.socket) -> None:
        try:
            with self._context.wrap_socket(plain, server_side=True) as secure:
                while request := _read(secure):
                    self.asked.append(request[:2])
                    answer = self._answers(*request)
                    if answer is None:
                        return
                    status, fields, body = answer
                    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
                    length = "" if "Content-Length" in fields else f"Content-Length: {len(body)}\r\n"
                    said = f"HTTP/1.1 {status} x\r\n{head}{length}\r\n".encode() + body
                    for piece in [said[at : at + 1] for at in range(len(said))] if self.octet_by_octet else [said]:
                        secure.sendall(piece)
        except OSError:
            pass


def _read(secure: ssl.SSLSocket) -> tuple[str, str, bytes] | None:
    data = b""
    while b"\r\n\r\n" not in data:
        more = secure.recv(65536)
        if not more:
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    length = next((int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length:")), 0)
    while len(body) < length:
        body += secure.recv(65536)
    method, path, _ = lines[0].split(" ")
    return method, path, body


class Script:
    """An authority that does all it should, but for what a test puts in place of one answer. Objects are at paths of one word."""

    NONCE = {"Replay-Nonce": "bm9uY2U"}

    def __init__(self) -> None:
        self.url = ""  # of itself
        self.instead: dict[str, Callable[[], Answer | None]] = {}  # by path, or by method and path
        self.order = "pending"
        self.chain = b""

    def __call__(self, method: str, path: str, body: bytes) -> Answer | None:
        """Answer a request."""
        for key in (f"{method} {path}", path):
            if key in self.instead:
                return self.instead[key]()
        return getattr(self, "_" + path.strip("/").replace("-", "_").partition("/")[0])()

    def told(self, fields: object, status: int = 200, **more: str) -> Answer:
        """Return an answer in JSON."""
        header = {"Content-Type": "application/json", **self.NONCE, **{k.replace("_", "-"): v for k, v in more.items()}}
        return status, header, json.dumps(fields).encode()

    def problem(self, code: str, status: int = 403, detail: str = "detail", **more: str) -> Answer:
        """Return a problem document."""
        fields = {"type": f"urn:ietf:params:acme:error:{code}", "detail": detail}
        status, header, body = self.told(fields, status, **more)
        return status, {**header, "Content-Type": "application/problem+json"}, body

    def _directory(self) -> Answer:
        names = ("newNonce", "newAccount", "newOrder", "renewalInfo")
        fields = {name: f"{self.url}/{name.lower()}" for name in names}
        return self.told({**fields, "meta": {"profiles": {"shortlived": "six days"}}})

    def _newnonce(self) -> Answer:
        return 200, dict(self.NONCE), b""

    def _newaccount(self) -> Answer:
        return self.told({"status": "valid"}, 201, Location=f"{self.url}/account")

    def _fields(self) -> dict[str, object]:
        fields: dict[str, object] = {
            "status": self.order,
            "authorizations": [f"{self.url}/authorization"],
            "finalize": f"{self.url}/finalize",
        }
        return {**fields, "certificate": f"{self.url}/certificate"} if self.order == "valid" else fields

    def _neworder(self) -> Answer:
        return self.told(self._fields(), 201, Location=f"{self.url}/order")

    def _order(self) -> Answer:
        return self.told(self._fields())

    def _authorization(self) -> Answer:
        proved = self.order != "pending"
        challenge = {"type": "http-01", "url": f"{self.url}/challenge", "token": "t" * 22, "status": "pending"}
        return self.told(
            {
                "status": "valid" if proved else "pending",
                "identifier": {"type": "dns", "value": "mx.example.org"},
                "challenges": [challenge],
            }
        )

    def _challenge(self) -> Answer:
        self.order = "ready"
        return self.told({"type": "http-01", "status": "processing"})

    def _finalize(self) -> Answer:
        self.order = "valid"
        return self.told(self._fields())

    def _certificate(self) -> Answer:
        return 200, {"Content-Type": "application/pem-certificate-chain", **self.NONCE}, self.chain

    def _renewalinfo(self) -> Answer:
        window = {"start": "2027-01-02T04:00:00Z", "end": "2027-01-03T04:00:00Z"}
        return self.told({"suggestedWindow": window, "explanationURL": "https://why.example"}, Retry_After="21600")
