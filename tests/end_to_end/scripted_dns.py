"""A DNS server of a test's own, for what a real one cannot be made to say: it answers by a function, which may change."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

FAILS = "fails"
SOA = "ns.test. hostmaster.test. 1 60 60 60 0"

# (name in lower case without trailing dot, type) -> (name that has the records, their data), FAILS, or None for no such name
Look = Callable[[str, str], tuple[str, list] | str | None]


class ScriptedDns:
    """On a free port of 127.0.0.1, over UDP and TCP. What it says may be remembered for ``ttl`` seconds."""

    def __init__(self, look: Look, ttl: int = 0) -> None:
        self.look = look
        self.ttl = ttl
        self.asked: list[tuple[str, str]] = []
        self.slips: list[tuple[str, str]] = []
        self._udp, self._tcp = _both_sockets()
        self.port = self._udp.getsockname()[1]
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._serve_udp, self._serve_tcp)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End it."""
        for one in (self._udp, self._tcp):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(5)
        assert not self.slips, self.slips

    def _serve_udp(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                data, peer = self._udp.recvfrom(4096)
                if not data:
                    return
                self._udp.sendto(self._answer(data, 1232), peer)

    def _serve_tcp(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._tcp.accept()
                with connection, contextlib.suppress(OSError), connection.makefile("rb") as file:
                    connection.settimeout(5)
                    data = self._answer(file.read(int.from_bytes(file.read(2))), 65535)
                    connection.sendall(len(data).to_bytes(2) + data)

    def _answer(self, data: bytes, size: int) -> bytes:
        query = dns.message.from_wire(data)
        try:
            return self._say(query, size)
        except Exception as error:  # a slip of the test's: it is told at the end
            self.slips.append((query.question[0].to_text(), repr(error)))
            failed = dns.message.make_response(query, recursion_available=True)
            failed.set_rcode(dns.rcode.SERVFAIL)
            return failed.to_wire()

    def _say(self, query: dns.message.Message, size: int) -> bytes:
        answer = dns.message.make_response(query, recursion_available=True)
        question = query.question[0]
        name = b".".join(question.name.labels[:-1]).decode("latin-1").lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        found = self.look(name, kind)
        if found == FAILS:
            answer.set_rcode(dns.rcode.SERVFAIL)
            return answer.to_wire()
        if found is None:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        owner, records = found or (name, [])
        if owner != name:
            answer.answer.append(dns.rrset.from_text(question.name, self.ttl, "IN", "CNAME", f"{owner}."))
        at = question.name if owner == name else dns.name.from_text(f"{owner}.")
        if records:
            rrset = dns.rrset.from_rdata_list(at, self.ttl, [_rdata(kind, one) for one in records])
            answer.answer.append(rrset)
        else:
            answer.authority.append(dns.rrset.from_text(dns.name.root, 0, "IN", "SOA", SOA))
        try:
            return answer.to_wire(max_size=size)
        except dns.exception.TooBig:
            short = dns.message.make_response(query, recursion_available=True)
            short.flags |= dns.flags.TC
            return short.to_wire()


def _both_sockets() -> tuple[socket.socket, socket.socket]:
    while True:
        udp = socket.socket(type=socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        tcp = socket.socket()
        try:
            tcp.bind(udp.getsockname())
            tcp.listen()
        except OSError:
            udp.close()
            tcp.close()
        else:
            return udp, tcp


def _rdata(kind: str, value: object) -> dns.rdata.Rdata:
    """``value``: octets or texts of TXT, preference and host of MX, else as a zone file has it."""
    if kind == "TXT":
        texts = (value,) if isinstance(value, (str, bytes)) else value
        data = [text.encode() if isinstance(text, str) else text for text in texts] or [b""]
        pieces = [text[start : start + 255] for text in data for start in range(0, max(1, len(text)), 255)]
        wire = b"".join(bytes([len(piece)]) + piece for piece in pieces)
        return dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.TXT, wire, 0, len(wire))
    if kind == "MX":
        value = f"{value[0]} {value[1].removesuffix('.')}."
    elif kind in ("PTR", "CNAME"):
        value = f"{str(value).removesuffix('.')}."
    return dns.rdata.from_text("IN", kind, str(value))
