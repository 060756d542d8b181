"""Messages that came side by side to an account with little room: it exceeds its quota by less than one of them."""

import imaplib
import smtplib
import ssl

import pytest
from servers import PASSWORD, wait_for
from worker_servers import Workers

QUOTA = 2_000  # octets
SIZES = [4096, 10_000_000]


def message(name, size):
    return f"From: x@side.test\r\nSubject: {name}\r\n\r\n" + ("y" * 70 + "\r\n") * (size // 72) + f"end of {name}\r\n"


@pytest.fixture(scope="module", params=[1, 2])
def node(request, tmp_path_factory):
    server = Workers(tmp_path_factory.mktemp("quota"), request.param)
    server.start()
    try:
        yield server
    finally:
        assert server.stop() == 0
        assert not [line for line in server.process.lines if "Traceback" in line]


def add_narrow(node, address):
    quota = ("--quota-bytes", str(QUOTA))
    node.ctl("account", "add", address, "--password-stdin", *quota, stdin=PASSWORD + "\n")


def subjects(node, address):
    context = ssl.create_default_context(cafile=node.ca)
    with imaplib.IMAP4_SSL(node.address, node.ports["imaps"], ssl_context=context, timeout=60) as client:
        client.login(address, PASSWORD)
        client.select("INBOX", readonly=True)
        _, found = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        return [part[1].split()[1].decode() for part in found if isinstance(part, tuple)]


def sessions(node, way, count):
    """Return SMTP or LMTP sessions, in TLS where the way says so."""
    name, _, tls = way.partition("+")
    context = ssl.create_default_context(cafile=node.ca)
    for _ in range(count):
        if tls == "implicit":
            session = smtplib.SMTP_SSL(node.address, node.ports[name], context=context, timeout=60)
            session.login("writer@a.test", PASSWORD)
        elif name == "lmtp":
            session = smtplib.LMTP(node.address, node.ports[name])
        else:
            session = smtplib.SMTP(node.address, node.ports[name], timeout=60)
        session.ehlo("x.test")
        if tls == "starttls":
            session.starttls(context=context)
            session.ehlo("x.test")
        yield session


@pytest.fixture(scope="module", autouse=True)
def writer(node):
    node.add_account("writer@a.test")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("way", ["smtp", "smtp+starttls", "submissions+implicit", "lmtp"])
def test_one_of_two_without_size_finds_the_account_full(node, way, size):
    address = f"{way.replace('+', '-')}-{size}@a.test"
    add_narrow(node, address)
    sender = "writer@a.test"
    both = list(sessions(node, way, 2))
    for session in both:
        assert session.mail(sender)[0] == 250
        assert session.rcpt(address)[0] == 250
    first, second = both
    text = message("first", size).replace("x@side.test", sender)
    assert first.data(text)[0] == 250
    code, words = second.data(text.replace("first", "second"))
    assert (code, words.split()[0]) == (452, b"4.2.2")
    for session in both:
        session.quit()
    assert subjects(node, address) == ["first"]
    assert not node.queue()


def test_the_copy_for_a_full_account_of_several_waits_for_room(node):
    node.add_account("wide@a.test")
    add_narrow(node, "narrow@a.test")
    (first,) = sessions(node, "smtp", 1)
    (second,) = sessions(node, "smtp", 1)
    for session, recipients in ((first, ["narrow@a.test"]), (second, ["narrow@a.test", "wide@a.test"])):
        session.mail("x@side.test")
        for recipient in recipients:
            assert session.rcpt(recipient)[0] == 250
    assert first.data(message("first", QUOTA))[0] == 250
    assert second.data(message("second", QUOTA))[0] == 250
    first.quit()
    second.quit()
    wait_for(lambda: subjects(node, "wide@a.test") == ["second"], "the other copy")
    node.wait_event("queue.deferred", status="4.2.2")
    assert subjects(node, "narrow@a.test") == ["first"]
    node.ctl("account", "quota", "narrow@a.test", "--bytes", str(10 * QUOTA))
    node.ctl("queue", "retry", node.queue()[0]["id"])
    wait_for(lambda: subjects(node, "narrow@a.test") == ["first", "second"], "the copy that waited")
