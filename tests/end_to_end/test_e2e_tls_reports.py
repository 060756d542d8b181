"""Reports of TLS, counted for a day, sent on the next by mail and over https, and read where they arrive."""

from __future__ import annotations

import gzip
import http.server
import imaplib
import json
import ssl
import threading
import time
from email import message_from_bytes, policy

import dkim
import pytest
import trustme
from servers import PASSWORD, REPORTS, STRICT, Dns, MailNode, wait_for
from test_e2e_relay import submit
from wall_clock import WallClock

from mailnode.values.tls_report import DAY
from tests.store.postgres_cluster import Cluster, binaries

NEAR, FAR, WEB = "127.0.0.2", "127.0.0.3", "127.0.0.9"


POLICY = "version: STSv1", "mode: enforce", "mx: mx.far.test", "max_age: 604800"


class Pages(http.server.BaseHTTPRequestHandler):
    """The MTA-STS policy of far.test; what is posted is taken at the second time of asking."""

    def do_GET(self):
        self.answer(200, "\n".join(POLICY).encode())

    def do_POST(self):
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posted.append((self.path, self.headers["Content-Type"], content))
        self.answer(503 if len(self.server.posted) == 1 else 201, b"")

    def answer(self, code, content):
        self.send_response(code)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        pass


class WebServer:
    """A web server on port 443."""

    def __init__(self, authority):
        try:
            self._server = http.server.ThreadingHTTPServer((WEB, 443), Pages)
        except PermissionError:
            (pytest.fail if STRICT else pytest.skip)("port 443 is for root")
        self._server.posted = self.posted = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("reports.web.test", "mta-sts.far.test").configure_cert(context)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def stop(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class World:
    """One who sends, and reports; one who receives for three domains, two of which want reports."""

    def __init__(self, folder, store, workers):
        authority = trustme.CA()
        self.web = WebServer(authority)
        self.far = MailNode(folder / "far", ("far.test", "web.test", "quiet.test"), address=FAR)
        records = [f"mx-host={name}.test,mx.far.test,10" for name in ("far", "web", "quiet")]
        records += [f"host-record=mx.far.test,{FAR}", f"host-record=reports.web.test,mta-sts.far.test,{WEB}"]
        records += [
            "txt-record=_mta-sts.far.test,v=STSv1; id=1;",
            "txt-record=_smtp._tls.far.test,v=TLSRPTv1; rua=mailto:reports@far.test",
            "txt-record=_smtp._tls.web.test,v=TLSRPTv1;rua=https://reports.web.test/v1/tls;",
        ]
        self.dns = Dns(folder / "dns", records)
        self.clock = WallClock(folder / "clock")
        extra = f'[queue]\nport = {self.far.ports["smtp"]}\n[store]\nurl = "{store}"\n{REPORTS}'
        self.near = MailNode(
            folder / "near", ("near.test",), address=NEAR, dns=self.dns, extra=extra, path=(self.clock.folder,)
        )
        text = self.near.config.read_text()
        self.near.config.write_text(text.replace("[server]\n", f"[server]\nworkers = {workers}\n", 1))
        trusted = folder / "trusted.pem"
        trusted.write_bytes(authority.cert_pem.bytes() + self.far.ca.read_bytes())
        self.near._env["SSL_CERT_FILE"] = str(trusted)

    def start(self):
        self.far.start()
        for name in ("bob@far.test", "bob@web.test", "bob@quiet.test", "reports@far.test"):
            self.far.add_account(name)
        self.near.start()
        self.near.add_account("alice@near.test")
        self.near.ctl("domain", "dkim-rotate", "near.test")
        return self

    def stop(self):
        for part in (self.near, self.far, self.dns, self.web):
            part.stop()

    def offer_tls(self, offered):
        """Have the server of the three domains offer STARTTLS, or not any more."""
        self.far.stop()
        before, after = ('"none"', '"starttls"') if offered else ('"starttls"', '"none"')
        text = self.far.config.read_text()
        self.far.config.write_text(
            text.replace(f'protocol = "smtp"\ntls = {before}', f'protocol = "smtp"\ntls = {after}')
        )
        self.far.start()

    def restart_on(self, seconds):
        """Have the time of the sender be so long after now."""
        self.near.stop()
        self.clock.set(seconds)
        self.near.start()

    def send(self, *recipients):
        before = len(self.near.events("queue.sent"))
        submit(self.near, "alice@near.test", recipients, "hello")
        wait_for(lambda: len(self.near.events("queue.sent")) == before + len(recipients), "mail to be sent")

    def told(self, *command):
        return json.loads(self.near.ctl("tls", *command, "--json").stdout)


def noon_of_yesterday():
    """Seconds from now: a test must not begin before midnight and end behind it, nor be ahead of what its mail is verified by."""
    return DAY / 2 - time.time() % DAY - DAY


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def world(request, tmp_path_factory):
    """SQLite and one process, PostgreSQL and two."""
    cluster = None
    if request.param == "postgres":
        programs = binaries()
        if programs is None:
            (pytest.fail if STRICT else pytest.skip)("no PostgreSQL server is installed (initdb)")
        cluster = Cluster(programs)
        cluster.start()
    made = None
    try:
        url = f"postgresql://tests@/postgres?host={cluster.directory}" if cluster else "sqlite:"
        made = World(tmp_path_factory.mktemp("reports"), url, 2 if cluster else 1)
        yield made.start()
    finally:
        if made is not None:
            made.stop()
        if cluster is not None:
            cluster.stop()


@pytest.fixture(scope="module")
def reported(world):
    """A day with good TLS in the morning and none in the evening, when mail to far.test waits, and what is sent on the next."""
    noon = noon_of_yesterday()
    world.restart_on(noon - DAY)
    world.send("bob@far.test", "bob@web.test", "bob@quiet.test")
    world.servers = world.told("servers")
    world.offer_tls(False)
    submit(world.near, "alice@near.test", ["bob@far.test"], "hello")
    world.near.wait_event("queue.deferred", recipient="bob@far.test", reply="starttls-not-supported")
    (waiting,) = world.near.queue()
    world.near.ctl("queue", "drop", "--yes", waiting["id"])
    world.downgrade = world.near.wait_event("queue.tls_downgrade", domain="far.test")
    world.collected = {one["domain"]: one for one in world.told("reports")}
    world.preview = world.told("report", "far.test")
    world.restart_on(noon)
    world.near.wait_event("tls_report.sent", domain="far.test")
    world.near.wait_event("tls_report.failed", domain="web.test")
    return world


def mail_of(world, user):
    """The messages of an account there, once there is one."""
    with imaplib.IMAP4(FAR, world.far.ports["imap"]) as client:
        client.starttls(ssl.create_default_context(cafile=world.far.ca))
        client.login(user, PASSWORD)
        wait_for(lambda: int(client.select()[1][0]), "a report")
        _, answer = client.fetch("1:*", "(BODY.PEEK[])")
        return [part[1] for part in answer if isinstance(part, tuple)]


def test_what_was_counted(reported):
    assert [(one["domain"], one["level"]) for one in reported.servers] == [
        ("far.test", "verified"),
        ("quiet.test", "verified"),
        ("web.test", "verified"),
    ]
    counted = {name: (one["succeeded"], one["failed"], one["tries"]) for name, one in reported.collected.items()}
    assert counted == {"far.test": (1, 1, 0), "web.test": (1, 0, 0), "quiet.test": (1, 0, 0)}


def test_the_downgrade(reported):
    told = reported.downgrade
    assert (told["host"], told["was"], told["now"]) == ("mx.far.test", "verified", "plain")
    assert "does not offer STARTTLS" in told["reason"]
    (listed,) = reported.told("downgrades")
    assert (listed["domain"], listed["result"]) == ("far.test", "starttls-not-supported")


def test_a_report_by_mail(reported):
    """It arrives though other mail waits for TLS, with a signature that holds and the headers that were asked for."""
    (content,) = mail_of(reported, "reports@far.test")
    keys = json.loads(reported.near.ctl("domain", "dkim", "near.test", "--json").stdout)
    records = {f"{key['name']}.".encode(): key["text"].encode() for key in keys}
    for index in range(2):
        assert dkim.DKIM(content).verify(index, dnsfunc=lambda name, timeout=5: records[name])
    message = message_from_bytes(content, policy=policy.default)
    assert (message["From"], message["To"]) == ("tls@near.test", "reports@far.test")
    assert (message["TLS-Report-Domain"], message["TLS-Report-Submitter"]) == ("far.test", "near.test")
    for signature in message.get_all("DKIM-Signature"):
        assert "TLS-Report-Domain:TLS-Report-Submitter" in "".join(signature.split())
    assert message.get_content_type() == "multipart/report" and message.get_param("report-type") == "tlsrpt"
    _, attached = message.iter_parts()
    assert attached.get_content_type() == "application/tlsrpt+gzip"
    report = json.loads(gzip.decompress(attached.get_content()))
    assert report == reported.preview["report"] and attached.get_filename() == reported.preview["file"]
    assert report["report-id"] in message["Subject"]
    (found,) = report["policies"]
    assert found["policy"] == {
        "policy-type": "sts",
        "policy-domain": "far.test",
        "policy-string": list(POLICY),
        "mx-host": ["mx.far.test"],
    }
    assert found["summary"] == {"total-successful-session-count": 1, "total-failure-session-count": 1}
    assert found["failure-details"] == [
        {
            "result-type": "starttls-not-supported",
            "sending-mta-ip": found["failure-details"][0]["sending-mta-ip"],
            "receiving-mx-hostname": "mx.far.test",
            "receiving-ip": FAR,
            "failure-reason-code": "the server does not offer STARTTLS",
            "failed-session-count": 1,
        }
    ]
    assert found["failure-details"][0]["sending-mta-ip"].startswith("127.")
    assert reported.told("reports", "--domain", "far.test") == []  # its own way is no part of the next one


def test_a_report_over_https_at_the_second_try(reported):
    """The last test here: it lets the time go on."""
    assert [one["tries"] for one in reported.told("reports", "--domain", "web.test")] == [1]
    reported.restart_on(noon_of_yesterday() + 3600)
    reported.near.wait_event("tls_report.sent", domain="web.test")
    (path, kind, first), (_, _, second) = reported.web.posted
    assert (path, kind, first) == ("/v1/tls", "application/tlsrpt+gzip", second)
    report = json.loads(gzip.decompress(second))
    assert report["policies"][0]["summary"] == {"total-successful-session-count": 1, "total-failure-session-count": 0}
    assert (report["organization-name"], report["contact-info"]) == ("Near", "tls@near.test")
    assert reported.told("reports", "--domain", "web.test") == []
