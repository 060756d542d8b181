"""Mail programs nobody here wrote, against a running server."""

import json
import os
import pty
import select
import signal
import subprocess
from email import message_from_bytes
from email.message import EmailMessage

import pytest
from beside import Beside
from recorder import Recorder
from servers import PASSWORD, program


def run(command, folder, stdin=b"", env=None, codes=(0,)):
    done = subprocess.run(
        command,
        input=stdin,
        capture_output=True,
        cwd=folder,
        timeout=120,
        env=dict(os.environ, HOME=str(folder), **(env or {})),
    )
    assert done.returncode in codes, f"{command}: {done.returncode}\n{done.stdout.decode()}\n{done.stderr.decode()}"
    return done.stdout


def text(subject, sender="alice@a.test", to="bob@a.test"):
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = sender, to, subject
    made.set_content("A body.\n")
    return made.as_bytes()


def deliver(node, folder, subject, to="bob@a.test"):
    """Put one message into a mailbox over SMTP with swaks."""
    run(
        [program("swaks"), "--server", node.address, "--port", str(node.ports["smtp"]), "--from", "out@side.test"]
        + ["--to", to, "--header", f"Subject: {subject}", "--silent", "2"],
        folder,
    )


def curl(node, folder, *arguments):
    return run([program("curl"), "-sS", "--cacert", str(node.ca), "--max-time", "60", *arguments], folder)


def imap_url(node, path=""):
    return f"imaps://localhost:{node.ports['imaps']}/{path}"


def test_curl_sends_and_reads(node, tmp_path):
    (tmp_path / "mail").write_bytes(text("by curl"))
    curl(
        node,
        tmp_path,
        "--ssl-reqd",
        "--url",
        f"smtp://localhost:{node.ports['submission']}",
        "--user",
        f"alice@a.test:{PASSWORD}",
        "--mail-from",
        "alice@a.test",
        "--mail-rcpt",
        "bob@a.test",
        "--crlf",
        "--upload-file",
        "mail",
    )
    login = ["--user", f"bob@a.test:{PASSWORD}"]
    found = curl(node, tmp_path, *login, imap_url(node, "INBOX?SUBJECT%20%22by%20curl%22")).split()
    assert found[:2] == [b"*", b"SEARCH"] and len(found) == 3
    body = curl(node, tmp_path, *login, imap_url(node, f"INBOX/;MAILINDEX={found[2].decode()}"))
    assert b"Subject: by curl\r\n" in body and body.endswith(b"A body.\r\n")
    listing = curl(node, tmp_path, *login, f"pop3s://localhost:{node.ports['pop3s']}/").splitlines()
    last = listing[-1].split()[0].decode()
    assert b"Subject:" in curl(node, tmp_path, *login, f"pop3s://localhost:{node.ports['pop3s']}/{last}")


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_swaks_submits(node, tmp_path, mechanism):
    run(
        [
            program("swaks"),
            "--server",
            node.address,
            "--port",
            str(node.ports["submission"]),
            "-tls",
            "--auth",
            mechanism,
        ]
        + ["--auth-user", "alice@a.test", "--auth-password", PASSWORD, "--from", "alice@a.test", "--to", "bob@a.test"]
        + ["--header", f"Subject: swaks {mechanism}", "--tls-ca-path", str(node.ca)],
        tmp_path,
    )


def test_swaks_speaks_lmtp(node, tmp_path):
    run(
        [program("swaks"), "--protocol", "LMTP", "--server", node.address, "--port", str(node.ports["lmtp"])]
        + ["--from", "out@side.test", "--to", "bob@a.test,alice@a.test"],
        tmp_path,
    )


def test_swaks_is_refused_as_a_stranger(node, tmp_path):
    output = run(
        [program("swaks"), "--server", node.address, "--port", str(node.ports["smtp"]), "--from", "a@side.test"]
        + ["--to", "someone@else.test"],
        tmp_path,
        codes=(24,),  # swaks: no recipients accepted
    )
    assert b"550 5.7.1" in output


@pytest.mark.parametrize("method", ["plain", "scram-sha-256"])
def test_msmtp_submits(node, tmp_path, method):
    (tmp_path / "msmtprc").write_text(
        f"""account default
host localhost
port {node.ports["submission"]}
tls on
tls_starttls on
tls_trust_file {node.ca}
auth {method}
user alice@a.test
password {PASSWORD}
from alice@a.test
"""
    )
    (tmp_path / "msmtprc").chmod(0o600)
    run([program("msmtp"), "-C", "msmtprc", "bob@a.test"], tmp_path, text(f"msmtp {method}"))


