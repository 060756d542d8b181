"""What a new message waits for behind very many others, and what very many recipients cost."""

from __future__ import annotations

import contextlib
import os
import smtplib
import time
from collections.abc import Iterator
from statistics import median

from benchmarks.lab import LIMITS, Lab
from benchmarks.peers import PASSWORD, SIGNED_USER, MailNodeForLoad, Sink
from benchmarks.queues import Probe, Watch, fill_queue
from benchmarks.report import Measurement
from benchmarks.rows import Row
from benchmarks.rows_memory import Peak
from tests.end_to_end.servers import Dns, free_port, wait_for

LIVE, TAKES, REFUSES = "127.0.0.23", "127.0.0.24", "127.0.0.25"  # nothing listens at the last
DESTINATIONS = 1000
PAUSE = 0.05  # seconds between two probes
PROBES = 1000  # destinations for new messages at most
HOSTS = {"live": LIVE, "takes": TAKES, "refuses": REFUSES}
RECORDS = ["local-ttl=3600"]
RECORDS += [f"host-record=mx.{kind}.test,{address}" for kind, address in HOSTS.items()]
RECORDS += ["host-record=side.test,127.0.0.26"]
RECORDS += [f"mx-host=d{n}.{kind}.test,mx.{kind}.test" for kind in HOSTS for n in range(max(DESTINATIONS, PROBES))]


@contextlib.contextmanager
def _node(lab: Lab, name: str, sink: list[str], limits: str = LIMITS) -> Iterator[tuple[MailNodeForLoad, Sink, Watch]]:
    """A server whose foreign mail goes by MX to a sink, a watch, or nowhere."""
    port, listen, submission = free_port(), free_port(), free_port()
    dns = Dns(lab.folder / f"{name}-dns", RECORDS)
    watch = Watch(LIVE, port)
    taking = Sink(lab.folder, TAKES, port, *sink).start()
    extra = (
        f"{limits}[queue]\nport = {port}\ndane = false\nmta_sts = false\n"
        + _listener("smtp", listen, 'relay_from = ["127.0.0.1"]')
        + _listener("submission", submission, "plain_login = true")
    )
    node = lab.once(name, lambda: MailNodeForLoad(lab.folder / name, "", dns=dns, extra=extra, workers=lab.workers))
    node.ports["smtp"], node.ports["submission"] = listen, submission
    try:
        node.start()
        yield node, taking, watch
    finally:
        lab.drop(name)
        for server in (watch, taking, dns):
            server.stop()


def _listener(protocol: str, port: int, more: str) -> str:
    return f'[[listener]]\nprotocol = "{protocol}"\ntls = "none"\nendpoint = "tcp:{port}:interface=127.0.0.1"\n{more}\n'


class _Delays:
    """Milliseconds from the first command of a message until it is acknowledged, and until it is tried."""

    def __init__(self) -> None:
        self.acknowledged: list[float] = []
        self.tried: list[float] = []

    def probe(self, node: MailNodeForLoad, watch: Watch, name: str, seconds: float) -> _Delays:
        """Send messages one by one, half of them to destinations that nothing was sent to before."""
        times: dict[str, tuple[float, float]] = {}
        probe = Probe("127.0.0.1", node.ports["smtp"])
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            number = len(times)
            recipient = f"{name}{number}@d{number if number % 2 else 0}.live.test"
            times[recipient] = probe.send(recipient)
            time.sleep(PAUSE)
        probe.close()
        wait_for(lambda: times.keys() <= watch.tried.keys(), "the first tries", 120)
        self.acknowledged = sorted((end - began) * 1000 for began, end in times.values())
        self.tried = sorted((watch.tried[one] - began) * 1000 for one, (began, _) in times.items())
        return self

    def __str__(self) -> str:
        return "/".join(
            f"{value:.0f}" for some in (self.acknowledged, self.tried) for value in (median(some), _p99(some), some[-1])
        )


