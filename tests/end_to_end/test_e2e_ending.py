"""SIGTERM ends the server within its grace time and a few seconds, whatever its threads and processes work on."""

import os
import signal
import smtplib
import time
from pathlib import Path

import pytest
from imap_wire import Wire
from servers import MailNode, wait_for
from ways import EveryWay

GRACE = 1
PATIENCE = 15  # seconds more: a loaded machine; without a bound it takes minutes
BUSY = 120  # seconds

POLICY = f"""
import time

from twisted.plugin import IPlugin
from zope.interface import implementer

from mailnode.interfaces.policy import IPolicy, IPolicyFactory
from mailnode.values.policy import PASS


def spin(log):
    until = time.monotonic() + {BUSY}
    print("spinning", file=log, flush=True)
    while time.monotonic() < until:
        sum(range(1000))


@implementer(IPolicy)
class Busy:
    name = "busy"
    stages = frozenset(["mail"])
    only_strangers = False

    def __init__(self, threads):
        self._threads = threads

    async def judge(self, request):
        import sys
        await self._threads.run("cpu", spin, sys.__stdout__)
        return PASS


@implementer(IPlugin, IPolicyFactory)
class BusyFactory:
    name = "busy"
    help = "Keep threads busy."
    options = {{}}

    def make(self, options, context):
        return Busy(context.threads)


busy = BusyFactory()
"""


class Node(EveryWay, MailNode):
    """One that is reached in every way."""


def serve(folder, workers, extra="", path=()):
    node = Node(folder / "node", extra=extra, path=path)
    text = node.config.read_text()
    node.config.write_text(text.replace("[server]\n", f"[server]\nworkers = {workers}\ngrace = {GRACE}.0\n", 1))
    return node.start()


def end(node):
    """Send SIGTERM; return the exit code and how long it took. Nothing of the server is left."""
    children = {pid for pid in os.listdir("/proc") if pid.isdigit() and parent(pid) == node.process.popen.pid}
    started = time.monotonic()
    node.process.popen.send_signal(signal.SIGTERM)
    code = node.process.popen.wait(BUSY)
    took = time.monotonic() - started
    node.process.stop()
    wait_for(lambda: not [pid for pid in children if Path(f"/proc/{pid}").exists()], "the children are gone", 10)
    return code, took


def parent(pid):
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except FileNotFoundError:
        return 0


@pytest.mark.parametrize("workers", [1, 2])
def test_threads_that_work_for_nobody_hold_nothing(tmp_path, workers):
    plugins = tmp_path / "site" / "twisted" / "plugins"
    plugins.mkdir(parents=True)
    (plugins / "busy_plugin.py").write_text(POLICY)
    node = serve(tmp_path, workers, '[[policy]]\nname = "busy"\n', (tmp_path / "site",))
    node.add_account("alice@a.test")
    clients = []
    for _ in range(8):  # more than threads: some wait for one
        client = smtplib.SMTP(node.address, node.ports["smtp"], timeout=30)
        client.ehlo()
        client.send("MAIL FROM:<x@side.test>\r\n")
        clients.append(client)
    wait_for(lambda: sum("spinning" in line for line in node.process.lines) >= 2, "threads are busy")
    code, took = end(node)
    assert code == 0 and took < GRACE + PATIENCE
    assert node.events("server.stop")
    for client in clients:
        client.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_abandoned_searches_hold_nothing_and_what_was_acknowledged_is_there(tmp_path, workers):
    node = serve(tmp_path, workers)
    node.add_account("alice@a.test")
    line = "the quick brown f\u00f6x jumps over the lazy dog again\r\n".encode()
    large = b"Subject: large\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + line * (15_000_000 // len(line))
    for dial in node.dials():
        with dial.smtp() as client:
            client.sendmail("x@side.test", ["alice@a.test"], large)
    keys = " ".join(f"NOT BODY word{number}" for number in range(40))
    searches = [Wire(node, "alice@a.test", "INBOX") for _ in range(10)]
    for wire in searches:
        wire.begin(f"SEARCH {keys}")
    writer = Wire(node, "alice@a.test")
    writer.begin("APPEND INBOX {14+}\r\nSubject: small")
    assert b" OK " in writer.line()
    for wire in searches:
        wire.socket.close()
    code, took = end(node)
    assert code == 0 and took < GRACE + PATIENCE
    node.start()
    reader = Wire(node, "alice@a.test", "INBOX")
    assert any(b"small" in answer for answer in reader.ask("FETCH * BODY.PEEK[]"))
    node.stop()
