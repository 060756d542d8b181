"""Several serving processes on the same listeners: they agree, share the limits, and one that dies is replaced."""

import contextlib
import json
import os
import poplib
import re
import signal
import smtplib
import socket
import ssl
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import trustme
from imap_wire import Wire
from servers import PASSWORD, Process, free_port, wait_for
from ways import EveryWay, large
from worker_servers import Workers, gone, shown

from tests.processes import PATIENCE

MESSAGE = "From: a@b.test\r\nSubject: {0}\r\nMessage-ID: <{0}@b.test>\r\n\r\nbody of {0}\r\n"


def send(client, name, to="bob@a.test"):
    client.sendmail("a@b.test", [to], MESSAGE.format(name))


class Node(EveryWay, Workers):
    """One that is reached in every way."""


@pytest.fixture(autouse=True)
def _hang_up():
    yield
    while Wire.opened:
        Wire.opened.pop().close()


@pytest.fixture(scope="module", params=[2, 3])
def node(request, tmp_path_factory):
    server = Node(tmp_path_factory.mktemp("workers"), request.param)
    server.start()
    try:
        for name in ("alice", "bob"):
            server.add_account(f"{name}@a.test")
        yield server
    finally:
        assert server.stop() == 0


def test_ready_means_that_all_serve(node):
    lines = node.process.lines
    started = [index for index, line in enumerate(lines) if '"worker.start"' in line]
    ready = next(index for index, line in enumerate(lines) if '"server.start"' in line)
    assert len(started) >= node.workers - 1
    assert started[node.workers - 2] < ready
    assert sum('"listener.open"' in line for line in lines) == len(node.LISTENERS) + len(node.ways)


def test_mail_that_one_worker_takes_is_seen_by_idle_in_another_at_once(node):
    for taker, watcher in ((0, 1), (1, 0), (node.workers - 1, 1)):
        idle = node.wire(watcher)
        tag = idle.begin("IDLE")
        while not idle.line().startswith(b"+ "):
            pass
        with contextlib.closing(node.connect(taker)) as client:
            started = time.monotonic()
            send(client, f"idle-{taker}-{watcher}")
            while b"EXISTS" not in (line := idle.line()):
                assert line.startswith(b"*")
        assert time.monotonic() - started < 2  # a lost hint would take the poll, which is later
        idle.send(b"DONE\r\n")
        idle.finish(tag)


def test_what_one_worker_acknowledged_another_shows(node):
    wires = [node.wire(index, "alice@a.test") for index in range(node.workers)]
    for turn in range(12):
        writer = wires[turn % len(wires)]
        writer.append("INBOX", MESSAGE.format(f"turn-{turn}").encode())
        for reader in wires:
            reader.ask("NOOP")
            assert str(turn + 1).encode() in reader.ask("STATUS INBOX (MESSAGES)")[0]
    wires[0].ask("STORE 1:* +FLAGS.SILENT (\\Flagged)")
    for reader in wires:
        assert b"\n".join(reader.ask("SEARCH FLAGGED")).split(b"SEARCH ")[1].split()[:12] == [
            str(number).encode() for number in range(1, 13)
        ]


