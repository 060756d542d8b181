"""Mail programs set themselves up from this server: Thunderbird by address and password, a phone by what a browser shows; what is
signed OpenSSL takes for signed."""

from __future__ import annotations

import http.client
import plistlib
import socket
import ssl
import subprocess
from urllib.parse import urlencode

import pytest
import trustme
from browser import Browser
from servers import PASSWORD, MailNode, Process, free_port, program, wait_for
from thunderbird import Thunderbird

USER = "anna@a.test"
HOSTS = ("autoconfig.a.test", "autodiscover.a.test", "mx.a.test", "a.test")
OUTSIDE = ("submissions", "imaps", "https")  # what others than this machine reach, as far as the configuration says


class Settings(MailNode):
    """A server with a listener for https, and a certificate for all the names that programs look under."""

    LISTENERS = (*MailNode.LISTENERS, ("https", "http", "implicit"))

    def _configuration(self, domains, dns, extra):
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.ca))
        issued = authority.issue_cert(*HOSTS, "localhost", "127.0.0.1")
        issued.private_key_pem.write_to_path(str(self.folder / "key.pem"))
        (self.folder / "cert.pem").write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
        text = super()._configuration(domains, dns, extra)
        for name in OUTSIDE:
            place = f"tcp:{self.ports[name]}"
            text = text.replace(f"{place}:interface={self.address}", place)
        https = f'tcp:{self.ports["https"]}"\n'
        return text.replace(https, f'{https}pages = ["clients"]\n')

    def ask(self, host, method, path, body=None, kind="text/xml", port=None):
        """Return status, type and body of a page, over https."""
        context = ssl.create_default_context(cafile=str(self.ca))
        client = http.client.HTTPSConnection(host, context=context, timeout=30)
        client.sock = context.wrap_socket(
            socket.create_connection((self.address, port or self.ports["https"])), server_hostname=host
        )
        client.request(method, path, body, {"Content-Type": kind} if body else {})
        answer = client.getresponse()
        found = answer.status, answer.getheader("Content-Type"), answer.read()
        client.close()
        return found


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    server = Settings(tmp_path_factory.mktemp("settings"))
    server.start()
    try:
        server.add_account(USER)
        yield server
    finally:
        assert server.stop() == 0
        assert not [line for line in server.process.lines if "Traceback" in line]


def test_thunderbird_sets_an_account_up_by_address_and_password(node, tmp_path):
    ways = {
        "network.dns.localDomains": ",".join(HOSTS),
        "network.socket.forcePort": f"443={node.ports['https']}",
        "mailnews.auto_config.fetchFromISP.sslOnly": True,
    }
    thunderbird = Thunderbird(tmp_path, node, None, USER, ways)
    try:
        thunderbird.start()
        found = thunderbird.run(
            """
            const path = "resource:///modules/accountcreation/";
            const {FetchConfig} = ChromeUtils.importESModule(path + "FetchConfig.sys.mjs");
            const {AccountConfig} = ChromeUtils.importESModule(path + "AccountConfig.sys.mjs");
            const {CreateInBackend} = ChromeUtils.importESModule(path + "CreateInBackend.sys.mjs");
            const config = await FetchConfig.fromISP("a.test", args[0], new AbortController().signal);
            AccountConfig.replaceVariables(config, "Anna", args[0], args[1]);
            config.rememberPassword = true;
            const account = await CreateInBackend.createAccountInBackend(config);
            const made = account.incomingServer, out = config.outgoing;
            return [config.subSource, made.type, made.hostname, made.port, made.username, made.socketType,
              out.type, out.hostname, out.port, out.username, out.socketType];
            """,
            USER,
            PASSWORD,
        )
        source, *servers = found
        assert source == "xml-from-isp-https"
        tls = 3  # from the first octet
        assert servers == [
            *("imap", "mx.a.test", node.ports["imaps"], USER, tls),
            *("smtp", "mx.a.test", node.ports["submissions"], USER, tls),
        ]
        thunderbird.open()
        assert set(thunderbird.uses()) >= {"Inbox", "SentMail"}
        assert node.wait_event("session.login", protocol="imap")
    finally:
        thunderbird.stop()


