"""SMTP in of signed messages that are judged: SPF, DKIM, DMARC, ARC and the statistical filter, beside Postfix with rspamd and
beside the same server without checks."""

from __future__ import annotations

import contextlib
import imaplib
import json
import ssl
from collections.abc import Callable

from benchmarks.imap_client import Imap
from benchmarks.judged import AUTHOR, SignedDomain
from benchmarks.lab import Lab
from benchmarks.messages import Messages
from benchmarks.peers import PASSWORD, MailNodeForLoad
from benchmarks.report import Measurement
from benchmarks.rows import Row, in_turn
from benchmarks.rows_imap import noop_delays
from benchmarks.rows_memory import LARGE, large_message, send_content
from benchmarks.smtp_load import signed
from tests.end_to_end.servers import wait_for
from tests.end_to_end.ways import WAYS

SESSIONS, SIZE = 20, 4096
LESSONS = 25  # of each kind
WAY = WAYS["none, proxied"]  # whose client is at an address of its own
HEAD = b"From: Out <%b>\r\nTo: bob@a.test\r\nSubject: large\r\nDate: now\r\n\r\n" % AUTHOR.encode()


def _judging(lab: Lab) -> tuple[MailNodeForLoad, tuple[str, str], SignedDomain]:
    """Return a server that judges, what the load is told of the signed domain, and that."""
    domain = lab.once("signed domain", lambda: SignedDomain(lab.folder / "signed-domain"))
    node = lab.mailnode("judging", judgement="", dns=domain.dns)
    options = f"author={AUTHOR}", f"key={domain.key}"
    if lab.first("judged mail"):
        _teach(node)
        lab.rate(node, SESSIONS, SIZE, *options)  # from now on the client is known, and what DNS says of it
    return node, options, domain


def _teach(node: MailNodeForLoad) -> None:
    """Have the account's filter learn, as a person would: half of its lessons are mail like that of the load."""
    source = Messages(2)
    with imaplib.IMAP4_SSL(node.address, node.ports["imaps"], ssl_context=ssl._create_unverified_context()) as client:
        client.login(node.user, PASSWORD)
        for number in range(LESSONS):
            client.append("INBOX", "($NotJunk)", None, source.message(SIZE))
            client.append(
                "INBOX", "($Junk)", None, b"Subject: win %d\r\n\r\nwin lottery prize %d\r\n" % (number, number)
            )

    def has_learnt() -> bool:
        shown = json.loads(node.ctl("filter", "show", node.user, "--json").stdout)
        return min(shown["junk"], shown["good"]) >= LESSONS

    wait_for(has_learnt, "the filter to learn", 120)


def _beside_rspamd(lab: Lab, made: Measurement) -> None:
    node, options, domain = _judging(lab)
    postfix = lab.judging_postfix(domain.dns)
    in_turn(
        lab,
        made,
        _rested([node], lambda: lab.rate(node, SESSIONS, SIZE, *options)),
        _rested([node], lambda: lab.rate(postfix, SESSIONS, SIZE, *options)),
    )
    made.notes["cpu_us"] = round(node.cpu_seconds_of(lambda: lab.rate(node, SESSIONS, SIZE, *options)) * 1e6)


def _beside_ours(lab: Lab, made: Measurement) -> None:
    node, options, _ = _judging(lab)
    unjudged = lab.mailnode()
    lab.rate(unjudged, SESSIONS, SIZE, *options)
    both = [node, unjudged]
    in_turn(
        lab,
        made,
        _rested(both, lambda: lab.rate(node, SESSIONS, SIZE, *options)),
        _rested(both, lambda: lab.rate(unjudged, SESSIONS, SIZE, *options)),
    )


def _rested(nodes: list[MailNodeForLoad], rate: Callable[[], float]) -> Callable[[], float]:
    """Return what measures a rate once nothing is left of the turn before: who is faster would leave more to the search index, and
    the other one's turn would pay for it."""

    def measure() -> float:
        for node in nodes:
            node.wait_until_indexed()
        return rate()

    return measure


def _noop_beside(contents: Callable[[Callable[[bytes], bytes]], list[bytes]]) -> Callable[[Lab, Measurement], None]:
    """:param contents: given what signs, returns the messages that another client sends."""

    def measure(lab: Lab, made: Measurement) -> None:
        node, _, domain = _judging(lab)
        key = domain.key.read_text()
        messages = contents(lambda message: signed([message], AUTHOR.rpartition("@")[2], key)[0])
        messages = [message.replace(b"\r\n.", b"\r\n..") for message in messages]

        def work() -> None:
            for message in messages:
                send_content(node, message, lab.way, taken=False)

        with contextlib.closing(Imap(node.address, node.ports["imaps"], node.user, PASSWORD, tls=True)) as client:
            for _ in range(lab.rounds):
                delays = noop_delays(client, work)
                made.ours.append(delays[min(len(delays) - 1, len(delays) * 99 // 100)])
                made.notes["max"] = f"{max(delays[-1], float(made.notes.get('max', 0))):.1f}"

    return measure


def _large(sign: Callable[[bytes], bytes]) -> list[bytes]:
    body = large_message(LARGE).partition(b"\r\n\r\n")[2]
    return [sign(HEAD + body.replace(b"\r\n..", b"\r\n."))]


def _hostile(sign: Callable[[bytes], bytes]) -> list[bytes]:
    """Signatures and seals by the thousand, as many fields as are taken and more, white space, a header of 48 MB."""
    field = b"DKIM-Signature: v=1; a=rsa-sha256; d=side.test; s=%d; h=from; bh=AAAA; b=AAAA\r\n"
    seals = b"ARC-Seal: i=%d; a=rsa-sha256; cv=pass; d=side.test; s=x; b=AAAA\r\nARC-Message-Signature: i=%d; x\r\n"
    good = sign(HEAD + b"x\r\n")
    return [
        b"".join(field % number for number in range(10_000)) + good,
        b"".join(field % number for number in range(4_900)) + good,
        b"".join(seals % (number, number) for number in range(2_400)) + good,
        b"Authentication-Results: load.test; dkim=pass\r\n" * 4_900 + good,
        b"A:\r\n" * 200_000 + good,
        b"Subject: " + b" \t" * 500_000 + b"\r\n" + good,
        b"X-Large: " + b"y" * 48_000_000 + b"\r\n" + good,
        sign(HEAD + b" \t\t" * 20_000 + (b"\r\n" * 5_000 + b" \t" * 20_000) * 100 + b"\r\n" * 5_000_000),
    ]


ROWS = [
    Row("smtp 4 KiB signed, 20 sessions, judged", "msg/s", _beside_rspamd, "Postfix+rspamd", 1.0, way=WAY),
    Row(
        "smtp 4 KiB signed, 20 sessions, judged or not", "msg/s", _beside_ours, "mailnode without checks", 0.6, way=WAY
    ),
    Row("imap NOOP p99 beside 48 MiB signed over SMTP", "ms", _noop_beside(_large), ceiling=20.0, large=True),
    Row("imap NOOP p99 beside signatures made to take long", "ms", _noop_beside(_hostile), ceiling=20.0),
]
