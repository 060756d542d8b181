"""What a reload takes over is in effect in every process and in every room; what stands goes on, and goes on being counted."""

import contextlib
import json
import os
import poplib
import signal
import smtplib
import socket
import ssl
from functools import partial

import pytest
import trustme
from imap_wire import Wire
from servers import wait_for
from ways import BUFFER, EveryWay, large
from worker_servers import Workers, gone, shown

from mailnode.config.schema import Limits

BEFORE = "[limits]\nmessage_size = 5000\n"
SIZE = 200_000


class Node(EveryWay, Workers):
    """One that is reached in every way."""


@pytest.fixture(scope="module", params=[1, 2])
def node(request, tmp_path_factory):
    server = Node(tmp_path_factory.mktemp("reload"), request.param, extra=BEFORE)
    server.start()
    try:
        server.add_account("bob@a.test")
        yield server
    finally:
        assert server.stop() == 0


@pytest.fixture
def hung_up():
    yield
    while Wire.opened:
        Wire.opened.pop().close()


def everywhere(node):
    return range(node.workers)


def reload(node):
    """Reload, see that all processes serve the same, return what was applied."""
    told = json.loads(node.ctl("reload", "--json").stdout)
    assert told["needs_restart"] == [] == told["mistakes"]
    assert [one["generation"] for one in told["processes"]] == [told["generation"]] * node.workers
    page = node.metrics()
    for process in range(1, node.workers + 1):
        assert page["mailnode_config_generation", str(process)] == told["generation"]
    return told["applied"]


def refused(node, index):
    """Whether a further connection is turned away by one of the processes."""
    with node.only(index), socket.create_connection((node.address, node.ports["smtp"]), 60) as raw:
        return not raw.recv(1000).startswith(b"220")


def lmtp(node, index):
    client = smtplib.LMTP()
    client.timeout = 60
    with node.only(index):
        client.connect(node.address, node.ports["lmtp"])
    return client


# One for each key of [limits]: up to ``yield`` before the reload, then after it.


def message_size(node):
    standing = [node.connect(index) for index in everywhere(node)]
    for client in standing:
        client.ehlo()
    yield
    message = large("large", 144_000, sender="bob@a.test")
    assert SIZE > len(message) > 5000 + BUFFER
    for dial in (each for index in everywhere(node) for each in node.dials(taking=partial(node.only, index))):
        for client in (dial.smtp(), dial.submission("bob@a.test"), dial.lmtp()):
            client.ehlo_or_helo_if_needed()
            assert client.esmtp_features["size"] == str(SIZE)
            assert client.sendmail("bob@a.test", ["bob@a.test"], message) == {}
            with pytest.raises(smtplib.SMTPException, match="552"):
                client.sendmail("bob@a.test", ["bob@a.test"], message * 2)
            client.close()
        wire = Wire(node, "bob@a.test", dial=dial)
        assert wire.append("INBOX", message).startswith(b"OK")
        tag = wire.begin(f"APPEND INBOX {{{SIZE + 1}}}")
        assert b"TOOBIG" in wire.finish(tag)[0]
    for client in standing:  # the offer they were made holds
        assert client.docmd("MAIL FROM:<x@b.test> SIZE=6000")[0] == 552
        assert client.sendmail("x@b.test", ["bob@a.test"], "Subject: small\r\n\r\nx\r\n") == {}
        client.close()


def recipients(node):
    yield
    for index in everywhere(node):
        with contextlib.closing(node.connect(index)) as client:
            client.ehlo()
            assert "RCPTMAX=1" in client.esmtp_features["limits"]
            client.mail("x@b.test")
            assert client.rcpt("bob@a.test")[0] == 250
            assert client.rcpt("postmaster@a.test")[0] == 452


def messages_per_session(node):
    yield
    for index in everywhere(node):
        with contextlib.closing(node.connect(index)) as client:
            client.ehlo()
            assert "MAILMAX=1" in client.esmtp_features["limits"]
            assert client.mail("x@b.test")[0] == 250
            client.rset()
            assert client.docmd("MAIL FROM:<x@b.test>")[0] == 421


def hops(node):
    yield
    for index in everywhere(node):
        with contextlib.closing(node.connect(index)) as client, pytest.raises(smtplib.SMTPDataError, match=r"5\.4\.6"):
            client.sendmail("x@b.test", ["bob@a.test"], "Received: by a\r\n" * 2 + "Subject: far\r\n\r\nx\r\n")


def connections(node):
    with contextlib.ExitStack() as standing:
        for turn in range(3):
            standing.enter_context(contextlib.closing(node.connect(turn % node.workers)))
        yield
        assert all(refused(node, index) for index in everywhere(node)), "those that stood are counted"
    wait_for(lambda: not refused(node, 0), "a place that is free again")