def _p99(values: list[float]) -> float:
    return values[min(len(values) - 1, len(values) * 99 // 100)]


def _behind_waiting(lab: Lab, made: Measurement) -> None:
    _behind(lab, made, "waiting", due_in=200_000.0)


def _behind_due(lab: Lab, made: Measurement) -> None:
    _behind(lab, made, "due", due_in=0.0)


def _behind(lab: Lab, made: Measurement, what: str, due_in: float) -> None:
    count, seconds = lab.size, 2.0 if lab.quick else 15.0
    names = [f"d{n}.{'takes' if n % 2 else 'refuses'}.test" for n in range(DESTINATIONS)]
    with _node(lab, f"queue-{what}", []) as (node, sink, watch):
        made.notes["alone_ms"] = alone = _Delays().probe(node, watch, "alone", seconds)
        node.stop()
        lab.progress(f"queueing {count}")
        fill_queue(node.config, names, count, due_in, paused=not due_in)
        node.start()
        taken = sink.messages()
        if not due_in:
            node.ctl("queue", "resume")
        with Peak(node.pid) as peak:
            made.notes["ms"] = delays = _Delays().probe(node, watch, what, seconds)
        made.ours.append(_p99(delays.tried))
        made.notes |= {
            "slower_ms": round(_p99(delays.tried) - _p99(alone.tried)),
            "taken": sink.messages() - taken,
            "peak_mib": round(peak.own_mib),
            "load": round(os.getloadavg()[0], 1),
        }


def _thousand_destinations(lab: Lab, made: Measurement) -> None:
    """Servers that take two seconds to answer: one after another would take as many thousand."""
    with _node(lab, "queue-destinations", ["-m", "5000", "-w", "2"]) as (node, sink, _):
        with Peak(node.pid) as peak, smtplib.SMTP("127.0.0.1", node.ports["smtp"], timeout=120) as client:
            started = time.monotonic()
            names = [f"u@d{number}.takes.test" for number in range(DESTINATIONS)]
            client.sendmail("out@side.test", names, "Subject: to many\r\n\r\nbody\r\n")
            made.notes["acknowledged_s"] = round(time.monotonic() - started, 2)
            wait_for(lambda: sink.messages() >= DESTINATIONS, "all of them", 600)
            made.ours.append(time.monotonic() - started)
        made.notes |= {"peak_mib": round(peak.own_mib), "load": round(os.getloadavg()[0], 1)}


def _many_recipients(lab: Lab, made: Measurement) -> None:
    count = lab.size
    limits = LIMITS.replace("[limits]\n", f"[limits]\nrecipients = {count}\n")
    with _node(lab, "queue-recipients", ["-m", "5000"], limits) as (node, _, _):
        node.ctl("domain", "add", SIGNED_USER.rpartition("@")[2])
        node.add_account(SIGNED_USER)
        node.ctl("queue", "pause")
        names = [f"user{number}@d{number % DESTINATIONS}.takes.test" for number in range(count)]
        with Peak(node.pid) as peak:
            with smtplib.SMTP("127.0.0.1", node.ports["submission"], timeout=600) as client:
                client.login(SIGNED_USER, PASSWORD)
                started = time.monotonic()
                _send(client, names)
            made.notes["acknowledged_s"] = round(time.monotonic() - started, 1)
        made.notes["peak_in_mib"] = round(peak.own_mib)
        node.stop()  # all that the log has goes into the file
        made.notes["stored_octets_each"] = round((node.data / "queue.db").stat().st_size / count)
        node.start()
        with Peak(node.pid) as peak:
            started = time.monotonic()
            node.ctl("queue", "resume")
            wait_for(lambda: '"queue.removed"' in node.log.read_text(), "its end", 1200)
            made.ours.append(time.monotonic() - started)
        made.notes |= {"peak_out_mib": round(peak.own_mib), "load": round(os.getloadavg()[0], 1)}


def _send(client: smtplib.SMTP, names: list[str]) -> None:
    """Pipelined, as programs with lists do."""
    client.mail(SIGNED_USER)
    for start in range(0, len(names), 1000):
        some = names[start : start + 1000]
        client.send("".join(f"RCPT TO:<{name}>\r\n" for name in some))
        for _ in some:
            code, text = client.getreply()
            if code != 250:
                raise RuntimeError(f"{code} {text!r}")
    client.data(f"From: {SIGNED_USER}\r\nSubject: to very many\r\n\r\nbody\r\n")


ROWS = [
    Row("queue, first try behind 100,000 waiting", "ms", _behind_waiting, ceiling=50.0, slow=True),
    Row("queue, first try behind 100,000 due", "ms", _behind_due, ceiling=50.0, slow=True),
    Row("queue, 1,000 destinations at once", "s", _thousand_destinations, slow=True),
    Row("queue, 100,000 recipients of one message", "s", _many_recipients, slow=True),
]