def test_what_one_worker_changed_another_tells_who_was_away(node):
    """QRESYNC: SELECT tells flags and expunges of another process, exactly those; IDLE says VANISHED."""
    writer, away = node.wire(0, "alice@a.test"), node.wire(1, "alice@a.test")
    for turn in range(6):
        writer.append("Archive", MESSAGE.format(f"away-{turn}").encode())
    writer.ask("SELECT Archive")
    assert away.ask("ENABLE QRESYNC")[0] == b"* ENABLED QRESYNC"
    told = b"\n".join(away.ask("SELECT Archive"))
    known = [
        int(re.search(rb"\[%b (\d+)\]" % name, told)[1]) for name in (b"UIDVALIDITY", b"HIGHESTMODSEQ", b"UIDNEXT")
    ]
    first = known[2] - 6
    away.ask("LOGOUT")
    writer.ask(f"UID STORE {first + 1} +FLAGS.SILENT (\\Flagged)")
    writer.ask(f"UID STORE {first + 3}:{first + 4} +FLAGS.SILENT (\\Deleted)")
    writer.ask("EXPUNGE")
    back = node.wire(node.workers - 1, "alice@a.test")
    back.ask("ENABLE QRESYNC")
    said = back.ask(f"SELECT Archive (QRESYNC ({known[0]} {known[1]} 1:{known[2] - 1}))")
    said = [line for line in said if b"FETCH" in line or b"VANISHED" in line]
    assert said[0] == b"* VANISHED (EARLIER) %d:%d" % (first + 3, first + 4)
    assert len(said) == 2 and re.search(rb"FETCH \(UID %d FLAGS \(\\Flagged.*\) MODSEQ " % (first + 1), said[1])
    tag = back.begin("IDLE")
    while not back.line().startswith(b"+ "):
        pass
    writer.ask(f"UID STORE {first} +FLAGS.SILENT (\\Deleted)")
    writer.ask("EXPUNGE")
    while (line := back.line()) != b"* VANISHED %d" % first:
        assert line.startswith(b"*") and b"EXPUNGE" not in line
    back.send(b"DONE\r\n")
    answer, _ = back.finish(tag)
    assert answer.startswith(b"OK [HIGHESTMODSEQ ")


def test_submission_queue_and_pop3_in_every_worker(node):
    context = ssl.create_default_context(cafile=node.ca)
    for index in range(node.workers):
        client = node.connect(index, "submission")
        client.starttls(context=context)
        client.login("alice@a.test", PASSWORD)
        # a queued one: it asks to be told of the delivery, and is delivered by the first worker's queue
        client.sendmail(
            "alice@a.test",
            ["bob@a.test"],
            f"From: alice@a.test\r\nSubject: queued-{index}\r\n\r\nx\r\n",
            rcpt_options=["NOTIFY=SUCCESS"],
        )
        client.quit()
    wire = node.wire(0)
    for index in range(node.workers):
        wait_for(lambda index=index: uids(wire, f"queued-{index}"), "a queued message")
    for index in range(node.workers):
        with node.only(index):
            box = poplib.POP3(node.address, node.ports["pop3"], timeout=60)
        box.stls(context)
        box.user("bob@a.test")
        box.pass_(PASSWORD)
        assert box.stat()[0] >= node.workers
        box.quit()


def uids(wire, subject):
    answer = b"\n".join(wire.ask(f'UID SEARCH SUBJECT "{subject}"'))
    return re.search(rb"SEARCH((?: \d+)*)", answer)[1].split()


def test_a_large_message_and_many_recipients_through_a_further_worker(node):
    for dial in node.dials(taking=lambda: node.only(1)):
        with dial.smtp() as client:
            client.sendmail("a@b.test", ["bob@a.test"], large(f"{dial.name}-large", 2_880_000))
    wire = node.wire(0)
    for dial in node.dials():
        found = uids(wire, f"{dial.name}-large")
        assert len(found) == 1
        assert b"RFC822.SIZE 288" in b"".join(wire.ask(f"UID FETCH {found[0].decode()} (RFC822.SIZE)"))


def test_a_command_is_known_everywhere_when_it_returns(node):
    for index in range(node.workers):  # all remember that there is nobody
        with contextlib.closing(node.connect(index)) as client:
            client.ehlo()
            client.mail("a@b.test")
            assert client.rcpt("new@a.test")[0] == 550
    node.add_account("new@a.test")
    for index in range(node.workers):
        with contextlib.closing(node.connect(index)) as client:
            send(client, "welcome", "new@a.test")
    wires = [node.wire(index, "new@a.test") for index in range(node.workers)]
    node.ctl("account", "remove", "new@a.test", "--yes")
    for wire in wires:
        assert wire.line().startswith(b"* BYE")
    for index in range(node.workers):
        with contextlib.closing(node.connect(index)) as client:
            client.ehlo()
            client.mail("a@b.test")
            assert client.rcpt("new@a.test")[0] == 550


def test_metrics_are_those_of_all(node):
    before = node.metrics()
    for index in range(node.workers):
        with contextlib.closing(node.connect(index)) as client:
            send(client, f"counted-{index}")
    after = node.metrics()
    key = ("mailnode_messages_accepted_total",)
    assert after[key] - before[key] == node.workers
    assert after["mailnode_workers",] == node.workers