connections_per_address = connections


def sessions_per_account(node):
    standing = node.wire(node.workers - 1)
    yield
    for index in everywhere(node):
        with pytest.raises((AssertionError, ConnectionError)):
            node.wire(index)
    standing.ask("NOOP")


def errors(node):
    yield
    for index in everywhere(node):
        with contextlib.closing(node.connect(index)) as client:
            assert [client.docmd("WHAT")[0] for _ in range(4)] == [500, 500, 500, 421]
        wire = node.wire(index)
        with pytest.raises((ConnectionError, AssertionError)):
            for _ in range(4):
                wire.ask("WHAT")
                wire.ask("WHAT", ok=False)
        with node.only(index):
            box = poplib.POP3(node.address, node.ports["pop3"], timeout=60)
        box.close()


def smtp_timeout(node):
    yield
    for index in everywhere(node):
        for client in (node.connect(index), lmtp(node, index)):
            assert client.getreply()[0] == 421
            client.close()


def login_timeout(node):
    yield
    for index in everywhere(node):
        with contextlib.closing(node.connect(index, "submission")) as client:
            assert client.getreply()[0] == 421
        for name in ("imap", "pop3"):
            with node.only(index):
                raw = socket.create_connection((node.address, node.ports[name]), 60)
                greeting = raw.recv(1000)
            with raw:
                assert greeting[:4] in (b"* OK", b"+OK ")
                while raw.recv(1000):
                    pass


# Ten minutes at least, and what is of strangers, who do not come from here: tests/server/test_server_serving.py has clock and
# clients in its hands.
IN_PROCESS = {"pop3_timeout", "greet_pause", "neighbours"}
IN_PROCESS |= {f"{what}_per_minute" for what in ("connections", "messages", "recipients", "refused_recipients")}
VALUES = {
    message_size: SIZE,
    recipients: 1,
    messages_per_session: 1,
    hops: 1,
    connections: 3,
    sessions_per_account: 1,
    errors: 3,
    login_timeout: 1,
    smtp_timeout: 1,
}
TABLE = {check.__name__: (check, value) for check, value in VALUES.items()}
TABLE["connections_per_address"] = TABLE["connections"]


def test_the_table_is_whole():
    assert set(TABLE) | IN_PROCESS == set(Limits.model_fields)


@pytest.mark.usefixtures("hung_up")
@pytest.mark.parametrize("key", TABLE)
def test_a_limit_is_in_effect_in_every_process_and_room(node, key):
    check, value = TABLE[key]
    text = node.config.read_text()
    steps = check(node)
    next(steps)
    try:
        line = f"{key} = {value}\n"
        node.config.write_text(text.replace("message_size = 5000\n", line) if key == "message_size" else text + line)
        assert reload(node) == [f"limits.{key}"]
        with contextlib.suppress(StopIteration):
            next(steps)
    finally:
        node.config.write_text(text)
        assert reload(node) == [f"limits.{key}"]


def test_a_domain_comes_and_goes_in_every_process(node):
    text = node.config.read_text()

    def known(index):
        with contextlib.closing(node.connect(index)) as client:
            client.ehlo()
            client.mail("x@b.test")
            return client.rcpt("nobody@later.test")[1].startswith(b"5.1.1")

    assert not any(known(index) for index in everywhere(node))
    try:
        node.config.write_text(text + '[[domain]]\nname = "later.test"\n')
        assert reload(node) == ["domain[1]"]
        assert all(known(index) for index in everywhere(node))
    finally:
        node.config.write_text(text)
        assert reload(node) == ["domain[1]"]


def issue(node, name):
    """Write a certificate of this name and its key; return their paths."""
    issued = trustme.CA().issue_cert(name, common_name=name)
    paths = node.folder / f"{name}.pem", node.folder / f"{name}.key"
    issued.cert_chain_pems[0].write_to_path(str(paths[0]))
    issued.private_key_pem.write_to_path(str(paths[1]))
    return paths


