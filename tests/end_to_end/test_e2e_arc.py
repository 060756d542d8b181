"""Mail that several servers send on: each seals it, and dkimpy verifies what arrives with the records that DNS has."""

import importlib.util
import json
import re
import smtplib
from pathlib import Path

import dkim
import dns.resolver
import pytest
from servers import PASSWORD, STRICT, Dns, MailNode, free_port, wait_for
from test_e2e_relay import context, messages, submit
from worker_servers import Workers

A, B, C = "127.0.0.42", "127.0.0.43", "127.0.0.44"
LARGE = "0123456789" * 7 + "\r\n"


def cluster():
    """Return a PostgreSQL that is not started."""
    path = Path(__file__).parents[1] / "store/postgres_cluster.py"
    spec = importlib.util.spec_from_file_location("arc_cluster", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    programs = module.binaries()
    if programs is None:
        (pytest.fail if STRICT else pytest.skip)("initdb is not installed")
    return module.Cluster(programs)


def told(message):
    """What all seals on a message say was found."""
    header = message.partition(b"\r\n\r\n")[0] + b"\r\n"
    return b"".join(re.findall(rb"(?m)^ARC-Authentication-Results:.*\r\n(?:[ \t].*\r\n)*", header))


class Town:
    """``a.test`` writes, signed, and reads. ``b.test``, two processes, and ``c.test``, on PostgreSQL, send on and seal."""

    def __init__(self, folder):
        self.port = port = free_port()
        self.cluster = cluster()
        self.folder = folder
        self.records = []
        for name, address in (("a", A), ("b", B), ("c", C)):
            self.records += [f"host-record=mx.{name}.test,{address}", f"mx-host={name}.test,mx.{name}.test,10"]
        self.dns = Dns(folder / "dns", self.records)
        extra = f"[queue]\nport = {port}\nretry = [1.0]\narc = true\n"
        database = f'[store]\nurl = "postgresql://tests@/postgres?host={self.cluster.directory}"\n'
        common = {"smtp_port": port, "dns": self.dns}
        self.a = MailNode(folder / "a", ("a.test",), address=A, extra=extra, **common)
        self.b = Workers(folder / "b", 2, domains=("b.test",), address=B, extra=extra, **common)
        self.c = MailNode(folder / "c", ("c.test",), address=C, extra=extra + database, **common)
        self.nodes = (self.a, self.b, self.c)

    def start(self):
        self.cluster.start()
        for node in self.nodes:
            node.start()
        for name in ("alice", "carl"):
            self.a.add_account(f"{name}@a.test")
        self.b.add_account("bob@b.test")
        for node, alias, *targets in (
            (self.b, "one@b.test", "carl@a.test", "bob@b.test"),
            (self.b, "two@b.test", "two@c.test"),
            (self.c, "two@c.test", "carl@a.test"),
            (self.b, "three@b.test", "three@c.test"),
            (self.c, "three@c.test", "one@b.test"),
        ):
            node.ctl("alias", "add", alias, *targets)
        self.publish()
        return self

    def publish(self):
        """Make keys, and have DNS know them."""
        lines = []
        for node, domain in zip(self.nodes, ("a.test", "b.test", "c.test"), strict=True):
            for key in json.loads(node.ctl("domain", "dkim-rotate", domain, "--json").stdout):
                parts = [key["text"][at : at + 250] for at in range(0, len(key["text"]), 250)]
                lines.append(f"txt-record={key['name']}," + ",".join(f'"{part}"' for part in parts))
        self.dns.stop()
        self.dns = Dns(self.folder / "dns", self.records + lines, port=self.dns.port)

    def stop(self):
        for part in (*self.nodes, self.dns, self.cluster):
            part.stop()

    def verdict(self, message):
        """What dkimpy says of a chain: its status, and who sealed, the last one first."""
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = ["127.0.0.1"], self.dns.port

        def record(name, timeout=5):
            return b"".join(resolver.resolve(name.decode(), "TXT")[0].strings)

        status, sets, _ = dkim.arc_verify(message, dnsfunc=record)
        assert all(one["as-valid"] and one["ams-valid"] for one in sets) or status != b"pass"
        return status and status.decode(), [one["as-domain"].decode() for one in sets]

    def arrived(self, node, user, subject):
        (found,) = wait_for(lambda: messages(node, user, subject), f"delivery of {subject}")
        return found

    def hand_over(self, recipient, message, way="none"):
        """Bring a message to ``b.test`` as another server would."""
        kind = smtplib.LMTP if way == "lmtp" else smtplib.SMTP
        with kind(B, self.b.ports["lmtp" if way == "lmtp" else "smtp"], timeout=60) as client:
            if way == "starttls":
                client.starttls(context=context(self.b))
            client.sendmail("x@a.test", [recipient], message)


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    made = Town(tmp_path_factory.mktemp("town"))
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.mark.parametrize(
    "alias, sealers",
    [("one", ["b.test"]), ("two", ["c.test", "b.test"]), ("three", ["b.test", "c.test", "b.test"])],
)
def test_each_who_sends_it_on_seals_it(town, alias, sealers):
    subject = f"by way of {alias}"
    submit(town.a, "alice@a.test", [f"{alias}@b.test"], subject)
    there = town.arrived(town.a, "carl@a.test", subject)
    assert town.verdict(there) == ("pass", sealers)
    assert told(there).count(b"dkim=pass header.d=a.test header.s=") == 2 * len(sealers), "what each found out"
    status = b"none" if len(sealers) == 1 else b"pass"
    assert f"ARC-Seal: i={len(sealers)};".encode() in there and b"arc=" + status + b" smtp.remote-ip=127.0.0." in told(
        there
    )


def test_the_copy_here_stays_as_it_was(town):
    submit(town.a, "alice@a.test", ["one@b.test"], "for both")
    here, there = town.arrived(town.b, "bob@b.test", "for both"), town.arrived(town.a, "carl@a.test", "for both")
    assert b"ARC-" not in here and b"ARC-" in there
    began = b"\r\nReceived: from mx.a.test"
    assert here.partition(began)[2] == there.partition(began)[2] != b""


def test_a_chain_that_was_broken_on_the_way(town):
    submit(town.a, "alice@a.test", ["two@b.test"], "to be changed")
    there = town.arrived(town.a, "carl@a.test", "to be changed")
    town.hand_over(
        "one@b.test", there.replace(b"Subject: to be", b"Subject: was").replace(b"\r\n\r\n", b"\r\n\r\nNew: ", 1)
    )
    broken = town.arrived(town.a, "carl@a.test", "was changed")
    assert b"ARC-Seal: i=3; a=rsa-sha256; cv=fail; d=b.test;" in broken
    assert town.verdict(broken) == (None, ["b.test", "c.test", "b.test"])
    assert b'ARC-Authentication-Results: i=3; mx.b.test;\r\n dkim=fail reason="body has changed"' in broken
    # Somebody sends it anew: what comes back by itself goes no further.
    anew = b"".join(line for line in broken.splitlines(True) if not line.startswith(b"Delivered-To:"))
    town.hand_over("one@b.test", anew.replace(b"Subject: was", b"Subject: is"))
    again = town.arrived(town.a, "carl@a.test", "is changed")
    assert again.count(b"ARC-Seal:") == 3
    town.b.wait_event("message.unsealed", reason="found broken before")


def test_a_large_message(town):
    subject = "large"
    content = f"From: alice@a.test\r\nTo: three@b.test\r\nSubject: {subject}\r\n\r\n" + LARGE * 140_000
    with smtplib.SMTP_SSL(A, town.a.ports["submissions"], context=context(town.a), timeout=60) as client:
        client.login("alice@a.test", PASSWORD)
        client.sendmail("alice@a.test", ["three@b.test"], content)
    there = town.arrived(town.a, "carl@a.test", subject)
    assert len(there) > 10_000_000 and town.verdict(there) == ("pass", ["b.test", "c.test", "b.test"])
    assert told(there).count(b"dkim=pass header.d=a.test header.s=") == 6


@pytest.mark.parametrize("way", ["none", "starttls", "lmtp"])
def test_by_whichever_door_it_comes(town, way):
    large = f"From: x@a.test\r\nSubject: large by {way}\r\n\r\n".encode() + LARGE.encode() * 140_000
    town.hand_over("two@b.test", large, way)
    there = town.arrived(town.a, "carl@a.test", f"large by {way}")
    assert town.verdict(there) == ("pass", ["c.test", "b.test"]) and told(there).count(b" dkim=none;") == 2


def test_it_ends_and_begins_with_the_setting(town):
    text = town.c.config.read_text()
    for value, found in (("false", 0), ("true", 1)):
        town.c.config.write_text(text.replace("arc = true", f"arc = {value}"))
        town.c.ctl("reload")
        with smtplib.SMTP(C, town.port, timeout=60) as client:
            client.sendmail("x@a.test", ["two@c.test"], f"From: x@a.test\r\nSubject: arc {value}\r\n\r\nx\r\n")
        assert town.arrived(town.a, "carl@a.test", f"arc {value}").count(b"ARC-Seal:") == found