def test_failed_logins_are_counted_for_all_workers_together(node):
    """What one worker saw fail counts in another, too: of all tries at one login the throttle looks at ten."""
    context = ssl.create_default_context(cafile=node.ca)

    def attempt(turn, client):
        with contextlib.closing(client):
            client.starttls(context=context)
            client.ehlo()
            client.user, client.password = "nobody@a.test", f"wrong {turn}"
            with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
                client.auth("PLAIN", client.auth_plain)
            return refused.value.smtp_code

    clients = [node.connect(turn % node.workers, "submission") for turn in range(12)]
    with ThreadPoolExecutor(12) as together:
        codes = list(together.map(attempt, range(12), clients))
    assert sorted(codes) == [454] * 2 + [535] * 10


def test_a_reload_reaches_all(node):
    text = node.config.read_text()
    try:
        node.config.write_text(text + "[limits]\nrecipients = 2\n")
        node.ctl("reload")
        for index in range(node.workers):
            with contextlib.closing(node.connect(index)) as client:
                client.ehlo()
                client.mail("a@b.test")
                assert client.rcpt("bob@a.test")[0] == 250
                assert client.rcpt("alice@a.test")[0] == 250
                assert client.rcpt("postmaster@a.test")[0] == 452
    finally:
        node.config.write_text(text)
        node.ctl("reload")


# what follows changes its servers


@pytest.fixture
def made(tmp_path):
    """Makes servers that are stopped at the end."""
    servers = []

    def make(workers=2, **options):
        server = Workers(tmp_path / f"node{len(servers)}", workers, **options)
        servers.append(server)
        server.start()
        server.add_account("bob@a.test")
        return server

    yield make
    for server in servers:
        server.stop()


class Sender(threading.Thread):
    """Sends one message after the other, on a new connection whenever one breaks, and notes what was acknowledged."""

    def __init__(self, node, name):
        super().__init__(daemon=True)
        self.node, self.label = node, name
        self.acknowledged = []
        self.ending = threading.Event()
        self.start()

    def run(self):
        number = 0
        while not self.ending.is_set():
            with contextlib.suppress(OSError, smtplib.SMTPException):
                client = smtplib.SMTP(self.node.address, self.node.ports["smtp"], timeout=30)
                while not self.ending.is_set():
                    number += 1
                    name = f"{self.label}-{number}"
                    send(client, name)
                    self.acknowledged.append(name)

    def end(self):
        self.ending.set()
        self.join(60)
        assert not self.is_alive()
        return self.acknowledged


def check_kept(node, senders):
    """Everything acknowledged is there, whole, and nothing but what was sent is there."""
    acknowledged = [name for sender in senders for name in sender.end()]
    wire = Wire(node, "bob@a.test", "INBOX")
    bodies = b"\n".join(wire.ask("FETCH 1:* (BODY.PEEK[TEXT])"))
    found = re.findall(rb"body of (\S+)", bodies)
    missing = set(acknowledged) - {name.decode() for name in found}
    assert not missing, f"{len(missing)} of {len(acknowledged)} are lost"
    assert len(acknowledged) > 20


def test_killed_workers_come_back_and_lose_nothing_acknowledged(made):
    node = made(3)
    senders = [Sender(node, f"s{number}") for number in range(6)]
    for _ in range(3):
        wait_for(lambda: len(node.pids) == 3, "all workers")
        before = sum(len(sender.acknowledged) for sender in senders)
        wait_for(lambda before=before: sum(len(s.acknowledged) for s in senders) > before + 10, "some mail")
        victim = node.pids[1]
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda victim=victim: victim not in node.pids, "its end")
    wait_for(lambda: len(node.pids) == 3, "all workers")
    check_kept(node, senders)
    ends = node.events("worker.ended")
    assert [event["code"] for event in ends] == [-9] * 3
    assert node.metrics()["mailnode_workers_ended_total",] == 3
    # The counts of the dead are free again: nobody else is connected.
    Wire.opened.pop().close()
    wait_for(lambda: node.metrics().get(("mailnode_sessions_open", "smtp"), 0) == 0, "the end of all sessions")


