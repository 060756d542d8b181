"""What people do with their mail teaches their filters, whatever program they do it with."""

import imaplib
import itertools
import json
import random
import shutil
import smtplib
import ssl

import pytest
from servers import PASSWORD, ROOT, MailNode, program, wait_for
from test_e2e_clients import run
from worker_servers import Workers

TRAINED = 30  # messages of each kind
LEARNT_WITHIN = 60  # seconds


def body(kind, number):
    draw = random.Random(f"{kind} {number}")
    own = {"junk": "pills watches replica discount casino winner", "good": "garden meeting monday report family dinner"}
    words = draw.choices(own[kind].split(), k=12) + draw.choices(
        ["the", "and", "with", "about", "from", "that", "please"], k=12
    )
    return " ".join(words)


def send(node, kind, number, *recipients):
    message = f"From: <{kind}@far.test>\r\nMessage-ID: <{kind}{number}@far.test>\r\nSubject: {kind} {number}\r\n\r\n"
    with smtplib.SMTP(node.address, node.ports["smtp"], "far.test") as client:
        client.sendmail(f"{kind}@far.test", recipients, message.replace(kind, "news") + body(kind, number) + "\r\n")


def login(node, user):
    client = imaplib.IMAP4(node.address, node.ports["imap"])
    client.starttls(trusting(node))
    client.login(user, PASSWORD)
    return client


def trusting(node):
    return ssl.create_default_context(cafile=str(node.ca))


def learnt(node, user):
    state = json.loads(node.ctl("filter", "show", user, "--json").stdout)
    return state["junk"], state["good"]


def wait_learnt(node, user, junk, good):
    wait_for(lambda: learnt(node, user) == (junk, good), f"{junk} junk and {good} good learnt", LEARNT_WITHIN)


def count(node, user, mailbox):
    client = login(node, user)
    status, (found,) = client.select(mailbox, readonly=True)
    assert status == "OK"
    client.logout()
    return int(found)


@pytest.fixture(params=[1, 2], ids=["one process", "two"])
def workers(request, tmp_path):
    server = Workers(tmp_path / "node", request.param).start()
    try:
        for name in ("alice", "bob"):
            server.add_account(f"{name}@a.test")
        yield server
    finally:
        server.stop()


def test_junk_lands_in_the_junk_of_who_taught_it_and_in_the_inbox_of_another(workers):
    node, alice, bob = workers, "alice@a.test", "bob@a.test"
    for number in range(TRAINED):
        send(node, "junk", number, alice)
        send(node, "good", number, alice)
    client = login(node, alice)
    client.select("INBOX")
    for number in range(1, 2 * TRAINED + 1):
        assert client.uid("MOVE", str(number), "Archive" if number % 2 == 0 else "Junk")[0] == "OK"
    client.logout()
    wait_learnt(node, alice, TRAINED, TRAINED)
    numbers = itertools.count(TRAINED)

    def junk_is_known():
        """A further process asks for a while as if nothing were learnt."""
        number = next(numbers)
        for one in (alice, bob):
            send(node, "junk", number, one)
        return count(node, alice, "Junk") > TRAINED

    wait_for(junk_is_known, "junk")
    for one in (alice, bob):
        send(node, "good", TRAINED, one)
    sent = next(numbers) - TRAINED
    assert (count(node, alice, "INBOX"), count(node, alice, "Junk")) == (sent, TRAINED + 1)
    assert (count(node, bob, "INBOX"), count(node, bob, "Junk")) == (sent + 1, 0)
    client = login(node, alice)
    client.select("Junk")
    _, found = client.uid("FETCH", str(TRAINED + 1), "(FLAGS BODY.PEEK[HEADER.FIELDS (X-Mailnode-Reason)])")
    said = b" ".join(part for one in found for part in (one if isinstance(one, tuple) else (one,)))
    assert b"words: words like those in what you took for junk: " in said and b"$Junk" in said
    # It was none: taken out, it is learnt as such.
    client.uid("MOVE", str(TRAINED + 1), "INBOX")
    client.logout()
    wait_learnt(node, alice, TRAINED, TRAINED + 1)
    assert node.ctl("filter", "forget", alice, "--yes")
    assert learnt(node, alice) == (0, 0)


def test_a_program_that_sets_keywords_first_and_one_that_uploads_what_it_moves(node, tmp_path):
    """As Thunderbird does, and as isync does."""
    node.add_account("carol@a.test")
    for number in range(3):
        send(node, "junk", number, "carol@a.test")
    client = login(node, "carol@a.test")
    client.select("INBOX")
    client.uid("STORE", "1", "+FLAGS.SILENT", "(Junk)")
    client.uid("STORE", "1", "-FLAGS.SILENT", "(NonJunk)")
    client.uid("COPY", "1", "Junk")
    client.uid("STORE", "1", "+FLAGS.SILENT", "(\\Deleted)")
    client.uid("EXPUNGE", "1")
    client.logout()
    (tmp_path / "mbsyncrc").write_text(
        f"""IMAPAccount node
Host localhost
Port {node.ports["imaps"]}
User carol@a.test
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
    inbox, junk = tmp_path / "mail" / "inbox", tmp_path / "mail" / "Junk"
    moved = sorted([*inbox.glob("new/*"), *inbox.glob("cur/*")])[0]
    moved.rename(junk / "new" / "1.local.test")
    run(command, tmp_path)
    wait_learnt(node, "carol@a.test", 2, 0)


def test_what_a_policy_refused_is_seen_by_whom_it_was_for(tmp_path):
    plugin = tmp_path / "site"
    shutil.copytree(ROOT / "docs" / "refuse-subject", plugin)
    refuses = '[[policy]]\nname = "refuse-subject"\noptions = { words = ["lottery"] }\n'
    node = MailNode(tmp_path / "node", extra=refuses, path=(plugin,)).start()
    try:
        node.add_account("bob@a.test")
        with smtplib.SMTP(node.address, node.ports["smtp"], timeout=30) as client, pytest.raises(smtplib.SMTPDataError):
            client.sendmail("a@far.test", ["bob@a.test"], b"Subject: You won the LOTTERY\r\n\r\nx\r\n")
        wait_for(lambda: node.ctl("mailbox", "show", "bob@a.test", "Rejects", check=False).returncode == 0, "Rejects")
        client = login(node, "bob@a.test")
        assert client.select("Rejects", readonly=True) == ("OK", [b"1"])
        _, found = client.fetch("1", "(FLAGS BODY.PEEK[])")
        whole = b"".join(part for one in found for part in (one if isinstance(one, tuple) else (one,)))
        assert b"Subject: Refused: You won the LOTTERY" in whole and b"refuse-subject" in whole
        assert b"\\Seen" not in whole
        client.logout()
    finally:
        node.stop()
