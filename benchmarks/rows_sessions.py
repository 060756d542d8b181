"""Memory of an idle IMAP session that has a mailbox selected and read once: thousands at a time, plain and under TLS."""

from __future__ import annotations

import contextlib
import re
import resource
import time
import urllib.request
import zlib
from collections.abc import Callable
from pathlib import Path

from benchmarks.imap_client import Imap
from benchmarks.lab import USER, Lab
from benchmarks.mailboxes import content, fill_maildir, repeat_in_mailnode, wear_in_mailnode
from benchmarks.peers import PASSWORD, Dovecot, MailNodeForLoad, tree
from benchmarks.report import Measurement
from benchmarks.rows import Row
from benchmarks.rows_imap import noop_delays
from tests.end_to_end.servers import free_port

SELECTED = 20_000  # messages of each mailbox
MAILBOXES = 10  # the sessions are spread over; each of an account of its own
WARM = 20  # sessions opened before the first look at the memory
THEIRS = 200  # sessions of the peer, a process each
NOTIFIED = 200  # mailboxes that NOTIFY tells of
_NOTIFY = b"NOTIFY SET (PERSONAL (MessageNew MessageExpunge FlagChange MailboxName))"
_FILLING = b"FETCH 1:* (FLAGS INTERNALDATE UID)"  # more than a window, both ways of 32 KiB
REST = 180.0  # seconds in which all sessions must have come to rest


def pss_kib(pid: int) -> int:
    """Return the proportional set size of a process in KiB."""
    found = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


def open_views(node: MailNodeForLoad) -> int:
    """Return how many sessions have not come to rest yet, as the server counts them."""
    with urllib.request.urlopen(f"http://{node.address}:{node.ports['http']}/metrics", timeout=60) as answer:
        found = re.search(rb"^mailnode_imap_open_views (\S+)", answer.read(), re.MULTILINE)
    assert found is not None
    return int(float(found[1]))


def wait_for_rest(node: MailNodeForLoad) -> None:
    """Return when every session has packed what it knows of its mailbox."""
    end = time.monotonic() + REST
    while open_views(node):
        if time.monotonic() > end:
            raise TimeoutError(f"{open_views(node)} sessions are still not at rest")
        time.sleep(0.5)


def _users(lab: Lab) -> list[str]:
    return [USER, *(f"user{number}@a.test" for number in range(1, 2 if lab.quick else MAILBOXES))]


def _plain_node(lab: Lab, name: str) -> tuple[MailNodeForLoad, int]:
    """A server with a listener that takes passwords without TLS, and that one's port."""
    port = free_port()
    listener = f'[[listener]]\nprotocol = "imap"\nplain_login = true\nendpoint = "tcp:{port}:interface=127.0.0.1"\n'
    return lab.mailnode(name, f"sessions_per_account = {lab.sessions + 100}\n{listener}"), port


