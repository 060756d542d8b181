"""Logging in with tokens of another OAuth server that nobody here wrote, oauth2-mock-server of npm: its keys, and its answers."""

import base64
import imaplib
import json
import os
import poplib
import shutil
import smtplib
import ssl
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlencode

import pytest
import trustme
from servers import STRICT, Dns, MailNode, Process, program, wait_for
from test_e2e_mechanisms import context, entered
from test_e2e_tokens import curl

from tests.free_ports import free_port
from tests.processes import PATIENCE

INSTALLED = "/opt/oauth2-mock-server/node_modules/.bin"  # by .ci/run
AUDIENCE, CLIENT, SECRET = "mail-programs", "mailnode", "hidden"


class Issuer:
    """The server, on a port of 127.0.0.1."""

    def __init__(self, folder: Path, authority: trustme.CA) -> None:
        command = shutil.which("oauth2-mock-server", path=f"{os.environ['PATH']}:{INSTALLED}")
        if command is None:
            (pytest.fail if STRICT else pytest.skip)("oauth2-mock-server of npm is not installed")
        self.folder, self.port = folder, free_port()
        self.url = f"https://issuer.test:{self.port}"
        made = authority.issue_cert("issuer.test", "localhost")
        made.private_key_pem.write_to_path(str(folder / "key.pem"))
        made.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
        authority.cert_pem.write_to_path(str(folder / "trusted.pem"))
        self._trusting = ssl.create_default_context(cafile=str(folder / "trusted.pem"))
        package = Path(command).resolve().parents[1]
        script = Path(__file__).with_name("token_server.cjs")
        started = [program("node"), str(script), str(package), str(self.port), self.url]
        self.process = Process([*started, "key.pem", "cert.pem", f"{CLIENT}:{SECRET}"], cwd=folder)
        self.process.wait_ready("ready")

    def token(self, **claims: object) -> str:
        """Return a signed token of alice for mail programs, with these claims in place of its own."""
        told = {"aud": AUDIENCE, "email": "alice@a.test", **claims}
        form = urlencode({"grant_type": "client_credentials", "claims": json.dumps(told)}).encode()
        with urllib.request.urlopen(
            f"https://localhost:{self.port}/token", form, PATIENCE, context=self._trusting
        ) as answer:
            return json.load(answer)["access_token"]


@pytest.fixture(scope="module")
def issuer(tmp_path_factory):
    started = Issuer(tmp_path_factory.mktemp("issuer"), trustme.CA())
    yield started
    started.process.stop()


@pytest.fixture(scope="module", params=["keys", "introspection"])
def node(request, issuer, tmp_path_factory):
    """One that looks at signatures, and one that asks."""
    folder = tmp_path_factory.mktemp("tokens")
    secret = folder / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    asked = f'introspection_url = "{issuer.url}/introspect"\nclient_id = "{CLIENT}"\nclient_secret_file = "{secret}"\n'
    way = asked if request.param == "introspection" else f'keys_url = "{issuer.url}/jwks"\n'
    extra = f'[auth.oauth]\nissuer = "{issuer.url}"\naudience = ["{AUDIENCE}"]\n{way}'
    dns = Dns(folder / "dns", ["host-record=issuer.test,127.0.0.1"])
    server = MailNode(folder / "node", dns=dns, extra=extra)
    server._env["SSL_CERT_FILE"] = str(issuer.folder / "trusted.pem")
    try:
        server.start()
        server.add_account("alice@a.test")
        yield server
    finally:
        server.stop()
        dns.stop()


def bad_tokens(issuer):
    """Return a token for another service, and one of a time that is over."""
    return issuer.token(aud="another-service"), issuer.token(exp=int(time.time()) - 3600)


@pytest.mark.parametrize("service", ["imaps", "pop3s", "submissions"])
def test_oauthbearer(node, issuer, service):
    before, refused = len(node.events("session.login")), len(node.events("session.refused"))
    assert curl(node, service, "OAUTHBEARER", issuer.token()) == 0
    for token in bad_tokens(issuer):
        assert curl(node, service, "OAUTHBEARER", token) != 0
    assert entered(node, before) == ["OAUTHBEARER"]
    wait_for(lambda: len(node.events("session.refused")) == refused + 2, "two refusals in the log")
    elsewhere, late = (event["reason"] for event in node.events("session.refused")[refused:])
    assert "(aud)" in elsewhere
    assert "expired" in late or "not active" in late


def line(token):
    return base64.b64encode(f"user=alice@a.test\x01auth=Bearer {token}\x01\x01".encode()).decode()


def by_imap(node, token):
    with imaplib.IMAP4_SSL("localhost", node.ports["imaps"], ssl_context=context(node), timeout=PATIENCE) as client:
        said = [base64.b64decode(line(token)), b""]
        try:
            return client.authenticate("XOAUTH2", lambda _: said.pop(0))[0] == "OK"
        except imaplib.IMAP4.error:
            return False


def by_pop3(node, token):
    client = poplib.POP3_SSL("localhost", node.ports["pop3s"], context=context(node), timeout=PATIENCE)
    try:
        return client._shortcmd(f"AUTH XOAUTH2 {line(token)}").startswith(b"+OK") or client._shortcmd("")
    except poplib.error_proto:
        return False
    finally:
        client.close()


def by_smtp(node, token):
    port = node.ports["submissions"]
    with smtplib.SMTP_SSL("localhost", port, context=context(node), timeout=PATIENCE) as client:
        client.ehlo()
        return client.docmd("AUTH", f"XOAUTH2 {line(token)}")[0] == 235 or client.docmd("")[0] != 535


@pytest.mark.parametrize("let_in", [by_imap, by_pop3, by_smtp])
def test_xoauth2(node, issuer, let_in):
    before = len(node.events("session.login"))
    assert let_in(node, issuer.token())
    assert [let_in(node, token) for token in bad_tokens(issuer)] == [False, False]
    assert entered(node, before) == ["XOAUTH2"]