def shown_for(node, index, name, port="imaps"):
    """The certificate that a client is shown who asks one of the processes for a name."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with node.only(index):
        raw = socket.create_connection((node.address, node.ports[port]), 60)
        with context.wrap_socket(raw, server_hostname=name) as secured:
            return secured.getpeercert(binary_form=True)


def der(path):
    return ssl.PEM_cert_to_DER_cert(path.read_text())


def test_other_certificate_files_are_shown_by_every_process(node):
    text = node.config.read_text()
    first, further = issue(node, "first.test"), issue(node, "further.test")
    before = shown(node, 0)
    try:
        changed = text.replace("cert.pem", first[0].name).replace("key.pem", first[1].name)
        node.config.write_text(changed + f'[[tls.name]]\ncertificate = "{further[0]}"\nkey = "{further[1]}"\n')
        assert reload(node) == ["tls"]
        for index in everywhere(node):
            assert shown(node, index) == der(first[0]) == shown_for(node, index, "first.test")
            assert shown_for(node, index, "further.test") == der(further[0])
        expiries = {key[1:] for key in node.metrics() if key[0] == "mailnode_certificate_expiry_seconds"}
        assert {(name, process) for name, _, process in expiries} == {
            (name, str(index + 1)) for name in ("first.test", "further.test") for index in everywhere(node)
        }
    finally:
        node.config.write_text(text)
        assert reload(node) == ["tls"]
    assert all(shown(node, index) == before for index in everywhere(node))


# what follows changes its servers


@pytest.fixture
def made(tmp_path):
    servers = []

    def make(workers, **options):
        server = Workers(tmp_path / f"node{len(servers)}", workers, **options)
        servers.append(server)
        return server

    yield make
    for server in servers:
        server.stop()


def begin_message(node, index):
    client = node.connect(index)
    client.ehlo()
    client.mail("x@b.test")
    client.rcpt("bob@a.test")
    client.docmd("DATA")
    return client


def test_the_grace_time_of_a_reload_holds_in_every_process(made):
    node = made(2)
    text = node.config.read_text().replace("grace = 10.0", "grace = 3000.0")
    node.config.write_text(text)
    node.start()
    node.add_account("bob@a.test")
    clients = [begin_message(node, index) for index in (0, 1)]
    node.config.write_text(text.replace("grace = 3000.0", "grace = 0.5"))
    assert reload(node) == ["server.grace"]
    further = node.pids[1]
    os.kill(further, signal.SIGTERM)
    wait_for(lambda: gone(further), "the end of a process whose session goes on", 60)
    assert node.process.stop(seconds=60) == 0
    for client in clients:
        client.close()


GATE = """
import os, pathlib, sys, time
if "mailnode.server.processes.worker" in sys.orig_argv:
    pathlib.Path({folder!r}, "began").touch()
    while not pathlib.Path({folder!r}, "go").exists():
        time.sleep(0.01)
"""


def test_a_process_that_starts_during_a_reload_serves_what_came(tmp_path, made):
    """One was killed, the next has been given the old state and has not read it yet."""
    gate = tmp_path / "gate"
    gate.mkdir()
    (gate / "go").touch()
    (gate / "sitecustomize.py").write_text(GATE.format(folder=str(gate)))
    node = made(2, path=(gate,))
    node.start()
    node.add_account("bob@a.test")
    text = node.config.read_text()
    (gate / "go").unlink()
    (gate / "began").unlink()
    os.kill(node.pids[1], signal.SIGKILL)
    wait_for((gate / "began").exists, "another", 60)
    other = issue(node, "other.test")
    node.config.write_text(
        text.replace("cert.pem", other[0].name).replace("key.pem", other[1].name)
        + '[limits]\nrecipients = 1\n[[domain]]\nname = "later.test"\n'
    )
    told = json.loads(node.ctl("reload", "--json").stdout)
    assert told["applied"] == ["limits.recipients", "domain[1]", "tls"]
    assert [one["process"] for one in told["processes"]] == [1], "the other one is not there yet"
    (gate / "go").touch()
    wait_for(lambda: len(node.events("worker.start")) == 2, "another that serves", 60)
    assert shown(node, 1) == der(other[0])
    with contextlib.closing(node.connect(1)) as client:
        client.ehlo()
        client.mail("x@b.test")
        assert client.rcpt("nobody@later.test")[1].startswith(b"5.1.1")
        assert client.rcpt("bob@a.test")[0] == 250
        assert client.rcpt("postmaster@a.test")[0] in (421, 452)
    assert json.loads(node.ctl("status", "--json").stdout)["processes"][1]["generation"] == told["generation"] == 2


def test_a_process_that_was_killed_comes_back_with_what_was_taken_over(made):
    node = made(2)
    node.start()
    node.add_account("bob@a.test")
    text = node.config.read_text()
    other = issue(node, "other.test")
    node.config.write_text(
        text.replace("cert.pem", other[0].name).replace("key.pem", other[1].name) + "[limits]\nrecipients = 1\n"
    )
    assert reload(node) == ["limits.recipients", "tls"]
    os.kill(node.pids[1], signal.SIGKILL)
    wait_for(lambda: len(node.events("worker.start")) == 2, "another", 60)
    assert shown(node, 1) == der(other[0])
    with contextlib.closing(node.connect(1)) as client:
        client.ehlo()
        assert "RCPTMAX=1" in client.esmtp_features["limits"]
    status = node.ctl("status").stdout
    assert "generation  2" in status and status.count("other.test") == 2