def test_when_the_first_is_killed_all_end_at_once_and_nothing_acknowledged_is_lost(made):
    node = made(3)
    for turn in range(2):
        senders = [Sender(node, f"t{turn}s{number}") for number in range(4)]
        wait_for(lambda senders=senders: sum(len(sender.acknowledged) for sender in senders) > 40, "some mail")
        pids = node.pids
        assert len(pids) == 3
        node.kill()
        started = time.monotonic()
        wait_for(lambda pids=pids: all(map(gone, pids)), "the end of the others")
        assert time.monotonic() - started < 2
        for sender in senders:
            sender.ending.set()
        node.start()
        check_kept(node, senders)


def test_a_stop_lets_the_sessions_of_all_end(made):
    node = made(2)
    clients = [node.connect(index) for index in range(2)]
    for client in clients:
        client.ehlo()
        client.mail("a@b.test")
        client.rcpt("bob@a.test")
        client.docmd("DATA")
    pids = node.pids
    node.process.popen.send_signal(signal.SIGTERM)
    with pytest.raises(OSError):
        while True:
            socket.create_connection((node.address, node.ports["smtp"]), 5).close()
            time.sleep(0.02)
    for number, client in enumerate(clients):
        client.send(MESSAGE.format(f"last-{number}") + ".\r\n")
        assert client.getreply()[0] == 250
        client.close()
    assert node.process.popen.wait(PATIENCE) == 0
    assert all(map(gone, pids))
    assert [event["code"] for event in node.events("worker.ended")] == [0]
    node.start()
    wire = Wire(node, "bob@a.test", "INBOX")
    assert len(uids(wire, "last-")) == 2


def test_sigterm_to_a_further_worker_replaces_it_gently(made):
    node = made(2)
    client = node.connect(1)
    first = node.pids
    os.kill(first[1], signal.SIGTERM)
    client.close()
    wait_for(lambda: first[1] not in node.pids and len(node.pids) == 2, "another")
    assert node.events("worker.ended")[0]["code"] == 0
    with contextlib.closing(node.connect(1)) as client:
        send(client, "to the new one")


def test_a_second_sigterm_ends_all_at_once(made):
    node = made(2)
    clients = [node.connect(index) for index in range(2)]
    for client in clients:
        client.ehlo()
        client.mail("a@b.test")
    pids = node.pids
    node.process.popen.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    node.process.popen.send_signal(signal.SIGTERM)
    assert node.process.popen.wait(5) == 1
    wait_for(lambda: all(map(gone, pids)), "the end", 2)
    for client in clients:
        client.close()


def test_limits_count_all_workers_together(made):
    node = made(2, extra="[limits]\nconnections = 30\nconnections_per_address = 3\nsessions_per_account = 2\n")
    clients = [node.connect(index) for index in (0, 1, 1)]
    for index in (0, 1):
        with pytest.raises((smtplib.SMTPException, OSError)):
            node.connect(index)
    clients.pop().close()
    wait_for(lambda: accepted(node, 0), "a place that is free again")
    for client in clients:
        client.close()

    wires = [node.wire(index) for index in (0, 1)]
    for index in (0, 1):
        with pytest.raises((AssertionError, ConnectionError)):
            node.wire(index)
    for wire in Wire.opened[2:]:
        wire.close()
    wires[1].ask("LOGOUT")
    wires[1].close()
    wait_for(lambda: again(node, 0), "a session that is free again")


def accepted(node, index):
    with contextlib.suppress(smtplib.SMTPException, OSError):
        node.connect(index).close()
        return True
    return False


def again(node, index):
    with contextlib.suppress(AssertionError, ConnectionError):
        return node.wire(index)
    return None


def test_a_killed_worker_frees_what_it_held(made):
    node = made(2, extra="[limits]\nconnections_per_address = 3\nsessions_per_account = 2\n")
    wires = [node.wire(1) for _ in range(2)]
    clients = [node.connect(1) for _ in range(3)]
    assert not accepted(node, 0) and again(node, 0) is None
    os.kill(node.pids[1], signal.SIGKILL)
    wait_for(lambda: len(node.pids) == 2 and len(node.events("worker.start")) == 2, "another")
    assert accepted(node, 0)
    node.wire(0)
    for one in (*wires, *clients):
        one.close()


