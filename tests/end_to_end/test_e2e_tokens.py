"""Logging in with tokens of an OpenID provider that nobody here wrote, by curl and Python's clients, over each protocol."""

import base64
import imaplib
import json
import poplib
import smtplib
import ssl
import subprocess
import threading
from urllib.parse import parse_qs, urlsplit

import oidc_provider_mock
import pytest
import trustme
from servers import PASSWORD, Dns, MailNode, program
from test_e2e_mechanisms import SCHEMES, SERVICES, context, entered
from werkzeug.serving import make_server

from tests.free_ports import free_port
from tests.processes import PATIENCE

CLIENT, REDIRECT = "mail-program", "https://program.test/done"


class Provider:
    """The provider, over https on a port of 127.0.0.1."""

    def __init__(self, authority: trustme.CA) -> None:
        self.port = free_port()
        self.url = f"https://issuer.test:{self.port}"
        users = [oidc_provider_mock.User(sub=name, claims={"email": f"{name}@a.test"}) for name in ("alice", "bob")]
        self._app = oidc_provider_mock.app(user_claims=users)
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("issuer.test").configure_cert(made)
        self._server = make_server("127.0.0.1", self.port, self._app, threaded=True, ssl_context=made)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def token(self, name: str, client: str = CLIENT) -> str:
        """Return a signed token of a user for a client, as the authorization code flow gives it."""
        browser = self._app.test_client()
        query = {"client_id": client, "redirect_uri": REDIRECT, "response_type": "code", "scope": "openid email"}
        options = {"base_url": self.url, "follow_redirects": False}
        went = browser.post("/oauth2/authorize", query_string=query, data={"sub": name}, **options)
        code = parse_qs(urlsplit(went.headers["Location"]).query)["code"][0]
        known_as = base64.b64encode(f"{client}:secret".encode()).decode()
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT}
        headers = {"Authorization": f"Basic {known_as}"}
        return browser.post("/oauth2/token", data=form, headers=headers, base_url=self.url).get_json()["id_token"]

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder, authority = tmp_path_factory.mktemp("tokens"), trustme.CA()
    provider = Provider(authority)
    dns = Dns(folder / "dns", ["host-record=issuer.test,127.0.0.1"])
    authority.cert_pem.write_to_path(str(folder / "trusted.pem"))
    extra = (
        f'[auth.oauth]\nissuer = "{provider.url}"\naudience = ["{CLIENT}"]\nkeys_url = "{provider.url}/jwks"\n'
        f'openid_configuration = "{provider.url}/.well-known/openid-configuration"\n'
    )
    node = MailNode(folder / "node", dns=dns, extra=extra)
    node._env["SSL_CERT_FILE"] = str(folder / "trusted.pem")
    try:
        node.start()
        for name in ("alice", "bob"):
            node.add_account(f"{name}@a.test")
        yield node, provider
    finally:
        for server in (node, dns, provider):
            server.stop()


def curl(node, service, mechanism, token, user="alice@a.test"):
    """Log in with curl and return its exit code."""
    url = f"{SCHEMES[service]}://localhost:{node.ports[service]}/"
    command = [program("curl"), "--silent", "--show-error", "--ssl-reqd", "--cacert", str(node.ca), "--max-time", "60"]
    command += ["--login-options", f"AUTH={mechanism}", "--oauth2-bearer", token, "--user", user, url]
    if service.startswith("submission"):
        command += ["--request", "NOOP"]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, cwd=node.folder).returncode


@pytest.mark.parametrize("service", SERVICES)
def test_curl(world, service):
    node, provider = world
    mechanism = "OAUTHBEARER"  # what curl prefers, whatever it is told to
    before = len(node.events("session.login"))
    token = provider.token("alice")
    assert curl(node, service, mechanism, token) == 0
    assert entered(node, before) == [mechanism]
    assert curl(node, service, mechanism, token, "bob@a.test") != 0
    assert curl(node, service, mechanism, provider.token("alice", "another-service")) != 0
    assert entered(node, before) == [mechanism]


def test_xoauth2(world):
    node, provider = world
    before = len(node.events("session.login"))
    made = context(node)

    def message(token, user="alice@a.test"):
        return f"user={user}\x01auth=Bearer {token}\x01\x01".encode()

    def line(*arguments):
        return base64.b64encode(message(*arguments)).decode()

    good = provider.token("alice")
    with imaplib.IMAP4_SSL("localhost", node.ports["imaps"], ssl_context=made, timeout=PATIENCE) as client:
        assert client.authenticate("XOAUTH2", lambda _: message(good))[0] == "OK"
    with smtplib.SMTP_SSL("localhost", node.ports["submissions"], context=made, timeout=PATIENCE) as client:
        client.ehlo()
        code, challenge = client.docmd("AUTH", f"XOAUTH2 {line(good, 'bob@a.test')}")
        assert code == 334 and json.loads(base64.b64decode(challenge)) == {"status": "400", "schemes": "bearer"}
        assert client.docmd("")[0] == 535
        assert client.docmd("AUTH", f"XOAUTH2 {line(good)}")[0] == 235
    client = poplib.POP3_SSL("localhost", node.ports["pop3s"], context=made, timeout=PATIENCE)
    assert client._shortcmd(f"AUTH XOAUTH2 {line(good)}").startswith(b"+OK")
    client.quit()
    assert entered(node, before, 3) == ["XOAUTH2"] * 3


def test_what_a_program_is_told_whose_token_is_refused(world):
    node, provider = world
    said = []

    def answer(challenge):
        said.append(challenge)
        return b"n,a=alice@a.test,\x01auth=Bearer no.such.token\x01\x01" if len(said) == 1 else b"\x01"

    with imaplib.IMAP4_SSL("localhost", node.ports["imaps"], ssl_context=context(node), timeout=PATIENCE) as client:
        assert {"AUTH=OAUTHBEARER", "AUTH=XOAUTH2"} <= set(client.capabilities)
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            client.authenticate("OAUTHBEARER", answer)
        told = {"status": "invalid_token", "openid-configuration": f"{provider.url}/.well-known/openid-configuration"}
        assert json.loads(said[1]) == told
        assert client.login("alice@a.test", PASSWORD)[0] == "OK"
    assert "not genuine" in node.wait_event("session.refused", mechanism="OAUTHBEARER", reason="genuine")["reason"]
