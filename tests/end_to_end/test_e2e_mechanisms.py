"""The SASL mechanisms, over IMAP, POP3 and submission, as other programs speak them: GNU SASL, curl, Python's clients."""

import imaplib
import json
import smtplib
import ssl
import subprocess
from pathlib import Path

import pytest
import scramp
import trustme
from servers import PASSWORD, MailNode, program, wait_for

from tests.processes import PATIENCE

SERVICES = ("imap", "imaps", "pop3", "pop3s", "submission", "submissions")
SCHEMES = {
    "imap": "imap",
    "imaps": "imaps",
    "pop3": "pop3",
    "pop3s": "pop3s",
    "submission": "smtp",
    "submissions": "smtps",
}


class Client:
    """A certificate of a client, in files."""

    def __init__(self, folder: Path, authority: trustme.CA, name: str, email: str) -> None:
        folder.mkdir(parents=True)
        issued = authority.issue_cert(email, common_name=name)
        self.certificate, self.key = folder / "client.pem", folder / "client.key"
        self.certificate.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
        self.key.write_bytes(issued.private_key_pem.bytes())


@pytest.fixture(scope="module")
def clients(tmp_path_factory):
    """Certificates of alice, and of somebody with a false one for alice; the file of the authority."""
    folder = tmp_path_factory.mktemp("clients")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    return {
        "ca": folder / "ca.pem",
        "alice": Client(folder / "alice", authority, "Alice", "alice@a.test"),
        "false": Client(folder / "false", trustme.CA(), "Alice", "alice@a.test"),
    }


@pytest.fixture(scope="module")
def node(tmp_path_factory, clients):
    """One mailnode that has every mechanism."""
    extra = f'[auth]\nscram = ["SCRAM-SHA-256", "SCRAM-SHA-1"]\nscram_bound = true\nclient_ca = "{clients["ca"]}"\n'
    server = MailNode(tmp_path_factory.mktemp("mechanisms"), extra=extra)
    server.start()
    try:
        for name in ("alice", "bob"):
            server.add_account(f"{name}@a.test")
        yield server
    finally:
        assert server.stop() == 0


def entered(node, before, many=1):
    """The mechanisms of the logins since there were ``before``, once there are as many as are to come."""
    logins = wait_for(
        lambda: node.events("session.login")[before + many - 1 :] and node.events("session.login"), "logins"
    )
    return [event["mechanism"] for event in logins[before:]]


def gsasl(node, service, mechanism, password=PASSWORD, *more):
    """Log in with GNU SASL; return whether it was let in."""
    command = [program("gsasl"), f"--{'smtp' if service == 'submission' else 'imap'}", "--quiet", "--no-cb"]
    if mechanism.endswith("-PLUS"):
        command.remove("--no-cb")
    command += ["--mechanism", mechanism, f"--x509-ca-file={node.ca}", "--no-client-first"]
    command += ["-a", "alice@a.test", "-p", password, *more, "localhost", str(node.ports[service])]
    return subprocess.run(command, input="", capture_output=True, text=True, timeout=PATIENCE, cwd=node.folder)


@pytest.mark.parametrize("service", ["imap", "submission"])
@pytest.mark.parametrize(
    "mechanism", ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"]
)
def test_gnu_sasl(node, service, mechanism):
    before = len(node.events("session.login"))
    done = gsasl(node, service, mechanism)
    assert entered(node, before) == [mechanism], done.stdout + done.stderr
    assert gsasl(node, service, mechanism, "wrong").returncode != 0
    assert entered(node, before) == [mechanism]


def curl(node, service, mechanism, *more):
    """Log in with curl over TLS, and ask something."""
    url = f"{SCHEMES[service]}://localhost:{node.ports[service]}/"
    command = [program("curl"), "--silent", "--show-error", "--ssl-reqd", "--cacert", str(node.ca), "--max-time", "60"]
    command += ["--login-options", f"AUTH={mechanism}", *more, url]
    if service.startswith("submission"):
        command += ["--request", "NOOP"]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, cwd=node.folder)