def test_a_unix_socket_is_shared_and_left_alone(tmp_path, made):
    path = tmp_path / "lmtp"
    node = made(2, extra=f'[[listener]]\nprotocol = "lmtp"\nendpoint = "unix:{path}:mode=600"\n')
    for index in (0, 1):
        with node.only(index):
            client = smtplib.LMTP(str(path))
        send(client, f"lmtp-{index}")
        client.quit()
    assert path.stat().st_mode & 0o777 == 0o600
    os.kill(node.pids[1], signal.SIGTERM)
    wait_for(lambda: len(node.events("worker.start")) == 2, "another")
    with node.only(1):
        client = smtplib.LMTP(str(path))
    send(client, "lmtp-again")
    client.quit()
    assert len(uids(Wire(node, "bob@a.test", "INBOX"), "lmtp-")) == 3
    assert path.stat().st_mode & 0o777 == 0o600
    assert node.stop() == 0
    assert not path.exists()


def test_behind_a_proxy_every_worker_knows_the_client(made):
    node = made(2)
    port = free_port()
    text = node.config.read_text()
    node.config.write_text(
        text + f'[[listener]]\nprotocol = "smtp"\nendpoint = "haproxy:tcp:{port}:interface=127.0.0.1"\n'
        'proxy_from = ["127.0.0.1"]\n'
    )
    node.stop()
    node.start()
    for index in (0, 1):
        with node.only(index), socket.create_connection((node.address, port), 60) as raw:
            raw.sendall(b"PROXY TCP4 192.0.2.%d 192.0.2.99 1 25\r\n" % (index + 1))
            assert raw.recv(100).startswith(b"220")
    for index in (0, 1):
        node.wait_event("session.open", peer=f"192.0.2.{index + 1}")


def test_new_certificates_reach_all(made):
    node = made(2)
    old = [shown(node, index) for index in range(2)]
    authority = trustme.CA()
    issued = authority.issue_cert(node.hostname, "localhost", node.address)
    issued.private_key_pem.write_to_path(str(node.folder / "key.pem"))
    issued.cert_chain_pems[0].write_to_path(str(node.folder / "cert.pem"))
    os.kill(node.process.popen.pid, signal.SIGHUP)
    node.wait_event("server.reload")
    new = wait_for(lambda: (found := shown(node, 1)) != old[1] and found, "the new certificate")
    assert shown(node, 0) == new
    os.kill(node.pids[1], signal.SIGKILL)
    wait_for(lambda: len(node.events("worker.start")) == 2, "another")
    assert shown(node, 1) == new


class Logging(Workers):
    """With a log file."""

    def twistd(self, *arguments):
        command = super().twistd(*arguments)
        at = command.index("mailnode")
        return [*command[:at], f"--logfile={self.folder / 'log'}", *command[at:]]

    def start(self):
        self.process = Process(self.twistd("--config", str(self.config)), cwd=self.folder, env=self._env)
        wait_for(lambda: self.events("server.start"), "the server", PATIENCE)
        return self

    def events(self, name):
        path = self.folder / "log"
        lines = path.read_text().splitlines() if path.exists() else []
        return [event for event in map(json.loads, lines) if event.get("event") == name]


def test_log_lines_of_all_stay_whole_and_follow_a_new_file(tmp_path):
    node = Logging(tmp_path / "node", 3)
    node.start()
    try:
        node.add_account("bob@a.test")
        senders = [Sender(node, f"s{number}") for number in range(6)]
        wait_for(lambda: sum(len(sender.acknowledged) for sender in senders) > 100, "some mail")
        old = node.folder / "log.1"
        (node.folder / "log").rename(old)
        os.kill(node.process.popen.pid, signal.SIGUSR1)
        wait_for((node.folder / "log").exists, "a new log")
        before = sum(len(sender.acknowledged) for sender in senders)
        wait_for(lambda: sum(len(sender.acknowledged) for sender in senders) > before + 100, "more mail")
        time.sleep(0.2)
        size = old.stat().st_size
        acknowledged = [name for sender in senders for name in sender.end()]
        assert old.stat().st_size == size, "somebody writes to the old one"
    finally:
        assert node.stop() == 0
    lines = [json.loads(line) for path in (old, node.folder / "log") for line in path.read_text().splitlines()]
    sessions = [line["session"] for line in lines if line.get("event") == "session.open"]
    assert len(sessions) == len(set(sessions))
    assert sum(line.get("event") == "message.accepted" for line in lines) >= len(acknowledged)
    assert (node.folder / "log").stat().st_mode & 0o777 == 0o600