def test_mbsync_mirrors_both_ways(node, tmp_path):
    node.add_account("mbsync@a.test")
    for number in range(5):
        deliver(node, tmp_path, f"number {number}", "mbsync@a.test")
    (tmp_path / "mbsyncrc").write_text(
        f"""IMAPAccount node
Host localhost
Port {node.ports["imaps"]}
User mbsync@a.test
Pass "{PASSWORD}"
SSLType IMAPS
CertificateFile {node.ca}

IMAPStore far
Account node

MaildirStore near
Path {tmp_path}/mail/
Inbox {tmp_path}/mail/inbox
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
"""
    )
    (tmp_path / "mail").mkdir()
    command = [program("mbsync"), "-c", "mbsyncrc", "-a"]
    run(command, tmp_path)
    inbox = tmp_path / "mail" / "inbox"

    def near():
        return {message_from_bytes(path.read_bytes())["Subject"]: path for path in inbox.glob("[nc]*/*")}

    there = near()
    assert set(there) == {f"number {digit}" for digit in range(5)}
    assert (tmp_path / "mail" / "Archive").is_dir()
    first = there["number 0"]
    first.rename(inbox / "cur" / (first.name.partition(":")[0] + ":2,FS"))
    there["number 1"].unlink()
    (tmp_path / "mail" / "Archive" / "new" / "1.local.test").write_bytes(text("uploaded", to="mbsync@a.test"))
    with Beside(node, "mbsync@a.test") as other:
        other.add_flags(other.uid("number 2"), ["\\Flagged"])
        other.move(other.uid("number 3"), "Archive")
        other.delete_messages(other.uid("number 4"))
        other.expunge()
        other.put("arrived")
        run(command, tmp_path)
        other.expect({"number 0": {"\\Seen", "\\Flagged"}, "number 2": {"\\Flagged"}, "arrived": set()})
        other.expect({"uploaded": set(), "number 3": set()}, "Archive")
    assert set(near()) == {"number 0", "number 2", "arrived"}
    assert near()["number 2"].name.endswith(":2,F")


def test_offlineimap_mirrors_both_ways_over_a_compressed_connection(node, tmp_path):
    node.add_account("offline@a.test")
    recorder = Recorder(node)
    (tmp_path / "rc").write_text(
        f"""[general]
accounts = node
ui = basic
metadata = {tmp_path}/meta
[Account node]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = {tmp_path}/mail
[Repository far]
type = IMAP
remotehost = localhost
remoteport = {recorder.port}
remoteuser = offline@a.test
remotepass = {PASSWORD}
ssl = yes
sslcacertfile = {node.ca}
auth_mechanisms = PLAIN
usecompression = yes
"""
    )
    command = [program("offlineimap"), "-c", "rc", "-o"]
    inbox = tmp_path / "mail" / "INBOX"

    def near():
        return sorted([*inbox.glob("new/*"), *inbox.glob("cur/*")], key=lambda path: path.read_bytes())

    try:
        with Beside(node, "offline@a.test") as other:
            other.put("number 0", "number 1", "number 2")
            run(command, tmp_path)
            recorder.wait(" COMPRESS DEFLATE$")
            first, second, third = near()
            first.rename(inbox / "cur" / (first.name.partition(":")[0] + ":2,FS"))
            second.unlink()
            (inbox / "new" / "1.local.test").write_bytes(text("uploaded", to="offline@a.test"))
            other.add_flags(other.uid("number 2"), ["\\Flagged"])
            other.put("arrived")
            run(command, tmp_path)
            other.expect(
                {"number 0": {"\\Seen", "\\Flagged"}, "number 2": {"\\Flagged"}, "uploaded": set(), "arrived": set()}
            )
            assert len(near()) == 4 and third.name.partition(":")[0] in str(near())
            assert next(path for path in near() if b"Subject: number 2" in path.read_bytes()).name.endswith(":2,F")
    finally:
        recorder.stop()