def _node(lab: Lab) -> MailNodeForLoad:
    """One with several full mailboxes, started anew."""
    node, port = _plain_node(lab, "sessions")
    if lab.first("mailboxes of sessions"):
        node.ports["imap plain"] = port
        users = _users(lab)
        for user in users[1:]:
            node.add_account(user)
        node.stop()
        for number, user in enumerate(users):
            lab.progress(f"filling {user}")
            repeat_in_mailnode(node.config, user, _size(lab) * 10 // 9)
            wear_in_mailnode(node.config, user, number)
    else:
        node.stop()
    return node.start()


def _size(lab: Lab) -> int:
    return 2000 if lab.quick else SELECTED


def _reader(server: MailNodeForLoad | Dovecot, port: str, user: str) -> Imap:
    client = Imap(server.address, server.ports[port], user, PASSWORD, tls=port == "imaps")
    client.command(b"SELECT INBOX")
    client.command(b"FETCH 1:* (FLAGS)")
    return client


def compressing(client: Imap, command: bytes) -> None:
    """Compress from now on (RFC 4978), and read the answer to one command."""
    client.command(b"COMPRESS DEFLATE")
    out, into = zlib.compressobj(wbits=-15), zlib.decompressobj(-15)
    client.socket.sendall(out.compress(b"z %b\r\n" % command) + out.flush(zlib.Z_SYNC_FLUSH))
    said = b""
    while b"\r\nz OK" not in said:
        octets = client.socket.recv(1 << 16)
        if not octets:
            raise ConnectionError("the server closed the connection")
        said = said[-20:] + into.decompress(octets)


def _noop_beside_compressed(lab: Lab, made: Measurement) -> None:
    noops = lab.imap("mailnode", 1)
    for _ in range(lab.rounds):
        with contextlib.closing(lab.login(lab.big("mailnode"))) as client:
            client.command(b"SELECT INBOX")
            delays = noop_delays(
                noops, lambda reader=client: compressing(reader, b"FETCH 1:* (FLAGS ENVELOPE RFC822.SIZE)")
            )
        made.ours.append(delays[min(len(delays) - 1, len(delays) * 99 // 100)])
        made.notes["max"] = f"{max(delays[-1], float(made.notes.get('max', 0))):.1f}"


def _idle(tls: bool) -> Callable[[Lab, Measurement], None]:
    def measure(lab: Lab, made: Measurement) -> None:
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # the server inherits it
        node, users = _node(lab), _users(lab)
        sessions = min(lab.sessions, 100) if lab.quick else lab.sessions
        with contextlib.ExitStack() as opened:
            port = "imaps" if tls else "imap plain"
            for number in range(WARM):
                opened.callback(_reader(node, port, users[number % len(users)]).close)
            wait_for_rest(node)
            before = sum(map(pss_kib, tree(node.pid)))
            for number in range(sessions):
                client = _reader(node, port, users[number % len(users)])
                opened.callback(client.close)
                if number % 100 == 0:
                    lab.progress(f"session {number}")
            lab.progress("waiting for rest")
            wait_for_rest(node)
            made.ours.append((sum(map(pss_kib, tree(node.pid))) - before) / sessions)
        made.notes |= {"sessions": sessions, "mailboxes": len(users), "messages": _size(lab)}
        if made.peer:
            made.theirs.append(_dovecot(lab, port.split()[0]))
            made.notes["peer_sessions"] = THEIRS

    return measure


def _compressed(lab: Lab, made: Measurement) -> None:
    """What COMPRESS adds to a session that has nothing selected, once both have said enough to fill their windows."""
    node, port = _plain_node(lab, "compressed")
    if lab.first("mailbox of compressed sessions"):
        node.stop()
        repeat_in_mailnode(node.config, USER, 2000)
        node.ports["imap plain"] = port
        node.start()
    sessions = min(lab.sessions, 100 if lab.quick else 1000)
    with contextlib.ExitStack() as opened:
        clients = [Imap(node.address, node.ports["imap plain"], USER, PASSWORD) for _ in range(WARM + sessions)]
        for client in clients:
            opened.callback(client.close)
            client.command(b"SELECT INBOX")
            client.command(b"FETCH 1:* (FLAGS INTERNALDATE UID)")
        for client in clients[:WARM]:
            compressing(client, _FILLING)
        wait_for_rest(node)
        before = sum(map(pss_kib, tree(node.pid)))
        for number, client in enumerate(clients[WARM:]):
            compressing(client, _FILLING)
            if number % 100 == 0:
                lab.progress(f"session {number}")
        wait_for_rest(node)
        made.ours.append((sum(map(pss_kib, tree(node.pid))) - before) / sessions)
    made.notes |= {"sessions": sessions}


def _notified(lab: Lab, made: Measurement) -> None:
    """What NOTIFY adds to a session that has nothing selected, and is told of many mailboxes."""
    node, port = _plain_node(lab, "notified")
    first = lab.first("mailboxes for NOTIFY")
    if first:
        node.ports["imap plain"] = port
    sessions = min(lab.sessions, 300 if lab.quick else 1000)
    with contextlib.ExitStack() as opened:
        clients = [Imap(node.address, node.ports["imap plain"], USER, PASSWORD) for _ in range(WARM + sessions)]
        for client in clients:
            opened.callback(client.close)
        if first:
            for number in range(NOTIFIED):
                clients[0].command(b"CREATE Customers/%d" % (number * 7919))
        for client in clients[:WARM]:
            client.command(_NOTIFY)
        before = sum(map(pss_kib, tree(node.pid)))
        for number, client in enumerate(clients[WARM:]):
            client.command(_NOTIFY)
            if number % 100 == 0:
                lab.progress(f"session {number}")
        made.ours.append((sum(map(pss_kib, tree(node.pid))) - before) / sessions)
    made.notes |= {"sessions": sessions, "mailboxes": NOTIFIED}


def _dovecot(lab: Lab, port: str) -> float:
    """Return what Dovecot uses for a session: its processes in all, before and after."""
    dovecot = lab.dovecot()

    user = "idle@a.test"
    if lab.first("mailbox of Dovecot's sessions"):
        lab.progress("filling Dovecot")
        fill_maildir(dovecot.maildir(user), content(_size(lab)))
        dovecot.own()
    with contextlib.ExitStack() as opened:
        for _ in range(WARM):
            opened.callback(_reader(dovecot, port, user).close)
        before = sum(map(pss_kib, tree(dovecot.pid)))
        for _ in range(THEIRS):
            opened.callback(_reader(dovecot, port, user).close)
        return (sum(map(pss_kib, tree(dovecot.pid))) - before) / THEIRS


ROWS = [
    Row("memory of an idle IMAP session, plain", "KiB", _idle(False), "Dovecot", ceiling=64.0),
    Row("memory that COMPRESS adds to an idle IMAP session", "KiB", _compressed, ceiling=64.0),
    Row("memory of an idle IMAP session, TLS", "KiB", _idle(True), "Dovecot", ceiling=130.0),
    Row("memory that NOTIFY of 200 mailboxes adds to one", "KiB", _notified, ceiling=8.0),
    Row("imap NOOP p99 beside FETCH 1:* compressed", "ms", _noop_beside_compressed, ceiling=20.0),
]