def test_a_daemon_with_workers(tmp_path):
    node = Workers(tmp_path / "node", 2)
    pid_file = node.folder / "pid"
    command = node.twistd("--config", str(node.config))
    command = [part for part in command if part not in ("-n", "--pidfile=")]
    at = command.index("mailnode")
    command[at:at] = [f"--pidfile={pid_file}", f"--logfile={node.folder / 'log'}"]
    subprocess.run(command, cwd=node.folder, env=node._env, check=True, timeout=60)
    first = int(pid_file.read_text())
    try:
        events = [json.loads(line) for line in (node.folder / "log").read_text().splitlines()]
        [started] = [event for event in events if event.get("event") == "worker.start"]
        assert any(event.get("event") == "server.start" for event in events)
        assert not gone(started["pid"])
        node.add_account("bob@a.test")
        with contextlib.closing(smtplib.SMTP(node.address, node.ports["smtp"])) as client:
            send(client, "to a daemon")
    finally:
        os.kill(first, signal.SIGTERM)
        wait_for(lambda: gone(first), "the end", 30)
    assert gone(started["pid"])


def test_only_the_first_reads_keys(made):
    """It may do so as root; the others are started by who has given up that."""
    node = made(2)
    certificate = shown(node, 0)
    (node.folder / "key.pem").unlink()
    (node.folder / "cert.pem").unlink()
    os.kill(node.pids[1], signal.SIGKILL)
    wait_for(lambda: len(node.events("worker.start")) == 2, "another")
    assert shown(node, 1) == certificate


def test_a_worker_that_cannot_start_is_a_reason_not_to_start(tmp_path):
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "sitecustomize.py").write_text(
        "import os, sys\nif 'mailnode.server.processes.worker' in sys.orig_argv:\n    os._exit(3)\n"
    )
    node = Workers(tmp_path / "node", 2, path=(tmp_path / "path",))
    node.process = Process(node.twistd("--config", str(node.config)), cwd=node.folder, env=node._env)
    try:
        assert node.process.popen.wait(PATIENCE) == 1
    finally:
        node.process.stop()
    node.process.wait_line("server.workers: a worker ended or hung while it started")
    assert [event["code"] for event in node.events("worker.ended")] == [3]


def test_sessions_find_out_when_every_hint_between_processes_is_lost(tmp_path):
    """The poll is the net under lost hints."""
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "sitecustomize.py").write_text(
        "import mailnode.server.processes.hints as hints\nhints.SharedHints._send = lambda self: None\n"
    )
    node = Workers(tmp_path / "node", 2, path=(tmp_path / "path",))
    node.start()
    try:
        node.add_account("bob@a.test")
        for taker, watcher in ((0, 1), (1, 0)):
            idle = node.wire(watcher)
            idle.begin("IDLE")
            while not idle.line().startswith(b"+ "):
                pass
            with contextlib.closing(node.connect(taker)) as client:
                send(client, f"unheard-{taker}")
            assert b"EXISTS" in idle.line()
            if taker == 1:  # queued by one, carried out by the queue of the other
                with contextlib.closing(node.connect(1, "submission")) as client:
                    client.starttls(context=ssl.create_default_context(cafile=node.ca))
                    client.login("bob@a.test", PASSWORD)
                    told, message = ["NOTIFY=SUCCESS"], MESSAGE.format("unwoken").replace("a@b.test", "bob@a.test")
                    client.sendmail("bob@a.test", ["bob@a.test"], message, rcpt_options=told)
                wait_for(lambda idle=idle: b"EXISTS" in idle.line(), "the queue's own look", 60)
    finally:
        assert node.stop() == 0
