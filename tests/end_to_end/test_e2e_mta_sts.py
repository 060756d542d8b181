"""Mail to domains with an MTA-STS policy, fetched from a web server on port 443."""

from __future__ import annotations

import http.server
import ssl
import threading

import pytest
import trustme
from scripted_peer import forget_most_memory, most_memory
from servers import REPORTS, STRICT, Dns, MailNode, report_to
from test_e2e_relay import submit

NEAR, FAR, WEB = "127.0.0.2", "127.0.0.3", "127.0.0.9"
GOOD, WRONG, MOVED, TRYING, BROKEN, ENDLESS, PIECES, CLOSED = DOMAINS = tuple(
    f"{name}.test" for name in ("good", "wrong", "moved", "trying", "broken", "endless", "pieces", "closed")
)
GIGABYTE = 1024**3
POLICIES = {
    GOOD: ("enforce", "*.good.test"),
    WRONG: ("enforce", "mx.wrong.test"),  # the server's certificate is for mx.good.test
    MOVED: ("enforce", "mx.elsewhere.test"),
    TRYING: ("testing", "mx.trying.test"),
    ENDLESS: ("enforce", "*.elsewhere.test"),
    PIECES: ("enforce", "*.elsewhere.test"),
    CLOSED: ("enforce", "*.elsewhere.test"),
}


class PolicyPages(http.server.BaseHTTPRequestHandler):
    """The policy of each domain under its own host."""

    def do_GET(self):
        domain = self.headers["Host"].removeprefix("mta-sts.")
        self.server.asked.append(domain)
        if domain not in POLICIES or self.path != "/.well-known/mta-sts.txt":
            self.send_error(404)
            return
        mode, mx = POLICIES[domain]
        text = f"version: STSv1\r\nmode: {mode}\r\nmx: {mx}\r\nmax_age: 86400\r\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        if domain == PIECES:
            self.send_header("Transfer-Encoding", "chunked")
            text = b"".join(b"1\r\n%c\r\n" % octet for octet in text) + b"0\r\n\r\n"
        elif domain != CLOSED:
            self.send_header("Content-Length", str(GIGABYTE if domain == ENDLESS else len(text)))
        self.end_headers()
        self.wfile.write(text)
        while domain == ENDLESS and self.server.poured < GIGABYTE:
            self.wfile.write(b"mx: mx.elsewhere.test\r\n" * 1000)
            self.server.poured += 23_000
        if domain == CLOSED:
            self.connection.unwrap()

    def log_message(self, *arguments):
        pass


