"""Counters and gauges, for Prometheus. The table is the one place for their names; docs/metrics.rst shows it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from twisted.logger import ILogObserver, LogEvent, Logger
from zope.interface import implementer

from mailnode.interfaces.runtime import IMetrics
from mailnode.values.events import EVENTS
from mailnode.web.merging import Merged, Snapshot, snapshot

_log = Logger()

SECONDS = (0.005, 0.02, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)


@dataclass(frozen=True, slots=True)
class Metric:
    """``kind``: counter, gauge or histogram (seconds)."""

    kind: str
    help: str
    labels: tuple[str, ...] = ()


METRICS: dict[str, Metric] = {
    "sessions_opened": Metric("counter", "Connections that began.", ("protocol",)),
    "sessions_open": Metric("gauge", "Connections that stand.", ("protocol",)),
    "session_octets": Metric("counter", "Octets of connections that ended, by direction.", ("protocol", "direction")),
    "clients_limited": Metric(
        "counter", "Strangers that did too much within a minute, each once a minute, by what they did.", ("what",)
    ),
    "session_errors": Metric("counter", "Sessions that met unknown trouble.", ("protocol",)),
    "logins": Metric("counter", "Logins that succeeded or were refused.", ("protocol", "result")),
    "recipients_refused": Metric("counter", "Recipients refused during a transaction, by RFC 3463 code.", ("status",)),
    "messages_accepted": Metric("counter", "Messages made durable and acknowledged."),
    "messages_refused": Metric("counter", "Messages refused, by RFC 3463 code.", ("status",)),
    "message_octets": Metric("counter", "Octets of accepted messages."),
    "sieve_actions": Metric("counter", "What scripts of accounts wanted done with mail, by action.", ("action",)),
    "sieve_failures": Metric("counter", "Scripts that failed; the message was filed as if they had said nothing."),
    "messages_signed": Metric("counter", "Messages signed (DKIM)."),
    "messages_sealed": Metric("counter", "Seals of forwarded messages (ARC), by what their chain came to.", ("chain",)),
    "messages_delivered": Metric("counter", "Copies placed in mailboxes."),
    "messages_appended": Metric("counter", "Messages appended by clients."),
    "accounts_loud": Metric("counter", "Accounts that sent unusually much, each once a day."),
    "queue_results": Metric("counter", "Ends of tries for one recipient, by the state they led to.", ("result",)),
    "queue_try_seconds": Metric("histogram", "How long one try for a destination took."),
    "queue_bounces": Metric("counter", "Notices written to senders, by kind.", ("kind",)),
    "queue_recipients": Metric("gauge", "Recipients in the queue that wait or are being tried.", ("state",)),
    "queue_envelopes": Metric("gauge", "Envelopes with recipients that wait or are being tried."),
    "queue_oldest_seconds": Metric("gauge", "Age of the oldest mail in the queue, as counted last."),
    "queue_waiting": Metric(
        "gauge",
        "Recipients that wait or are tried, by destination, those with most of them, as counted last.",
        ("destination",),
    ),
    "queue_reasons": Metric("gauge", "The same by reason, a word of queue summary.", ("reason",)),
    "outgoing_tls_decisions": Metric(
        "counter", "Times that DANE or MTA-STS said what TLS with servers must be, by the level.", ("policy", "level")
    ),
    "outgoing_tls_results": Metric(
        "counter",
        "Connections to servers under DANE or MTA-STS, by how they ended: success, or what RFC 8460 4.3 calls the failure.",
        ("policy", "result"),
    ),
    "outgoing_tls_downgrades": Metric(
        "counter",
        "Domains to a server of which a connection was encrypted worse than before, each once a day, by the levels.",
        ("was", "now"),
    ),
    "tls_reports": Metric("counter", "Reports of TLS to other domains, by whether they were taken.", ("result",)),
    "messages_judged": Metric(
        "counter", "Messages that policies were asked about, by what became of them.", ("outcome",)
    ),
    "policy_answers": Metric(
        "counter",
        "Answers of policies, by stage: pass, suspect and trust (by score), accept, quarantine, defer, refuse, failed.",
        ("policy", "stage", "answer"),
    ),
    "policy_seconds": Metric("histogram", "How long a policy took to answer, at any stage.", ("policy",)),
    "dmarc_reports": Metric("counter", "Reports of DMARC to other domains, by whether they were queued.", ("result",)),
    "reports_received": Metric(
        "counter",
        "Reports of other servers that were read: of mail (dmarc) and of TLS (tls), or of neither.",
        ("kind",),
    ),
    "policy_failures": Metric("counter", "Policies that failed and were passed over or deferred.", ("policy",)),
    "store_failures": Metric("counter", "Units of work the store refused, by tenancy.", ("tenancy",)),
    "search_unindexed": Metric("gauge", "Messages that the search index does not have yet, as far as is known."),
    "search_lag_seconds": Metric("gauge", "Seconds since the first of these arrived."),
    "doctor_items": Metric(
        "gauge", "Things that the last daily look found to be so: done, to_do, waiting, failed, skipped.", ("state",)
    ),
    "thread_calls": Metric("gauge", "Calls under way or waiting in a thread pool.", ("pool",)),
    "connections": Metric("gauge", "Connections that stand, of all listeners for mail.", ("process",)),
    "connections_most": Metric("gauge", "How many may stand, for want of descriptors.", ("process",)),
    "connections_stopped": Metric("gauge", "1 while no connection is taken for want of descriptors.", ("process",)),
    "imap_open_views": Metric("gauge", "IMAP sessions that have their mailbox at hand; the others rest."),
    "workers": Metric("gauge", "Processes that serve."),
    "workers_ended": Metric("counter", "Processes that ended and were, or could not be, replaced."),
    "config_generation": Metric(
        "gauge",
        "The number of the configuration and certificates a process serves; all tell the same, except in a reload.",
        ("process",),
    ),
    "certificate_renewals": Metric("counter", "Orders of certificates that came to an end.", ("outcome",)),
    "certificate_renewal_failures": Metric("gauge", "Orders of certificates that failed since the last that did not."),
    "certificate_expiry_seconds": Metric(
        "gauge",
        "When a certificate that a process shows runs out, seconds since 1970, with the SHA-256 of it.",
        ("certificate", "fingerprint", "process"),
    ),
}

PREFIX = "mailnode_"


@implementer(IMetrics)
class Metrics:
    """All metrics of one process, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        kinds: dict[str, type[Counter | Gauge]] = {"counter": Counter, "gauge": Gauge}
        self._metrics: dict[str, Counter | Gauge | _AddedTo] = {}
        for name, metric in METRICS.items():
            if metric.kind == "histogram":
                made: Counter | Gauge | _AddedTo = _AddedTo(
                    PREFIX + name, metric.help, metric.labels, registry=self._registry, buckets=SECONDS
                )
            else:
                made = kinds[metric.kind](PREFIX + name, metric.help, metric.labels, registry=self._registry)
            self._metrics[name] = made
        self._unknown: set[str] = set()
        # Added to counters without labels since somebody looked: several times a message, and each takes the library six calls.
        self._added = {name: 0.0 for name, one in METRICS.items() if one.kind == "counter" and not one.labels}
        self._adding = Lock()  # events come from any thread
        self._sums: list[_Sum | _Spread] = []  # the same for those that somebody adds to often
        # Found already, by metric, method and labels: the library looks for one of them as long as adding to it takes.
        self._found: dict[tuple[object, ...], Callable[[float], None]] = {}

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a counter."""
        if labels or name not in self._added:
            self._call(name, "inc", amount, labels)
            return
        with self._adding:
            self._added[name] += amount

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Add a value to a histogram."""
        self._call(name, "observe", value, labels)

    def adder(self, name: str, **labels: str) -> Callable[[float], None]:
        """Return what adds to a counter or gauge, or a value to a histogram, for who does so often.

        :raises KeyError: unknown name."""
        metric = self._metrics[name]
        found = metric.labels(**labels) if labels else metric
        return self._sum(found)

    def _sum(self, found: Counter | Gauge | _AddedTo) -> Callable[[float], None]:
        """Return what adds to a metric of the library's what has come together when somebody looks."""
        added = _Sum(found.inc, self._adding) if isinstance(found, Counter | Gauge) else _Spread(found, self._adding)
        self._sums.append(added)
        return added.add

    def set(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        self._call(name, "set", value, labels)

    def clear(self, name: str) -> None:
        """Forget every value of a metric with labels."""
        self._metrics[name].clear()
        self._found = {key: call for key, call in self._found.items() if key[0] != name}

    def change(self, name: str, amount: float, **labels: str) -> None:
        """Add to a gauge; the amount may be negative."""
        self._call(name, "inc", amount, labels)

    def render(self, others: Sequence[Snapshot] = ()) -> tuple[bytes, bytes]:
        """Return content type and text of everything, together with what other processes of the server counted."""
        self._add_up()
        registry = self._registry if not others else Merged([self.snapshot(), *others])
        return CONTENT_TYPE_LATEST.encode("ascii"), generate_latest(registry)

    def snapshot(self) -> Snapshot:
        """Return everything as plain data."""
        self._add_up()
        return snapshot(self._registry)

    def _add_up(self) -> None:
        for name in self._added:
            with self._adding:
                amount, self._added[name] = self._added[name], 0.0
            self._call(name, "inc", amount, {})
        for added in self._sums:
            added.hand_over()

    def _call(self, name: str, method: str, value: float, labels: dict[str, str]) -> None:
        try:
            key = name, method, *labels.items()
            call = self._found.get(key)
            if call is None:
                metric = self._metrics[name]
                call = self._found[key] = getattr(metric.labels(**labels) if labels else metric, method)
            call(value)
        except (KeyError, ValueError, AttributeError):
            # A wrong name is a bug, found by the tests; it must not cost a message.
            if name not in self._unknown:
                self._unknown.add(name)
                _log.error("the metric {name} with {labels} is not in the table", name=name, labels=sorted(labels))


class _Sum:
    """What was added to one counter since somebody looked."""

    __slots__ = ("_amount", "_inc", "_lock")

    def __init__(self, inc: Callable[[float], None], lock: Lock) -> None:
        self._amount = 0.0
        self._inc = inc
        self._lock = lock

    def add(self, amount: float) -> None:
        """Add an amount."""
        with self._lock:
            self._amount += amount

    def hand_over(self) -> None:
        """Add what has come together to the counter."""
        with self._lock:
            amount, self._amount = self._amount, 0.0
        self._inc(amount)


class _AddedTo(Histogram):
    """A histogram that takes many values at once."""

    def add(self, numbers: Sequence[int], total: float) -> None:
        """Add values. :param numbers: how many, up to each of the bounds and above the one before. :param total: their sum."""
        self._sum.inc(total)
        for bucket, number in zip(self._buckets, numbers, strict=True):
            bucket.inc(number)


class _Spread:
    """The values of one histogram since somebody looked."""

    __slots__ = ("_found", "_lock", "_numbers", "_total")

    def __init__(self, found: _AddedTo, lock: Lock) -> None:
        self._found = found
        self._lock = lock
        self._numbers = [0] * (len(SECONDS) + 1)
        self._total = 0.0

    def add(self, value: float) -> None:
        """Add a value."""
        with self._lock:
            self._numbers[bisect_left(SECONDS, value)] += 1
            self._total += value

    def hand_over(self) -> None:
        """Add what has come together to the histogram."""
        with self._lock:
            numbers, total = self._numbers, self._total
            self._numbers, self._total = [0] * len(numbers), 0.0
        self._found.add(numbers, total)


EventFields = Mapping[str, object]


def _number(fields: EventFields, name: str) -> float:
    value = fields.get(name)
    return value if isinstance(value, int | float) else 0


def _method(event: str) -> str:
    return "_" + event.replace(".", "_")


@implementer(ILogObserver)
class EventMetrics:
    """Counts what the events of the log tell, so that no room has to say it twice."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._counting = {name: getattr(self, method) for name in EVENTS if hasattr(self, method := _method(name))}

    def __call__(self, event: LogEvent) -> None:
        """Count one event of ours; others are not looked at."""
        name, fields = event.get("event"), event.get("fields")
        if isinstance(name, str) and isinstance(fields, dict):
            counted = self._counting.get(name)
            if counted is not None:
                counted(fields)

    def _session_open(self, fields: EventFields) -> None:
        self._metrics.count("sessions_opened", protocol=str(fields.get("protocol")))
        self._metrics.change("sessions_open", 1, protocol=str(fields.get("protocol")))

    def _session_close(self, fields: EventFields) -> None:
        protocol = str(fields.get("protocol"))
        self._metrics.change("sessions_open", -1, protocol=protocol)
        self._metrics.count("session_octets", _number(fields, "bytes_in"), protocol=protocol, direction="in")
        self._metrics.count("session_octets", _number(fields, "bytes_out"), protocol=protocol, direction="out")

    def _certificate_issued(self, fields: EventFields) -> None:
        self._metrics.count("certificate_renewals", outcome="issued")

    def _certificate_failed(self, fields: EventFields) -> None:
        self._metrics.count("certificate_renewals", outcome="failed")

    def _client_limited(self, fields: EventFields) -> None:
        self._metrics.count("clients_limited", what=str(fields.get("what")))

    def _session_error(self, fields: EventFields) -> None:
        self._metrics.count("session_errors", protocol=str(fields.get("protocol")))

    def _session_login(self, fields: EventFields) -> None:
        self._metrics.count("logins", protocol=str(fields.get("protocol")), result="succeeded")

    def _session_refused(self, fields: EventFields) -> None:
        self._metrics.count("logins", protocol=str(fields.get("protocol")), result="refused")

    def _recipient_refused(self, fields: EventFields) -> None:
        self._metrics.count("recipients_refused", status=str(fields.get("status")))

    def _message_refused(self, fields: EventFields) -> None:
        self._metrics.count("messages_refused", status=str(fields.get("status")))

    def _message_accepted(self, fields: EventFields) -> None:
        self._metrics.count("messages_accepted")
        self._metrics.count("message_octets", _number(fields, "size"))

    def _sieve_ran(self, fields: EventFields) -> None:
        for action in str(fields.get("actions")).split(", "):
            self._metrics.count("sieve_actions", action=action)

    def _sieve_failed(self, fields: EventFields) -> None:
        self._metrics.count("sieve_failures")

    def _message_signed(self, fields: EventFields) -> None:
        self._metrics.count("messages_signed")

    def _message_sealed(self, fields: EventFields) -> None:
        self._metrics.count("messages_sealed", chain=str(fields.get("chain")))

    def _message_delivered(self, fields: EventFields) -> None:
        self._metrics.count("messages_delivered")

    def _message_appended(self, fields: EventFields) -> None:
        self._metrics.count("messages_appended")

    def _account_loud(self, fields: EventFields) -> None:
        self._metrics.count("accounts_loud")

    def _queue_bounced(self, fields: EventFields) -> None:
        self._metrics.count("queue_bounces", kind=str(fields.get("kind")))

    def _queue_tls_policy(self, fields: EventFields) -> None:
        policy, level = str(fields.get("policy")), str(fields.get("level"))
        self._metrics.count("outgoing_tls_decisions", policy=policy, level=level)

    def _queue_tls_result(self, fields: EventFields) -> None:
        policy, result = str(fields.get("policy")), str(fields.get("result"))
        self._metrics.count("outgoing_tls_results", policy=policy, result=result)

    def _queue_tls_downgrade(self, fields: EventFields) -> None:
        self._metrics.count("outgoing_tls_downgrades", was=str(fields.get("was")), now=str(fields.get("now")))

    def _tls_report_sent(self, fields: EventFields) -> None:
        self._metrics.count("tls_reports", result="sent")

    def _tls_report_failed(self, fields: EventFields) -> None:
        self._metrics.count("tls_reports", result="failed")

    def _message_judged(self, fields: EventFields) -> None:
        self._metrics.count("messages_judged", outcome=str(fields.get("outcome")))

    def _dmarc_report_sent(self, fields: EventFields) -> None:
        self._metrics.count("dmarc_reports", result="sent")

    def _dmarc_report_failed(self, fields: EventFields) -> None:
        self._metrics.count("dmarc_reports", result="failed")

    def _report_received(self, fields: EventFields) -> None:
        self._metrics.count("reports_received", kind=str(fields.get("kind")))

    def _report_unreadable(self, fields: EventFields) -> None:
        self._metrics.count("reports_received", kind="unreadable")

    def _policy_failed(self, fields: EventFields) -> None:
        self._metrics.count("policy_failures", policy=str(fields.get("policy")))

    def _doctor_looked(self, fields: EventFields) -> None:
        for state in fields:
            self._metrics.set("doctor_items", _number(fields, state), state=state)

    def _worker_ended(self, fields: EventFields) -> None:
        self._metrics.count("workers_ended")

    def _store_failed(self, fields: EventFields) -> None:
        self._metrics.count("store_failures", tenancy=str(fields.get("tenancy")))
