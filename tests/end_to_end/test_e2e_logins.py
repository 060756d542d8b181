"""Logging in to a real server: names without a domain, and guesses side by side over all protocols and processes."""

import imaplib
import poplib
import smtplib
import ssl
import threading

import pytest
from servers import PASSWORD, MailNode, wait_for
from worker_servers import Workers

from mailnode.auth.throttle import PAIR


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """One mailnode for two domains, reached as mx.a.test."""
    server = MailNode(tmp_path_factory.mktemp("logins"), ("a.test", "b.test"))
    server.start()
    try:
        server.add_account("alice@a.test")
        yield server
    finally:
        server.stop()


class Named(ssl.SSLContext):
    """A context that asks for a server name of its own, whatever address a client connects to."""

    name = "mx.a.test"

    def wrap_socket(self, sock, *arguments, **options):
        return super().wrap_socket(sock, *arguments, **{**options, "server_hostname": self.name})


def context(server, name):
    made = Named(ssl.PROTOCOL_TLS_CLIENT)
    made.load_verify_locations(server.ca)
    made.check_hostname = False
    made.name = name
    return made


def imap(server, tls, name):
    if tls == "implicit":
        return imaplib.IMAP4_SSL("127.0.0.1", server.ports["imaps"], ssl_context=context(server, name), timeout=30)
    client = imaplib.IMAP4("127.0.0.1", server.ports["imap"], timeout=30)
    client.starttls(context(server, name))
    return client


def by_login(server, tls, name, user, password):
    client = imap(server, tls, name)
    try:
        client.login(user, password)
    finally:
        client.shutdown()


def by_authenticate(server, tls, name, user, password):
    client = imap(server, tls, name)
    try:
        client.authenticate("PLAIN", lambda _: b"\0" + user.encode() + b"\0" + password.encode())
    finally:
        client.shutdown()


def by_pop3(server, tls, name, user, password):
    if tls == "implicit":
        client = poplib.POP3_SSL("127.0.0.1", server.ports["pop3s"], context=context(server, name), timeout=30)
    else:
        client = poplib.POP3("127.0.0.1", server.ports["pop3"], timeout=30)
        client.stls(context(server, name))
    try:
        client.user(user)
        client.pass_(password)
        client.quit()
    finally:
        client.close()


def by_submission(server, tls, name, user, password):
    if tls == "implicit":
        client = smtplib.SMTP_SSL("127.0.0.1", server.ports["submissions"], context=context(server, name), timeout=30)
    else:
        client = smtplib.SMTP("127.0.0.1", server.ports["submission"], timeout=30)
        client.starttls(context=context(server, name))
    try:
        client.login(user, password)
    finally:
        client.close()


WAYS = (by_login, by_authenticate, by_pop3, by_submission)
REFUSED = (imaplib.IMAP4.error, poplib.error_proto, smtplib.SMTPAuthenticationError)


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
@pytest.mark.parametrize("way", WAYS)
def test_a_name_without_a_domain_is_one_of_the_server_s_name(node, way, tls):
    way(node, tls, "mx.a.test", "alice", PASSWORD)
    way(node, tls, "mx.b.test", "alice@a.test", PASSWORD)
    with pytest.raises(REFUSED):
        way(node, tls, "mx.b.test", "alice", PASSWORD)


def answer(server, way, user, password):
    """What a login is answered with: "" when it stands."""
    try:
        way(server, "implicit", "mx.a.test", user, password)
    except REFUSED as error:
        return str(error)
    return ""


def side_by_side(work, count):
    """Run ``work(number)`` in as many threads and return what they return."""
    results = [None] * count

    def run(number):
        results[number] = work(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


def test_guesses_side_by_side_are_bounded_over_protocols_and_workers(tmp_path):
    server = Workers(tmp_path, 2)
    server.start()
    try:
        for name in ("alice", "bob"):
            server.add_account(f"{name}@a.test")
        assert answer(server, by_login, "bob@a.test", PASSWORD) == ""
        answers = side_by_side(lambda n: answer(server, WAYS[n % 4], "alice@a.test", f"guess number {n}"), 40)
        assert "" not in answers and None not in answers
        assert sum("oo many failed logins" in text for text in answers) == 40 - PAIR.tries
        # Who shares the address is not held up, nor is the guesser let in for the right one.
        ways = (by_login, by_authenticate, by_submission)  # a maildrop is one session's
        assert side_by_side(lambda n: answer(server, ways[n % 3], "bob@a.test", PASSWORD), 9) == [""] * 9
        assert answer(server, by_login, "alice@a.test", PASSWORD)
        refused = wait_for(lambda: [e for e in server.events("session.refused") if "many" in e["reason"]], "refusals")
        assert {event["login"] for event in refused} == {"alice@a.test"}
    finally:
        assert server.stop() == 0