class PolicyServer:
    """One web server for all of them."""

    def __init__(self, authority: trustme.CA) -> None:
        try:
            self._server = http.server.ThreadingHTTPServer((WEB, 443), PolicyPages)
        except PermissionError:
            (pytest.fail if STRICT else pytest.skip)("port 443 is for root")
        self._server.asked = self.asked = []
        self._server.poured = 0
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*(f"mta-sts.{domain}" for domain in DOMAINS)).configure_cert(context)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def poured(self) -> int:
        return self._server.poured

    def stop(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder, authority = tmp_path_factory.mktemp("sts"), trustme.CA()
    web = PolicyServer(authority)
    records = [f"host-record=mta-sts.{domain},{WEB}" for domain in DOMAINS]
    records += [f"txt-record=_mta-sts.{domain},v=STSv1; id=1;" for domain in DOMAINS]
    records += [f"mx-host={domain},mx.{domain},10" for domain in DOMAINS]
    records += [f"host-record=mx.{domain},{FAR}" for domain in DOMAINS]
    dns = Dns(folder / "dns", records)
    far = MailNode(folder / "far", DOMAINS, address=FAR)
    trusted = folder / "trusted.pem"
    trusted.write_bytes(authority.cert_pem.bytes() + far.ca.read_bytes())
    extra = f"[queue]\nport = {far.ports['smtp']}\n" + REPORTS
    near = MailNode(folder / "near", ("near.test",), address=NEAR, dns=dns, extra=extra)
    near._env["SSL_CERT_FILE"] = str(trusted)
    try:
        far.start()
        near.start()
        for domain in DOMAINS:
            far.add_account(f"bob@{domain}")
        near.add_account("alice@near.test")
        yield near, web
    finally:
        for server in (near, far, dns, web):
            server.stop()


def send(near: MailNode, domain: str, **options) -> None:
    submit(near, "alice@near.test", [f"bob@{domain}"], "hello", **options)


@pytest.mark.parametrize(
    ("domain", "reason"),
    [
        (WRONG, "MTA-STS: the certificate is not for mx.wrong.test (certificate-host-mismatch)"),
        (MOVED, "MTA-STS: the MX mx.moved.test is not in the policy (validation-failure)"),
    ],
)
def test_what_a_policy_does_not_allow_waits(world, domain, reason):
    near, _ = world
    send(near, domain)
    deferred = near.wait_event("queue.deferred", recipient=f"bob@{domain}")
    assert deferred["status"] == "4.7.5" and reason in deferred["reply"]
    assert not [event for event in near.events("queue.sent") if event["recipient"] == f"bob@{domain}"]
    assert domain in near.ctl("queue", "list", "--reply", "MTA-STS").stdout


def test_testing_is_told_and_refuses_nothing(world):
    near, _ = world
    send(near, TRYING)
    sent = near.wait_event("queue.sent", recipient=f"bob@{TRYING}")
    assert "TLS" in sent["tls"] and sent["verified"] == "no"
    told = near.wait_event("queue.tls_result", host=f"mx.{TRYING}")
    assert (told["policy"], told["result"]) == ("sts-testing", "certificate-host-mismatch")


def test_a_policy_that_is_not_there(world):
    near, _ = world
    send(near, BROKEN)
    assert near.wait_event("queue.sent", recipient=f"bob@{BROKEN}")["verified"] == "no"
    assert near.wait_event("queue.sts_policy", domain=BROKEN)["result"] == "sts-policy-fetch-error"


@pytest.mark.parametrize(
    ("domain", "result"),
    [
        (GOOD, ""),
        (WRONG, "certificate-host-mismatch"),
        (MOVED, "validation-failure"),
        (TRYING, "certificate-host-mismatch"),
    ],
)
def test_what_is_reported_of_a_policy(world, domain, result):
    near, _ = world
    send(near, domain)
    (found,) = report_to(near, domain)
    mode, mx = POLICIES[domain]
    assert found["policy"] == {
        "policy-type": "sts",
        "policy-domain": domain,
        "policy-string": ["version: STSv1", f"mode: {mode}", f"mx: {mx}", "max_age: 86400"],
        "mx-host": [mx],
    }
    assert bool(found["summary"]["total-successful-session-count"]) == (not result)
    assert {one["result-type"] for one in found["failure-details"]} == {result} - {""}
    for one in found["failure-details"]:
        assert one["receiving-mx-hostname"] == f"mx.{domain}"
        assert ("receiving-ip" in one) == (domain != MOVED)  # where nobody was called at all


def test_what_is_reported_of_a_policy_that_is_not_there(world):
    near, _ = world
    send(near, BROKEN)
    none, sts = sorted(report_to(near, BROKEN), key=lambda one: one["policy"]["policy-type"])
    assert (none["policy"]["policy-type"], none["failure-details"]) == ("no-policy-found", [])
    assert sts["policy"] == {"policy-type": "sts", "policy-domain": BROKEN}
    (failure,) = sts["failure-details"]
    assert (failure["result-type"], failure["failed-session-count"]) == ("sts-policy-fetch-error", 1)


def test_a_policy_of_a_gigabyte_is_let_go_of_and_mail_goes_without(world):
    near, web = world
    before = forget_most_memory(near.process.popen.pid)
    send(near, ENDLESS)
    assert near.wait_event("queue.sent", recipient=f"bob@{ENDLESS}")["verified"] == "no"
    told = near.wait_event("queue.sts_policy", domain=ENDLESS)
    assert (told["result"], told["reason"]) == ("sts-policy-fetch-error", "more than 65536 octets")
    assert most_memory(near.process.popen.pid) - before < 16 * 1024 * 1024
    assert web.poured < 32 * 1024 * 1024, "what fits into buffers, and no more"


@pytest.mark.parametrize("domain", [PIECES, CLOSED])
def test_a_policy_without_a_length_counts(world, domain):
    near, _ = world
    send(near, domain)
    deferred = near.wait_event("queue.deferred", recipient=f"bob@{domain}")
    assert "is not in the policy" in deferred["reply"]


@pytest.mark.parametrize(
    ("domain", "event", "status", "reason"),
    [
        (GOOD, "queue.sent", "", "queued as"),
        (TRYING, "queue.failed", "5.7.10", "REQUIRETLS: the certificate is not for mx.trying.test"),
        (MOVED, "queue.failed", "5.7.10", "REQUIRETLS: MTA-STS: the MX mx.moved.test is not in the policy"),
        (BROKEN, "queue.deferred", "4.7.5", "REQUIRETLS: the MTA-STS policy of broken.test cannot be had at present"),
    ],
)
def test_requiretls_goes_to_servers_that_a_policy_names(world, domain, event, status, reason):
    near, _ = world
    submit(near, "alice@near.test", [f"bob+r@{domain}"], "required", mail_options=["REQUIRETLS"])
    told = near.wait_event(event, recipient=f"bob+r@{domain}")
    assert told.get("status", "") == status and reason in told["reply"]
    assert told.get("verified", "yes") == "yes"


def test_a_policy_is_kept_while_its_host_is_away_and_over_a_restart(world):
    """The last test here: it stops the web server."""
    near, web = world
    send(near, GOOD)
    assert near.wait_event("queue.sent", recipient=f"bob@{GOOD}")["verified"] == "yes"
    assert web.asked.count(GOOD) == 1
    near.stop()
    web.stop()
    near.start()
    send(near, GOOD)
    assert near.wait_event("queue.sent", recipient=f"bob@{GOOD}")["verified"] == "yes"
    assert not near.events("queue.sts_policy")
