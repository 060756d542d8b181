"""Searches of the large mailbox; the search index: how far it falls behind while mail arrives, what it costs mail, and how large it
is; and mail beside searches that somebody makes as long as they can be."""

from __future__ import annotations

import contextlib
import itertools
import smtplib
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from benchmarks.imap_client import Imap
from benchmarks.lab import BIG_USER, LIMITS, UNJUDGED, USER, Lab
from benchmarks.mailboxes import content, fill_mailnode
from benchmarks.peers import MailNodeForLoad, cpu_seconds
from benchmarks.report import Measurement
from benchmarks.rows import Row, in_turn, seconds
from benchmarks.searched import rare_texts, words

OFF = "[search]\nindex = false\n"
UNINDEXED = 20_000  # messages of the mailbox that no index has
ROUNDS = 9  # of which each has another text, at most


def _searched(key: bytes, texts: Sequence[bytes], *, again: bool) -> Callable[[Lab, Measurement], None]:
    """Look for another text in each round, for the first time or once more. What else both keep is there before."""

    def measure(lab: Lab, made: Measurement) -> None:
        [ours], [theirs] = lab.imaps()
        for client in (ours, theirs):
            client.command(b"SEARCH %b qwxkz%d" % (key, again))
        left = {client: iter(texts) for client in (ours, theirs)}
        found: list[int] = []

        def once(client: Imap) -> float:
            command = b"SEARCH %b %b" % (key, next(left[client]))
            if again:
                client.command(command)
            answer = b""

            def ask() -> None:
                nonlocal answer
                answer = client.command(command)

            took = seconds(ask) * 1000
            found.append(_found(answer))
            return took

        in_turn(lab, made, lambda: once(ours), lambda: once(theirs))
        made.notes["found"] = "/".join(str(sum(found[side::2]) // lab.rounds) for side in (0, 1))

    return measure


def _found(answer: bytes) -> int:
    line = next((line for line in answer.split(b"\r\n") if line.startswith(b"* SEARCH")), b"")
    return len(line.split()) - 2


def _not_indexed(lab: Lab) -> tuple[Imap, int]:
    """A connection to a server without an index, which has the first messages of the large mailbox; and how many."""
    count = min(UNINDEXED, lab.size)

    def make() -> MailNodeForLoad:
        extra = LIMITS + UNJUDGED + OFF
        node = MailNodeForLoad(lab.folder / "big-not-indexed", BIG_USER, extra=extra).start()
        node.add_account(BIG_USER)
        node.stop()
        lab.progress(f"filling mailnode with {count}")
        fill_mailnode(node.config, BIG_USER, itertools.islice(content(lab.size), count))
        node.start()
        node.wait_until_looked_through()
        return node

    def client() -> Imap:
        made = lab.login(lab.once("big mailnode, not indexed", make))
        made.command(b"SELECT INBOX")
        return made

    return lab.once("imap of what is not indexed", client), count


def _reading(lab: Lab, made: Measurement) -> None:
    """Bodies that no index has, each round for another word, beside a server that reads them too."""
    ours, count = _not_indexed(lab)
    _, [theirs] = lab.imaps()
    asked = {client: iter(words(ROUNDS)) for client in (ours, theirs)}

    def once(client: Imap) -> float:
        return seconds(lambda: client.command(b"SEARCH 1:%d BODY %b" % (count, next(asked[client])))) * 1000

    in_turn(lab, made, lambda: once(ours), lambda: once(theirs))


def _index_of_no_use(lab: Lab, made: Measurement) -> None:
    """Texts that all messages hold and of which the index decides nothing, so that asking it is in vain, beside the same server
    without one."""
    without, count = _not_indexed(lab)
    [indexed], _ = lab.imaps()
    texts = (
        b"side.test",
        b"x-mailer",
        b"mime-version",
        b"message-id",
        b"content-type",
        b"bob@a.test",
        b"in-reply-to",
        b"subject:",
        b"from:",
    )
    asked = {client: iter(texts) for client in (indexed, without)}

    def once(client: Imap) -> float:
        return seconds(lambda: client.command(b"SEARCH 1:%d TEXT %b" % (count, next(asked[client])))) * 1000

    in_turn(lab, made, lambda: once(indexed), lambda: once(without))


def _lag(lab: Lab, made: Measurement) -> None:
    """Deliver at least 10,000 messages, then wait until all are indexed."""
    node = lab.mailnode("indexed")
    node.wait_until_indexed()
    for _ in range(lab.rounds):
        count = 0
        while count < 10_000:
            count += lab.delivered(node, 20, 4096)
        started = time.monotonic()
        node.wait_until_indexed()
        made.ours.append(time.monotonic() - started)
        made.notes["messages"] = count
    made.notes["octets for one of mail"] = f"{node.index_octets() / node.mail_octets():.2f}"


def _beside_mail(lab: Lab, made: Measurement) -> None:
    on, off = lab.mailnode("indexed"), lab.mailnode("not-indexed", OFF)
    spent = dict.fromkeys((on, off), 0.0)

    def once(node: MailNodeForLoad) -> float:
        """Without what the process that indexes takes when nothing else is to be done."""
        before, rate = cpu_seconds(node.pid), lab.rate(node, 20, 4096)
        spent[node] += (cpu_seconds(node.pid) - before) / max(rate * lab.seconds, 1)
        return rate

    in_turn(lab, made, lambda: once(on), lambda: once(off))
    made.notes["cpu us"] = "/".join(f"{spent[node] / lab.rounds * 1e6:.0f}" for node in (on, off))


def _either(keys: Sequence[bytes]) -> bytes:
    if len(keys) == 1:
        return keys[0]
    middle = len(keys) // 2
    return b"OR %b %b" % (_either(keys[:middle]), _either(keys[middle:]))


HOSTILE: dict[str, Callable[[int], bytes]] = {
    "alternatives of flags": lambda number: (
        b"SEARCH NOT %d %b" % (number, _either([b"SEEN", b"DELETED", b"UNKEYWORD x"] * 200))
    ),
    "subjects nobody has": lambda number: b" ".join(
        [b"SEARCH", *[b"NOT SUBJECT q%dx%d" % (number, one) for one in range(40)]]
    ),
    "results again": lambda number: b"SEARCH " + b"$ " * 1900 + b"NOT %d" % number,
    "SORT": lambda number: b"SORT (SUBJECT DATE) UTF-8 NOT %d" % number,
    "THREAD": lambda number: b"THREAD REFERENCES UTF-8 NOT %d" % number,
    "common words": lambda number: b"SEARCH BODY %b NOT BODY q%d" % (words(20)[number % 20], number),
}
SEARCHERS, DELIVERIES = 20, 50


def _deliveries_beside_searches(lab: Lab, made: Measurement) -> None:
    """The longest delivery beside each kind, each over a connection of its own."""
    node, count = lab.mailnode("searched"), min(4000, lab.size)
    if lab.first("mailbox of hostile searches"):
        node.stop()
        fill_mailnode(node.config, USER, content(count))
        node.start()
        node.wait_until_indexed()
        node.wait_until_looked_through()
    longest = {"nothing": _longest_delivery(node)}
    for name, command in HOSTILE.items():
        stop, numbers = threading.Event(), itertools.count(1)
        clients = [lab.login(node, USER) for _ in range(SEARCHERS)]
        threads = [threading.Thread(target=_search_on, args=(client, command, numbers, stop)) for client in clients]
        for thread in threads:
            thread.start()
        longest[name] = _longest_delivery(node)
        stop.set()
        for thread in threads:
            thread.join()
        for client in clients:
            client.close()
    made.ours.append(max(longest.values()))
    made.notes |= {name: f"{took:.0f}" for name, took in longest.items()}


def _search_on(client: Imap, command: Callable[[int], bytes], numbers: Iterator[int], stop: threading.Event) -> None:
    client.command(b"SELECT INBOX")
    client.command(b"SEARCH RETURN (SAVE) 1:*")
    while not stop.is_set():
        client.command(command(next(numbers)))


def _longest_delivery(node: MailNodeForLoad) -> float:
    """Return how many milliseconds the longest of some deliveries took, from its first command to the answer."""
    longest = 0.0
    for number in range(DELIVERIES):
        with contextlib.closing(smtplib.SMTP(node.address, node.ports["smtp"], "load.test")) as client:
            client.helo("load.test")
            message = b"Subject: %d\r\n\r\nsmall\r\n" % number
            longest = max(longest, seconds(lambda to=client, it=message: to.sendmail("o@side.test", [USER], it)))
    return longest * 1000


COMMON, FEWER, RARE = words(ROUNDS), words(ROUNDS, rare=True), rare_texts(ROUNDS)

ROWS = [
    *[
        Row(
            f"imap SEARCH {what}, {'again' if again else 'first'}",
            "ms",
            _searched(key, texts, again=again),
            "Dovecot",
            bar if again or always else None,
            slow=key == b"BODY",
        )
        for again in (False, True)
        for what, key, texts, bar, always in (
            ("by subject", b"SUBJECT", FEWER, 2.0, True),
            ("by sender", b"FROM", FEWER, 2.0, True),
            ("all bodies, text of a thousandth", b"BODY", RARE, 20.0, True),
            ("all bodies, word of a fifteenth", b"BODY", FEWER, 20.0, False),
            ("all bodies, word of a fifth", b"BODY", COMMON, 20.0, False),
        )
    ],
    Row("imap SEARCH 20,000 bodies that are not indexed", "ms", _reading, "Dovecot", 1.0, slow=True),
    Row("imap SEARCH 20,000 messages, index of no use", "ms", _index_of_no_use, "no index", 0.9, slow=True),
    Row("search index, behind after 10,000 messages", "s", _lag, ceiling=10.0, slow=True),
    Row("smtp 4 KiB, 20 sessions, beside the search index", "msg/s", _beside_mail, "no index", 0.95),
    Row("smtp, longest delivery beside hostile searches", "ms", _deliveries_beside_searches, ceiling=100.0, slow=True),
]
