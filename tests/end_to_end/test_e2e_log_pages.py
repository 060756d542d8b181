"""What docs/logs.rst says can be done with the log: fail2ban's filter on lines of a real server, and a message followed."""

from __future__ import annotations

import imaplib
import poplib
import re
import shutil
import smtplib
import ssl
import subprocess

import pytest
from servers import PASSWORD, ROOT, Dns, MailNode, program

from tests.free_ports import free_port

FOLDER = ROOT / "etc/fail2ban"
PAGE = (ROOT / "docs/logs.rst").read_text()
INJECTED = 'x" peer=192.0.2.66 reason="wrong login or password'


@pytest.fixture(scope="module", params=["text", "json"])
def log(request, tmp_path_factory):
    """The lines of a server in one form of the log, after failed logins, good ones, and other refusals."""
    node = MailNode(tmp_path_factory.mktemp(request.param))
    node.config.write_text(node.config.read_text().replace('log = "json"', f'log = "{request.param}"'))
    node.start()
    try:
        node.add_account("alice@a.test")
        context = ssl.create_default_context(cafile=str(node.ca))
        with (
            pytest.raises(smtplib.SMTPAuthenticationError),
            smtplib.SMTP_SSL("localhost", node.ports["submissions"], context=context, timeout=60) as client,
        ):
            client.login("alice@a.test", "wrong by SMTP")
        for user in ("nobody@a.test", INJECTED):
            with pytest.raises(imaplib.IMAP4.error):
                client = imaplib.IMAP4_SSL("localhost", node.ports["imaps"], ssl_context=context, timeout=60)
                client.login('"' + user.replace('"', '\\"') + '"', "wrong by IMAP")
            client.shutdown()
        client = poplib.POP3_SSL("localhost", node.ports["pop3s"], context=context, timeout=60)
        client.user("alice@a.test")
        with pytest.raises(poplib.error_proto):
            client.pass_("wrong by POP3")
        client.close()

        client = imaplib.IMAP4_SSL("localhost", node.ports["imaps"], ssl_context=context, timeout=60)
        client.login("alice@a.test", PASSWORD)
        client.logout()
        with smtplib.SMTP("localhost", node.ports["smtp"], timeout=60) as client:
            client.helo("session.refused")
            client.mail("x@side.test")
            assert client.rcpt("y@elsewhere.test")[0] == 550
    finally:
        node.stop()
    return node.process.lines


def fail2ban(lines, tmp_path):
    """Return (addresses found, lines that match nothing) by Debian's fail2ban-regex."""
    (tmp_path / "log").write_text("\n".join(lines) + "\n")
    command = program("fail2ban-regex")
    # As filters are installed: with the files they include beside them.
    (tmp_path / "mailnode.conf").write_text((FOLDER / "filter.conf").read_text())
    shutil.copy("/etc/fail2ban/filter.d/common.conf", tmp_path)
    done = subprocess.run(
        [command, "--usedns=no", "-o", "ip", str(tmp_path / "log"), str(tmp_path / "mailnode.conf")],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split()


def test_fail2ban_finds_every_failed_login_and_nothing_else(log, tmp_path):
    refused = [line for line in log if "session.refused" in line and "protocol" in line]
    assert len(refused) == 5 and any("192.0.2.66" in line for line in refused)
    assert fail2ban(log, tmp_path) == ["127.0.0.1"] * 5
    assert fail2ban([line for line in log if line not in refused], tmp_path) == []


EXAMPLE = [line.strip() for line in re.findall(r"^   (20\d\d-.+)$", PAGE, re.MULTILINE)]
PAIR = re.compile(r' (\w+)=("(?:[^"\\]|\\.)*"|\S+)')


def shape(line):
    """Return a line's event and the names of its fields."""
    event, _, rest = line.partition(" ")[2].partition(" ")
    return event, [name for name, _ in PAIR.findall(" " + rest)]


def test_a_message_leaves_the_lines_of_the_page(tmp_path):
    port = free_port("127.0.0.2")
    dns = Dns(tmp_path / "dns", ["mx-host=b.test,mx1.b.test,10", "host-record=mx1.b.test,127.0.0.2", "local=/b.test/"])
    away = MailNode(tmp_path / "away", ("b.test",), address="127.0.0.2", smtp_port=port)
    here = MailNode(tmp_path / "here", dns=dns, extra=f"[queue]\nport = {port}\n")
    here.config.write_text(here.config.read_text().replace('log = "json"', 'log = "text"'))
    try:
        away.start().add_account("bob@b.test")
        here.start().add_account("alice@a.test")
        here.process.wait_line(" admin.command ")
        begun = len(here.process.lines)
        context = ssl.create_default_context(cafile=str(here.ca))
        with smtplib.SMTP_SSL("localhost", here.ports["submissions"], context=context, timeout=60) as client:
            client.login("alice@a.test", PASSWORD)
            client.sendmail("alice@a.test", ["bob@b.test", "alice@a.test"], "From: alice@a.test\r\n\r\nx\r\n")
        for event in ("queue.sent", "queue.removed", "session.close"):
            here.process.wait_line(f" {event} ", after=begun)
        lines = here.process.lines[begun:]
    finally:
        for server in (here, away, dns):
            server.stop()
    # What happens side by side may be logged in another order.
    assert sorted(map(shape, lines)) == sorted(map(shape, EXAMPLE))
    followed = [line for line in lines if re.search(r"envelope=(\w+)", EXAMPLE[4])[0][:9] in line]
    assert len({re.search(r"envelope=(\w+)", line)[1] for line in followed}) == 1
    assert len({re.search(r"session=(\w+)", line)[1] for line in lines if "session=" in line}) == 1