@pytest.mark.parametrize("protocol", ["POP3", "IMAP"])
def test_fetchmail_downloads_and_removes(node, tmp_path, protocol):
    user = f"fetchmail-{protocol.lower()}@a.test"
    node.add_account(user)
    for number in range(3):
        deliver(node, tmp_path, f"number {number}", user)
    (tmp_path / "rc").write_text(
        f"""poll localhost protocol {protocol} port {node.ports["pop3s" if protocol == "POP3" else "imaps"]}
  user "{user}" password "{PASSWORD}" ssl sslcertfile {node.ca} fetchall no keep
  mda "cat >> {tmp_path}/got"
"""
    )
    (tmp_path / "rc").chmod(0o700)
    command = [program("fetchmail"), "-f", "rc", "--pidfile", f"{tmp_path}/pid", "--nodetach"]
    environment = {"FETCHMAILHOME": str(tmp_path)}
    run(command, tmp_path, env=environment)
    assert (tmp_path / "got").read_bytes().count(b"Subject: number") == 3
    run(command, tmp_path, env=environment, codes=(1,))  # fetchmail: no mail


@pytest.mark.parametrize("kind", ["POP3", "IMAP"])
def test_getmail_downloads(node, tmp_path, kind):
    user = f"getmail-{kind.lower()}@a.test"
    node.add_account(user)
    for number in range(3):
        deliver(node, tmp_path, f"number {number}", user)
    (tmp_path / "rc").write_text(
        f"""[retriever]
type = Simple{kind}SSLRetriever
server = localhost
port = {node.ports["pop3s" if kind == "POP3" else "imaps"]}
username = {user}
password = {PASSWORD}
ca_certs = {node.ca}
[destination]
type = MDA_external
path = /usr/bin/tee
arguments = ("-a", "{tmp_path}/got")
allow_root_commands = true
[options]
delete = true
read_all = false
"""
    )
    command = [program("getmail"), f"--getmaildir={tmp_path}", "--rcfile=rc"]
    for _ in range(2):  # the second time there is nothing left
        run(command, tmp_path)
        assert (tmp_path / "got").read_bytes().count(b"Subject: number") == 3


def at_a_terminal(command, folder, seconds=60):
    """Run a program that needs a terminal to its end; return its exit status and what was on the screen."""
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(folder)
        os.execve(command[0], command, {**os.environ, "HOME": str(folder), "TERM": "xterm"})
    screen = b""
    try:
        while select.select([terminal], [], [], seconds)[0]:
            screen += os.read(terminal, 65536)
        os.kill(pid, signal.SIGKILL)
    except OSError:
        pass  # the terminal ends with the program
    os.close(terminal)
    return os.waitpid(pid, 0)[1], screen.decode("utf-8", "replace")


def test_neomutt_sends_reads_flags_and_copies(node, tmp_path):
    node.add_account("mutt@a.test")
    (tmp_path / "rc").write_text(
        f"""set hostname = "client.test"
set from = "mutt@a.test"
set smtp_url = "smtps://mutt@a.test@localhost:{node.ports["submissions"]}/"
set smtp_pass = "{PASSWORD}"
set imap_user = "mutt@a.test"
set imap_pass = "{PASSWORD}"
set folder = "imaps://localhost:{node.ports["imaps"]}/"
set spoolfile = "+INBOX"
set ssl_ca_certificates_file = "{node.ca}"
set certificate_file = "{node.ca}"
set confirm_append = no
set quit = yes
set wait_key = no
"""
    )
    (tmp_path / "read").write_text("source rc\npush '<flag-message><copy-message>=Archive<enter><quit>'\n")
    mutt = program("neomutt")
    run([mutt, "-F", "rc", "-n", "-s", "by neomutt", "--", "mutt@a.test"], tmp_path, b"Hello\n", env={"TERM": "dumb"})
    node.wait_event("message.delivered", recipient="mutt@a.test")
    status, screen = at_a_terminal([mutt, "-F", "read", "-n"], tmp_path)
    assert status == 0, screen
    login = ["--user", f"mutt@a.test:{PASSWORD}"]
    for mailbox in ("INBOX", "Archive"):
        found = curl(node, tmp_path, *login, imap_url(node, f"{mailbox}?FLAGGED%20SUBJECT%20%22by%20neomutt%22"))
        assert len(found.split()) == 3, mailbox


def test_the_commands_answer_in_json(node):
    accounts = json.loads(node.ctl("account", "list", "--json").stdout)
    assert {"alice@a.test", "bob@a.test"} <= {account["address"] for account in accounts}
    assert node.ctl("account", "show", "nobody@a.test", check=False).returncode == 3
