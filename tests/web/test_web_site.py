"""The http listener's two pages, over twisted.web as it is."""

import ast
import json
from pathlib import Path

from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import Logger, LogPublisher, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from mailnode.values.events import EVENTS, emit
from mailnode.web.docs import render
from mailnode.web.metrics import METRICS, PREFIX, EventMetrics, Metrics
from mailnode.web.site import MAX_BODY, REQUEST_SECONDS, SiteContent, web_factory

ROOT = Path(__file__).parents[2]


class SiteTests(SynchronousTestCase):
    """Requests in memory."""

    def setUp(self):
        self.state = {"status": "ok"}
        self.clock = MemoryReactorClock()
        self.serve("health", "metrics", "mta-sts")

    def serve(self, *pages):
        content = SiteContent(self.health, self.metrics, self.policy, proof={"t" * 22: "proof"}.get)
        self.factory = web_factory(content, pages, self.clock, max_connections=2)

    async def policy(self, domain):
        return "version: STSv1\r\n" if domain == "a.test" else None

    async def health(self):
        if isinstance(self.state, Exception):
            raise self.state
        if isinstance(self.state, Deferred):
            return await self.state
        return self.state

    async def metrics(self):
        return b"text/plain; version=1", b"x 1\n"

    def connect(self):
        protocol = self.factory.buildProtocol(None)
        if protocol is not None:
            transport = StringTransport()
            transport.protocol = protocol
            protocol.makeConnection(transport)
        return protocol

    def ask(self, request):
        protocol = self.connect()
        protocol.dataReceived(request)
        value = protocol.transport.value()
        protocol.connectionLost(Failure(ConnectionDone()))
        head, _, body = value.partition(b"\r\n\r\n")
        return int(head.split()[1]) if head else 0, head, body

    def get(self, path, host=b"x"):
        return self.ask(b"GET " + path + b" HTTP/1.0\r\nHost: " + host + b"\r\n\r\n")

    def test_health(self):
        status, head, body = self.get(b"/health")
        assert (status, json.loads(body)) == (200, {"status": "ok"})
        assert b"Content-Type: application/json" in head

    def test_anything_but_ok_is_503(self):
        self.state = {"status": "draining"}
        status, _, body = self.get(b"/health")
        assert (status, json.loads(body)) == (503, {"status": "draining"})

    def test_metrics(self):
        status, head, body = self.get(b"/metrics")
        assert (status, body) == (200, b"x 1\n") and b"version=1" in head

    def test_who_names_no_host_on_a_unix_socket_sees_the_pages_too(self):
        protocol = self.connect()
        protocol.transport.getHost = lambda: UNIXAddress("/run/x")
        protocol.dataReceived(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert protocol.transport.value().startswith(b"HTTP/1.0 200 ")
        protocol.connectionLost(Failure(ConnectionDone()))

    def test_head_has_no_body(self):
        status, head, body = self.ask(b"HEAD /metrics HTTP/1.0\r\n\r\n")
        assert (status, body) == (200, b"") and b"Content-Length: 4" in head

    def test_nothing_else(self):
        for path in (b"/", b"/health/x", b"/metricss", b"/..%2fetc"):
            assert self.get(path)[0] == 404, path
        assert self.ask(b"POST /health HTTP/1.0\r\nContent-Length: 0\r\n\r\n")[0] == 405

    def test_the_policy_of_a_domain_by_the_name_of_its_host(self):
        path = b"/.well-known/mta-sts.txt"
        for host in (b"mta-sts.a.test", b"MTA-STS.A.test", b"mta-sts.a.test:443"):
            status, head, body = self.get(path, host)
            assert (status, body) == (200, b"version: STSv1\r\n") and b"Content-Type: text/plain\r\n" in head + b"\r\n"
        for host in (b"a.test", b"mta-sts.b.test", b"mta-sts.mta-sts.a.test", b"mta-sts.", b"\xff", b"[::1]", b""):
            assert self.get(path, host)[0] == 404, host
        assert self.ask(b"GET " + path + b" HTTP/1.0\r\n\r\n")[0] == 404
        assert self.ask(b"HEAD " + path + b" HTTP/1.0\r\nHost: mta-sts.a.test\r\n\r\n")[::2] == (200, b"")
        assert self.ask(b"POST " + path + b" HTTP/1.0\r\nHost: mta-sts.a.test\r\n\r\n")[0] == 405

    def test_a_proof_for_a_certificate_whatever_pages_there_are(self):
        self.serve()
        path = b"/.well-known/acme-challenge/" + b"t" * 22
        for host in (b"mx.a.test", b"mta-sts.a.test"):
            status, _, body = self.get(path, host)
            assert (status, body) == (200, b"proof")
        for other in (path + b"x", path + b"/x", b"/.well-known/acme-challenge/", b"/.well-known/acme-challenge/%ff"):
            assert self.get(other)[0] == 404

    def test_a_policy_host_has_its_policy_alone(self):
        others = (b"/health", b"/metrics", b"/", b"/.well-known", b"/.well-known/", b"/.well-known/x", b"/mta-sts.txt")
        for path in (*others, b"/.well-known/mta-sts.txt/x"):
            assert self.get(path, b"mta-sts.a.test")[0] == 404, path

    def test_a_listener_shows_the_pages_it_is_told(self):
        pages = {"health": (b"/health", b"x"), "metrics": (b"/metrics", b"x")}
        pages["mta-sts"] = (b"/.well-known/mta-sts.txt", b"mta-sts.a.test")
        for shown in pages:
            self.serve(shown)
            assert [name for name, (path, host) in pages.items() if self.get(path, host)[0] == 200] == [shown]

    def test_a_request_is_an_event_of_the_log_with_a_bounded_path(self):
        events = []

        def observe(event):
            if event.get("event") == "web.request":
                events.append(event["fields"])

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        self.get(b"/health")
        self.get(b"/" + b"x" * 1000)
        known, unknown = events
        about = {"peer": "192.168.1.1", "method": "GET", "path": "/health", "code": 200, "size": 17}
        assert known == about
        assert (unknown["code"], unknown["path"]) == (404, "/" + "x" * 199)

    def test_trouble_is_told_without_a_traceback(self):
        self.state = ValueError("secret detail")
        status, _, body = self.get(b"/health")
        assert status == 500 and b"secret" not in body
        assert len(self.flushLoggedErrors(ValueError)) == 1

    def test_who_leaves_early_disturbs_nobody(self):
        self.state = Deferred()
        protocol = self.connect()
        protocol.dataReceived(b"GET /health HTTP/1.0\r\n\r\n")
        protocol.connectionLost(Failure(ConnectionDone()))
        self.state.callback({"status": "ok"})
        assert protocol.transport is None or not protocol.transport.value()

    def test_a_long_body_ends_the_connection(self):
        protocol = self.connect()
        protocol.dataReceived(b"POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n")
        protocol.dataReceived(b"x" * (MAX_BODY + 1))
        assert protocol.transport.disconnecting or protocol.transport.disconnected

    def test_a_request_has_its_time_whatever_is_sent(self):
        protocol = self.connect()
        for octet in b"GET /health"[: int(REQUEST_SECONDS) // 3]:
            self.clock.advance(2.9)
            protocol.dataReceived(bytes([octet]))
        assert not protocol.transport.disconnected
        self.clock.advance(REQUEST_SECONDS / 10)
        assert protocol.transport.disconnected
        protocol.connectionLost(Failure(ConnectionDone()))

    def test_a_connection_that_has_ended_leaves_no_timer(self):
        standing = len(self.clock.getDelayedCalls())
        self.get(b"/health")
        assert len(self.clock.getDelayedCalls()) == standing

    def test_connections_are_limited(self):
        assert [self.connect() is not None for _ in range(3)] == [True, True, False]


class MetricsTests(SynchronousTestCase):
    """Counters."""

    def setUp(self):
        self.metrics = Metrics()

    def value(self, line):
        text = self.metrics.render()[1].decode()
        found = [float(row.rpartition(" ")[2]) for row in text.splitlines() if row.startswith(line + " ")]
        assert len(found) == 1, text
        return found[0]

    def test_counters_gauges_and_histograms(self):
        self.metrics.count("queue_results", result="delivered")
        self.metrics.count("queue_results", 2, result="delivered")
        self.metrics.observe("queue_try_seconds", 0.3)
        self.metrics.set("queue_envelopes", 7)
        self.metrics.change("sessions_open", 2, protocol="imap")
        self.metrics.change("sessions_open", -1, protocol="imap")
        assert self.value('mailnode_queue_results_total{result="delivered"}') == 3
        assert self.value("mailnode_queue_try_seconds_count") == 1
        assert self.value("mailnode_queue_envelopes") == 7
        assert self.value('mailnode_sessions_open{protocol="imap"}') == 1

    def test_a_wrong_name_is_logged_once_and_costs_nothing(self):
        for _ in range(2):
            self.metrics.count("nonesuch")
            self.metrics.count("queue_results")
        self.metrics.observe("queue_envelopes", 1)
        assert "nonesuch" not in self.metrics.render()[1].decode()

    def test_events_are_counted(self):
        log = Logger(observer=LogPublisher(EventMetrics(self.metrics)))
        for name, (_, fields) in EVENTS.items():
            emit(log, name, **dict.fromkeys(fields, 1))
        log.info("something else")
        assert self.value('mailnode_logins_total{protocol="1",result="refused"}') == 1
        assert self.value('mailnode_session_octets_total{direction="in",protocol="1"}') == 1
        assert self.value('mailnode_sessions_open{protocol="1"}') == 0
        assert self.value("mailnode_messages_accepted_total") == 1
        assert not self.metrics._unknown

    def test_every_counted_event_exists(self):
        methods = [name[1:] for name in vars(EventMetrics) if name.startswith("_") and not name.startswith("__")]
        assert set(methods) <= {name.replace(".", "_") for name in EVENTS}


def used_names():
    """Yield (file, name, labels) of each metric the tree counts or observes."""
    for path in (ROOT / "mailnode").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            owner = ast.unparse(node.func.value)
            if node.func.attr in ("count", "observe", "set", "change", "adder") and "metrics" in owner.lower():
                yield path, node.args[0].value, {keyword.arg for keyword in node.keywords}


def test_every_metric_that_is_used_is_in_the_table_with_its_labels():
    seen = list(used_names())
    assert len(seen) > 10
    for path, name, labels in seen:
        assert name in METRICS and set(METRICS[name].labels) == labels, f"{path.name}: {name}"
    assert {name for _, name, _ in seen} == set(METRICS)


def test_the_page_of_metrics_is_current():
    page = (ROOT / "docs/metrics.rst").read_text()
    assert page == render(), "run: python -m mailnode.web.docs > docs/metrics.rst"
    assert all(f"``{PREFIX}{name}" in page for name in METRICS)
