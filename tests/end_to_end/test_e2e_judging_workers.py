"""Judging by two processes, on SQLite and on PostgreSQL: what one counts, remembers and learns the other knows."""

from __future__ import annotations

import imaplib
import json
import ssl
import time

import pytest
from servers import PASSWORD, STRICT, wait_for
from worker_servers import Workers

from tests.store.postgres_cluster import Cluster, binaries

RULES = """
[judgement]
checks = ["dkim", "reputation", "words"]
[limits]
greet_pause = 0
[[policy]]
name = "reputation"
options = { enough = 2, junk = 8.0 }
[[policy]]
name = "words"
options = { enough = 2 }
[[policy]]
name = "greylist"
options = { delay = 2, by = "address" }
"""
WORDS = {"junk": "pills watches replica discount casino winner", "good": "garden meeting monday report family dinner"}


class Node(Workers):
    """Two processes, which a test sends mail by."""

    def send(self, index, sender, kind, recipient="alice@a.test"):
        """Return the reply to a message at one of the processes."""
        text = f"From: <{sender}>\r\nSubject: {time.monotonic_ns()}\r\n\r\n{WORDS[kind]} {WORDS[kind]}\r\n"
        with self.connect(index) as client:
            client.ehlo("far.test")
            client.mail(sender)
            client.rcpt(recipient)
            return client.data(text)

    def send_until_taken(self, index, sender, kind):
        """As a server does that is put off. Each of them is told to the other process a few seconds later."""
        wait_for(lambda: self.send(index, sender, kind)[0] == 250 or time.sleep(1), "a try that is let in")

    def stats(self):
        return {one["policy"]: one for one in json.loads(self.ctl("policy", "stats", "--json").stdout)}

    def imap(self):
        client = imaplib.IMAP4(self.address, self.ports["imap"])
        client.starttls(ssl.create_default_context(cafile=str(self.ca)))
        client.login("alice@a.test", PASSWORD)
        return client


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def node(request, tmp_path_factory):
    cluster = made = None
    if request.param == "postgres":
        programs = binaries()
        if programs is None:
            (pytest.fail if STRICT else pytest.skip)("no PostgreSQL server is installed (initdb)")
        cluster = Cluster(programs)
        cluster.start()
    try:
        store = f'[store]\nurl = "postgresql://tests@/postgres?host={cluster.directory}"\n' if cluster else ""
        made = Node(tmp_path_factory.mktemp("judging"), 2, extra=store + RULES).start()
        made.add_account("alice@a.test")
        yield made
    finally:
        if made is not None:
            made.stop()
        if cluster is not None:
            cluster.stop()


def test_stats_have_at_once_what_both_have_counted(node):
    for number, index in enumerate((0, 1, 1, 0, 1)):
        node.send(index, f"new{number}@stats.test", "good")
        assert node.stats()["dkim"]["asked"] == number + 1
    assert node.stats()["greylist"]["deferred"] == 5


def test_who_was_put_off_by_one_is_let_in_by_the_other(node):
    assert node.send(0, "ann@grey.test", "good")[0] == 451
    assert node.send(0, "ann@grey.test", "good")[0] == 451
    node.send_until_taken(1, "ann@grey.test", "good")
    assert node.send(1, "ann@grey.test", "good")[0] == 250
    node.send_until_taken(0, "ann@grey.test", "good")
    assert node.send(1, "bob@grey.test", "good")[0] == 451


def test_what_is_learnt_by_one_the_other_judges_by(node):
    for index in (0, 1):
        for kind in ("junk", "good"):
            node.send_until_taken(index, f"{kind}@{kind}.test", kind)
    for index in (0, 1):
        for kind in ("junk", "good"):
            assert node.send(index, f"{kind}@{kind}.test", kind)[0] == 250
    client = node.imap()
    client.select("INBOX")
    for kind in ("junk", "good"):
        _, (found,) = client.uid("SEARCH", "FROM", f"{kind}@{kind}.test")
        assert (
            client.uid("MOVE", found.replace(b" ", b",").decode(), "Junk" if kind == "junk" else "Archive")[0] == "OK"
        )

    def learnt():
        state = json.loads(node.ctl("filter", "show", "alice@a.test", "--json").stdout)
        return state["junk"] >= 4 and state["good"] >= 4

    wait_for(learnt, "both kinds learnt", 60)
    for index in (0, 1):

        def is_junk(index=index):
            """A further process asks for a while as if nothing were learnt."""
            before = len(node.events("message.judged"))
            assert node.send(index, "junk@junk.test", "junk")[0] == 250
            judged = wait_for(lambda: node.events("message.judged")[before:], "the line")[-1]
            return judged["outcome"] == "junk" and "words@end suspect" in judged["verdicts"]

        wait_for(is_junk, f"junk by process {index}", 60)
        node.send(index, "good@good.test", "good")
        assert node.events("message.judged")[-1]["outcome"] == "inbox"


def test_a_reload_in_between_loses_nothing(node):
    before = node.stats()["dkim"]["asked"]
    for index in (0, 1):
        node.send(index, f"again{index}@reload.test", "good")
    node.ctl("reload")
    for index in (0, 1):
        node.send(index, f"again{index}@reload.test", "good")
    assert node.stats()["dkim"]["asked"] == before + 4
    assert not [line for line in node.process.lines if "Traceback" in line or "Unhandled" in line]
