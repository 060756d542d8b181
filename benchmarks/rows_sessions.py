"""Memory of an idle IMAP session that has a mailbox selected and read once: thousands at a time, plain and under TLS."""

from __future__ import annotations

import contextlib
import re
import resource
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from benchmarks.imap_client import Imap
from benchmarks.lab import USER, Lab
from benchmarks.mailboxes import content, fill_maildir, repeat_in_mailnode, wear_in_mailnode
from benchmarks.peers import PASSWORD, Dovecot, MailNodeForLoad, tree
from benchmarks.report import Measurement
from benchmarks.rows import Row
from tests.end_to_end.servers import free_port

SELECTED = 20_000  # messages of each mailbox
MAILBOXES = 10  # the sessions are spread over; each of an account of its own
WARM = 20  # sessions opened before the first look at the memory
THEIRS = 200  # sessions of the peer, a process each
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


def _node(lab: Lab) -> MailNodeForLoad:
    """A server with several full mailboxes, and a listener that takes passwords without TLS; started anew."""
    port = free_port()
    listener = f'[[listener]]\nprotocol = "imap"\nplain_login = true\nendpoint = "tcp:{port}:interface=127.0.0.1"\n'
    node = lab.mailnode("sessions", f"sessions_per_account = {max(lab.sessions, 100)}\n{listener}")
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
                opened.callback(_reader(node, port, users[number % len(users)]).close)
                if number % 100 == 0:
                    lab.progress(f"session {number}")
            lab.progress("waiting for rest")
            wait_for_rest(node)
            made.ours.append((sum(map(pss_kib, tree(node.pid))) - before) / sessions)
        made.notes |= {"sessions": sessions, "mailboxes": len(users), "messages": _size(lab)}
        made.theirs.append(_dovecot(lab, port.split()[0]))
        made.notes["peer_sessions"] = THEIRS

    return measure


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
    Row("memory of an idle IMAP session, TLS", "KiB", _idle(True), "Dovecot", ceiling=130.0),
]