def test_a_profile_is_signed_with_the_certificate_of_the_server(node, tmp_path):
    form = urlencode({"emailaddress": USER, "password": PASSWORD})
    kind = "application/x-www-form-urlencoded"
    for asked in (
        ("GET", f"/mail/profile.mobileconfig?{urlencode({'emailaddress': USER})}"),
        ("POST", "/mail/profile.mobileconfig", form, kind),
    ):
        status, told, body = node.ask("autoconfig.a.test", *asked)
        assert (status, told) == (200, "application/x-apple-aspen-config")
        (tmp_path / "mail.mobileconfig").write_bytes(body)
        done = subprocess.run(
            ["openssl", "cms", "-verify", "-inform", "DER", "-in", "mail.mobileconfig", "-CAfile", str(node.ca)]
            + ["-purpose", "any", "-binary", "-out", "profile", "-signer", "signer"],
            cwd=tmp_path,
            capture_output=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        (account,) = plistlib.loads((tmp_path / "profile").read_bytes())["PayloadContent"]
        assert account["IncomingMailServerPortNumber"] == node.ports["imaps"]
        assert account.get("IncomingPassword") == (PASSWORD if asked[0] == "POST" else None)
        assert (
            b"mx.a.test"
            in subprocess.run(
                ["openssl", "x509", "-in", "signer", "-noout", "-ext", "subjectAltName"],
                cwd=tmp_path,
                capture_output=True,
            ).stdout
        )
    assert not any(PASSWORD in line or "correct+horse" in line for line in node.process.lines)


def test_a_phone_reads_the_page_off_the_screen(node, tmp_path):
    """In a window of a phone's width and without scripts, as the code leads to the page that shows it."""
    port = node.ports["https"]
    words = [
        "ignore-certificate-errors",
        "blink-settings=scriptEnabled=false",
        f"host-resolver-rules=MAP * {node.address}:{port}",
    ]
    browser = Browser(tmp_path / "browser", words)
    try:
        browser.set_window_size(400, 2400)
        browser.get("https://autoconfig.a.test/")
        browser.one("#address").send_keys(USER)
        browser.one("form[method=get] button").click()
        assert browser.one("b").text == USER
        rows = [one.text for one in browser.all("td")]
        assert {"mx.a.test", str(node.ports["imaps"]), str(node.ports["submissions"]), "SSL/TLS"} <= set(rows)
        assert browser.one("form[method=post] button").text == "Load the profile"
        picture = browser.one("img")
        wide, height = picture.size["width"], picture.size["height"]
        assert 150 < wide < 400 and wide == height
        assert browser.one("main").size["width"] <= 400
        (tmp_path / "code.png").write_bytes(picture.screenshot_as_png)
        read = subprocess.run(
            [program("zbarimg"), "--quiet", "--raw", "code.png"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert read.stdout.strip() == f"https://autoconfig.a.test/?emailaddress={USER}"
        browser.get(read.stdout.strip())
        assert browser.one("b").text == USER
    finally:
        browser.quit()


def test_outlook_finds_the_servers(node):
    """As Outlook asks: the XML where the JSON says it is."""
    status, kind, body = node.ask(
        "autodiscover.a.test", "GET", f"/autodiscover/autodiscover.json/v1.0/{USER}?Protocol=AutodiscoverV1"
    )
    assert (status, kind) == (200, "application/json") and b"https://autodiscover.a.test/autodiscover/" in body
    request = (
        '<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"><Request>'
        f"<EMailAddress>{USER}</EMailAddress></Request></Autodiscover>"
    )
    status, _, body = node.ask("autodiscover.a.test", "POST", "/Autodiscover/Autodiscover.xml", request)
    assert status == 200 and f"<Port>{node.ports['imaps']}</Port>".encode() in body


def test_dns_leads_there(node):
    told = node.ctl("domain", "records", "a.test", "--form", "plain").stdout
    for host in ("autoconfig", "autodiscover"):
        assert f"{host}.a.test CNAME mx.a.test" in " ".join(told.split())
    assert f"0 1 {node.ports['https']} mx.a.test" in told


NGINX = """daemon off;
user root;
pid nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path a; uwsgi_temp_path b; scgi_temp_path c;
    server {{
        listen 127.0.0.1:{port} ssl;
        server_name autoconfig.a.test autodiscover.a.test;
        ssl_certificate {folder}/cert.pem;
        ssl_certificate_key {folder}/key.pem;
        location / {{ proxy_pass http://127.0.0.1:{behind}; proxy_set_header Host $host; }}
    }}
}}
"""


def reached(port):
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def test_a_web_server_in_front_passes_it_on(node, tmp_path):
    port = free_port()
    (tmp_path / "nginx.conf").write_text(NGINX.format(port=port, folder=node.folder, behind=node.ports["http"]))
    command = [program("nginx"), "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf"), "-e", "stderr"]
    proxy = Process(command, cwd=tmp_path)
    try:
        wait_for(lambda: reached(port), "nginx")
        status, _, body = node.ask("autoconfig.a.test", "GET", "/mail/config-v1.1.xml", port=port)
        assert (status, body) == node.ask("autoconfig.a.test", "GET", "/mail/config-v1.1.xml")[::2]
        form = urlencode({"emailaddress": USER, "password": PASSWORD})
        kind = "application/x-www-form-urlencoded"
        status, _, body = node.ask("autoconfig.a.test", "POST", "/mail/profile.mobileconfig", form, kind, port=port)
        assert status == 200 and PASSWORD.encode() in body
    finally:
        proxy.stop()