@pytest.mark.parametrize("service", SERVICES)
def test_curl_with_a_certificate(node, clients, service):
    before = len(node.events("session.login"))

    def shown(client, user):
        files = ["--cert", str(client.certificate), "--key", str(client.key)]
        return curl(node, service, "EXTERNAL", *files, "--user", f"{user}:").returncode

    assert shown(clients["alice"], "alice@a.test") == 0
    assert entered(node, before) == ["EXTERNAL"]
    assert shown(clients["alice"], "bob@a.test") != 0
    assert shown(clients["false"], "alice@a.test") != 0
    assert entered(node, before) == ["EXTERNAL"]


def context(node, client=None):
    made = ssl.create_default_context(cafile=str(node.ca))
    if client is not None:
        made.load_cert_chain(client.certificate, client.key)
    return made


def test_a_certificate_says_who_it_is_without_a_name(node, clients):
    made = context(node, clients["alice"])
    with imaplib.IMAP4_SSL("localhost", node.ports["imaps"], ssl_context=made, timeout=PATIENCE) as client:
        assert "AUTH=EXTERNAL" in client.capabilities
        assert client.authenticate("EXTERNAL", lambda _: b"")[0] == "OK"
    with smtplib.SMTP("localhost", node.ports["submission"], timeout=PATIENCE) as client:
        client.starttls(context=made)
        client.ehlo()
        assert client.docmd("AUTH", "EXTERNAL =")[0] == 235
    with smtplib.SMTP_SSL("localhost", node.ports["submissions"], context=made, timeout=PATIENCE) as client:
        client.ehlo()
        assert client.docmd("AUTH", "EXTERNAL")[0] == 334
        assert client.docmd("")[0] == 235


def test_who_shows_a_false_certificate_or_none_logs_in_by_password(node, clients):
    for client in (clients["false"], None):
        made = context(node, client)
        with imaplib.IMAP4_SSL("localhost", node.ports["imaps"], ssl_context=made, timeout=PATIENCE) as imap:
            assert "AUTH=EXTERNAL" not in imap.capabilities
            assert imap.login("alice@a.test", PASSWORD)[0] == "OK"


class Scram:
    """A client that does not bind, and says so with ``n``, or with ``y`` that it would."""

    def __init__(self, flag: str) -> None:
        self.client = scramp.ScramClient(["SCRAM-SHA-256"], "alice@a.test", PASSWORD)
        self.flag = flag

    def __call__(self, challenge):
        if not challenge:
            return self.client.get_client_first().replace("n,,", f"{self.flag},,", 1).encode()
        raise AssertionError(challenge)


def test_a_client_whose_offer_was_changed_on_the_way_is_refused(node):
    """RFC 5802 6: it would bind, and has seen no -PLUS, which we offered."""
    made = context(node)
    with imaplib.IMAP4_SSL("localhost", node.ports["imaps"], ssl_context=made, timeout=PATIENCE) as client:
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            client.authenticate("SCRAM-SHA-256", Scram("y"))
        with pytest.raises(AssertionError):  # asked for the proof
            client.authenticate("SCRAM-SHA-256", Scram("n"))


def test_tls_1_2_offers_no_plus(node):
    made = context(node)
    made.maximum_version = ssl.TLSVersion.TLSv1_2
    with imaplib.IMAP4_SSL("localhost", node.ports["imaps"], ssl_context=made, timeout=PATIENCE) as client:
        assert {name for name in client.capabilities if name.startswith("AUTH=SCRAM")} == {
            "AUTH=SCRAM-SHA-256",
            "AUTH=SCRAM-SHA-1",
        }


def test_a_password_that_is_set_is_kept_for_what_is_on(node):
    kinds = {
        one["kind"] for one in json.loads(node.ctl("account", "show", "bob@a.test", "--json").stdout)["credentials"]
    }
    assert kinds == {"argon2id", "scram-sha-256", "scram-sha-1"}
