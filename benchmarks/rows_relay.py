"""Mail for others: accepted, queued, delivered to smtp-sink; and a live destination behind one that defers."""

from __future__ import annotations

import smtplib
import time

from benchmarks.lab import Lab
from benchmarks.peers import PASSWORD, SIGNED_USER, MailNodeForLoad, Sink
from benchmarks.report import Measurement
from benchmarks.rows import Row, in_turn
from mailnode.net.no_reactor import run_now
from mailnode.server.administration import administration
from mailnode.server.configuration import configuration
from mailnode.values.queue import WAITING
from tests.end_to_end.servers import Dns, free_port, wait_for

DEAD, LIVE = "127.0.0.22", "127.0.0.23"
AT_ONCE = 1000  # recipients of one message


def _relay(lab: Lab, made: Measurement) -> None:
    our_sink, their_sink = lab.sink("ours"), lab.sink("theirs")
    node = lab.relay(our_sink)
    postfix = lab.postfix(f"relay:{their_sink.port}")
    postfix.delivered_elsewhere = their_sink.messages
    in_turn(lab, made, lambda: lab.rate(node, 20, 4096), lambda: lab.rate(postfix, 20, 4096))
    made.notes["left_in_queue"] = len(node.queue())


def _signed(lab: Lab, made: Measurement) -> None:
    """Postfix takes from its network without a login, mailnode signs what an account submits."""
    our_sink, their_sink = lab.sink("ours, signed"), lab.sink("theirs, signed")
    node = lab.signing_relay(our_sink)
    postfix = lab.postfix(f"signed relay:{their_sink.port}")
    postfix.delivered_elsewhere = their_sink.messages
    author = f"author={SIGNED_USER}"
    in_turn(
        lab,
        made,
        lambda: lab.rate(node, 20, 4096, author, f"login={SIGNED_USER}:{PASSWORD}"),
        lambda: lab.rate(postfix, 20, 4096, author),
    )


def _behind_deferred(lab: Lab, made: Measurement) -> None:
    port = free_port()
    records = [f"host-record=dead.test,{DEAD}", f"host-record=live.test,{LIVE}"]
    dns = Dns(lab.folder / "dns", records)
    dead = Sink(lab.folder, DEAD, port, "-r", "RCPT").start()
    live = Sink(lab.folder, LIVE, port).start()
    listen = free_port()
    node = lab.mailnode(
        "deferring",
        f'[[listener]]\nprotocol = "smtp"\ntls = "none"\nendpoint = "tcp:{listen}:interface=127.0.0.1"\n'
        f'relay_from = ["127.0.0.1"]\n[queue]\nport = {port}\n',
        dns=dns,
    )
    try:
        recipients = 1000 if lab.quick else 10_000
        rounds = 1 if lab.quick else lab.rounds
        for _ in range(rounds):
            made.ours.append(_time_to_live(lab, node, listen, live, recipients, made))
        node.kill()
        made.notes["deferred_after_kill"] = kept = _deferred(node)
        if kept != rounds * recipients:
            lab.errors.append(f"{made.name}: {kept} of {rounds * recipients} recipients are deferred after a kill")
    finally:
        lab.drop("deferring")
        for server in (dead, live, dns):
            server.stop()


def _deferred(node: MailNodeForLoad) -> int:
    """Count the recipients in the store of a server that was killed that were tried and are to be tried again."""
    count, after = 0, ""
    with administration(configuration(node.config, None)) as parts:
        while page := run_now(parts.queue.envelopes(after)):  # type: ignore[attr-defined]
            for envelope in page:
                count += sum(
                    r.state == WAITING and r.attempts > 0 and r.last_status.startswith("4") for r in envelope.recipients
                )
            after = page[-1].id
    return count


def _time_to_live(lab, node, listen, live, recipients, made) -> float:  # type: ignore[no-untyped-def]
    before = live.messages()
    with smtplib.SMTP("127.0.0.1", listen, timeout=60) as client:
        for start in range(0, recipients, AT_ONCE):
            names = [f"u{number}@dead.test" for number in range(start, min(start + AT_ONCE, recipients))]
            client.sendmail("out@side.test", names, "Subject: to many\r\n\r\nbody\r\n")
        started = time.monotonic()
        client.sendmail("out@side.test", ["one@live.test"], "Subject: to one\r\n\r\nbody\r\n")
    wait_for(lambda: live.messages() > before, "the live destination's mail", 120)
    took = time.monotonic() - started

    def all_deferred() -> bool:
        return node.log.read_text().count('"queue.deferred"') >= recipients * (len(made.ours) + 1)

    waited = time.monotonic()
    wait_for(all_deferred, "the deferrals", 300)
    made.notes["all_deferred_s"] = round(time.monotonic() - waited + took, 1)
    return took


ROWS = [
    Row("relay 4 KiB, 20 sessions", "msg/s", _relay, "Postfix", 1.0),
    Row("relay 4 KiB, 20 sessions, signed twice", "msg/s", _signed, "Postfix+opendkim", 1.0),
    Row("relay, live destination behind 10,000 deferred recipients", "s", _behind_deferred, ceiling=2.0, slow=True),
]
