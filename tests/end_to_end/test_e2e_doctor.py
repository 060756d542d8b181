"""mailnode doctor against a signed DNS and mail servers of its own: what is right, what is wrong, what is silent, what lies; and
the mail that comes when something has changed."""

from __future__ import annotations

import contextlib
import imaplib
import json
import socketserver
import ssl
import threading
import time
from email import message_from_bytes, policy

import pytest
from leaping_clock import LeapingClock
from servers import MAILNODE, PASSWORD, MailNode, free_port, run, wait_for
from signed_root import SignedRoot

from mailnode.admin.control_client import ask

D, HOST, PUBLIC = "a.test", "mx.a.test", "198.18.0.1"
NEAR, FAR = "127.0.0.2", "127.0.0.3"
REVERSE = "1.0.18.198"
STEP = 21_600  # seconds of a leap, in each of which the server looks once whether something is due


class FarServer:
    """The mail server of another domain, which says what a test has it say."""

    def __init__(self, port):
        self.says = b"220 mx.b.test\r\n"
        self.waiting = False  # whether the last that came is kept waiting
        outer = self

        class Talk(socketserver.StreamRequestHandler):
            timeout = 20

            def handle(self):
                outer.waiting = not outer.says
                if not outer.says:
                    self.rfile.read(1)  # until the other hangs up
                    return
                self.wfile.write(outer.says)
                for line in iter(self.rfile.readline, b""):
                    self.wfile.write(
                        b"221 bye\r\n" if line.startswith(b"QUIT") else b"250 mx.b.test hello [198.18.0.1]\r\n"
                    )
                    if line.startswith(b"QUIT"):
                        return

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = allow_reuse_address = True

        self._server = Server((FAR, port), Talk)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


class World:
    def __init__(self, folder):
        self.port = free_port(NEAR)
        self.far = FarServer(self.port)
        self.dns = SignedRoot(folder / "dns", "")
        self.clock = LeapingClock(folder / "clock", STEP, wall=True)
        extra = (
            f"[queue]\nport = {self.port}\nretry = [1.0]\n"
            '[doctor]\nhour = 0\nmail_servers = ["b.test"]\nblock_lists = ["list.test"]\ntime_servers = []\n'
        )
        self.node = Node(
            folder / "node",
            (D,),
            address=NEAR,
            smtp_port=self.port,
            dns=self.dns,
            extra=extra,
            path=(self.clock.folder,),
        )

    def start(self):
        self.node.start()
        self.node.add_account(f"postmaster@{D}")
        printed = json.loads(self.node.ctl("domain", "records", D, "--json").stdout)["records"]
        self.records = [line(one) for one in printed]
        self.others = [
            f"{REVERSE}.in-addr.arpa. 1 PTR {HOST}.",
            "b.test. 1 MX 5 mx.b.test.",
            f"mx.b.test. 1 A {FAR}",
            "2.0.0.127.list.test. 1 A 127.0.0.2",
        ]
        self.serve()

    def serve(self, *more, without=()):
        kept = [one for one in self.records + self.others if not any(text in f"\n{one}" for text in without)]
        self.dns.change("\n".join([*kept, *more, ""]))

    def look(self):
        """Return (state, seen, mend) of the items, by name."""
        told = ask(self.node.data, "doctor", {}, 60.0)
        return {one["name"]: (one["state"], one["seen"], one["mend"]) for one in told["items"]}

    def stop(self):
        self.node.stop()
        self.dns.stop()
        self.far.stop()


class Node(MailNode):
    def _configuration(self, domains, dns, extra):
        text = super()._configuration(domains, dns, extra)
        return text.replace("[server]\n", f'[server]\naddresses = ["{PUBLIC}"]\n', 1)


def line(record):
    kind, value = record["type"], record["value"]
    if kind == "TXT":
        value = " ".join(f'"{value[at : at + 255]}"' for at in range(0, len(value), 255))
    elif kind in ("MX", "CNAME", "SRV") and not value.endswith("."):
        value += "."
    return f"{record['name']}. 1 {kind} {value}"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = World(tmp_path_factory.mktemp("doctor"))
    try:
        made.start()
        yield made
    finally:
        made.stop()


RIGHT = [
    "resolver",
    "host-name",
    "port-25-outwards",
    f"reverse-names:{PUBLIC}",
    "block-lists:list.test",
    "store-damage",
]
RIGHT += [f"{name}:{D}" for name in ("mx", "spf", "dkim", "dmarc", "tls-rpt", "srv", "tlsa")]
RIGHT += ["disk-space", "disk-kind", "memory", "files", "index-lag", "queue-age", "failed-logins", "version"]


def test_what_is_right_is_done(world):
    world.serve()
    told = world.look()
    assert {name: told[name] for name in RIGHT if told[name][0] != "done"} == {}
    assert all(told[name][0] == "done" for name in told if name.startswith(("ports:", "certificates-shown:")))
    assert told["port-25-outwards"][1] == f"mail servers answer: {FAR}"


# What is taken out of DNS, what is put in, and what is said of it: (item, state, part of what mends it).
WRONG = (
    (
        ["MX 10", "_dmarc", "in-addr.arpa", f"\n{D}. 1 TXT", "_25._tcp"],
        [
            f"{REVERSE}.list.test. 1 A 127.0.0.2",
            f'{D}. 1 TXT "v=spf1 -all"',
            f"_25._tcp.{HOST}. 1 TLSA 3 1 1 {'00' * 32}",
        ],
        [
            (f"mx:{D}", "failed", f"{D}. IN MX 10 {HOST}."),
            (f"dmarc:{D}", "failed", f"_dmarc.{D}. IN TXT"),
            (f"reverse-names:{PUBLIC}", "failed", HOST),
            ("block-lists:list.test", "failed", "removal"),
            (f"spf:{D}", "failed", "v=spf1 mx -all"),
            (f"tlsa:{D}", "failed", f"_25._tcp.{HOST}. IN TLSA"),
        ],
    ),
    (
        [f"{HOST}. 1 A", "2.0.0.127.list", "ed25519"],
        [f"{HOST}. 1 A 198.18.0.9", "*.list.test. 1 A 127.0.0.2"],
        [
            (f"reverse-names:{PUBLIC}", "failed", f"{HOST}. IN A {PUBLIC}"),  # its name leads elsewhere
            ("block-lists:list.test", "skipped", "unbound"),  # it has everybody
            (f"dkim:{D}", "failed", "k=ed25519"),
        ],
    ),
)


@pytest.mark.parametrize(("without", "more", "said"), WRONG, ids=["missing", "other"])
def test_what_is_wrong_is_told_with_its_fix(world, without, more, said):
    world.serve(*more, without=without)
    told = world.look()
    wrong = [name for name, state, mend in said if told[name][0] != state or mend not in told[name][2]]
    assert not wrong, [told[name] for name in wrong]
    assert told["resolver"][0] == "done"


def test_another_key_in_dns_is_told(world):
    (key,) = [one for one in world.records if "_domainkey" in one and "ed25519" in one]
    world.serve(key.replace("p=", "p=AAAA"), without=[key])
    state, seen, mend = world.look()[f"dkim:{D}"]
    assert state == "failed" and "p=AAAA" in seen and "p=AAAA" not in mend and "k=ed25519" in mend


@pytest.mark.parametrize(
    ("says", "words"),
    [(b"", "no answer in time"), (b"554 not from here\r\n", "554 not from here"), (b"HTTP/1.1 400\r\n", "SMTP")],
)
def test_a_mail_server_that_is_silent_or_another(world, says, words):
    world.serve()
    world.far.says, before = says, world.far.says
    try:
        state, seen, _ = world.look()["port-25-outwards"]
    finally:
        world.far.says = before
    assert state == "failed" and words in seen


def test_dns_that_falls_silent_hides_nothing_else_and_holds_nothing_up(world):
    world.serve()
    world.dns.silence()
    try:
        world.dns.forget()
        begun = time.monotonic()
        told = world.look()
        took = time.monotonic() - begun
    finally:
        world.dns.begin()
        world.dns.forget()
    assert took < 30
    assert told["resolver"][0] == "failed" and told["mx"][0] == told["host-name"][0] == "skipped"
    assert told["disk-space"][0] == told["queue-age"][0] == "done"


def test_the_command_ends_with_one_and_says_how_to_mend(world):
    world.serve(without=["MX 10"])
    done = world.node.ctl("doctor", check=False)
    assert done.returncode == 1 and not done.stderr
    lines = done.stdout.splitlines()
    at = next(index for index, one in enumerate(lines) if one.startswith(f"failed   mx:{D}: "))
    assert lines[at + 1].strip() == f"-> {D}. IN MX 10 {HOST}."
    assert lines[-1].split()[1] == "failed," and "Without this record mail" not in done.stdout
    assert "Without this record mail" in world.node.ctl("doctor", "--explain", check=False).stdout


def mails(world):
    """Return the messages that postmaster has."""
    context = ssl.create_default_context(cafile=str(world.node.ca))
    context.check_hostname = False
    with imaplib.IMAP4_SSL(NEAR, world.node.ports["imaps"], ssl_context=context) as client:
        client.login(f"postmaster@{D}", PASSWORD)
        client.select("INBOX", readonly=True)
        _, data = client.search(None, "ALL")
        found = []
        for number in data[0].split():
            _, parts = client.fetch(number, "(RFC822)")
            found.append(message_from_bytes(parts[0][1], policy=policy.default))
        return found


def is_due(world):
    """Whether the server has to look by itself at its time."""
    kept = world.node.data / "doctor.json"
    memory = json.loads(kept.read_text()) if kept.exists() else {"day": "", "again_at": 0}
    now = time.time() + world.clock.ahead
    if memory["again_at"]:
        return now >= memory["again_at"]
    return memory["day"] != time.strftime("%Y-%m-%d", time.gmtime(now))


def looked(world, times):
    """Let hours pass until the server has looked so many times more by itself; never while it looks."""
    kept = world.node.data / "doctor.json"

    def written():
        return (kept.stat().st_ino, kept.stat().st_mtime_ns) if kept.exists() else ()

    for _ in range(times):
        told, before = len(world.node.events("doctor.looked")), written()
        remembered = kept.read_bytes() if kept.exists() else b""
        world.clock.leap(world.node.process)
        while not is_due(world):
            world.clock.leap(world.node.process)
        for _ in range(10):
            with contextlib.suppress(AssertionError):
                wait_for(lambda before=before: written() != before, "the beginning of a look", 1)
                break
            world.clock.leap(world.node.process)  # the one before came when the server's own timer was not set
        wait_for(lambda told=told: len(world.node.events("doctor.looked")) > told, "a look")
        wait_for(lambda remembered=remembered: kept.read_bytes() != remembered, "what it remembers")


def test_what_changes_comes_by_mail_once(world):
    world.serve()
    assert mails(world) == []
    looked(world, 2)  # the second says the same as the first
    (first,) = wait_for(lambda: mails(world), "mail")
    assert first["Auto-Submitted"] == "auto-generated" and first["Subject"] == f"mailnode doctor: {HOST}"
    assert "* backup-age" in first.get_content() and "* mx:" not in first.get_content()
    world.serve(without=["MX 10"])
    looked(world, 2)
    second = wait_for(lambda: mails(world)[1:], "the second message")[0]
    assert second["Subject"] == first["Subject"]
    text = second.get_content().splitlines()
    at = text.index(f"* mx:{D}: {D} MX is missing")
    assert text[at + 1] == f"-> {D}. IN MX 10 {HOST}."
    assert not any(one.startswith("* backup-age") for one in text) and any("Told before" in one for one in text)
    looked(world, 1)  # of another day: nothing has changed
    world.node.stop()
    world.clock.ahead = 0
    world.node.start()
    looked(world, 1)
    world.serve()
    looked(world, 2)
    third = wait_for(lambda: mails(world)[2:], "the third message")[0]
    assert "Mended" in third.get_content() and f"* mx:{D}" in third.get_content()
    assert len(mails(world)) == 3


def test_a_server_that_is_told_to_end_does_not_wait_for_a_look(world):
    world.serve()
    world.far.says, before = b"", world.far.says
    begun = time.monotonic()
    asking = threading.Thread(target=lambda: world.node.ctl("doctor", check=False), daemon=True)
    try:
        asking.start()
        wait_for(lambda: world.far.waiting, "a look under way")
        begun = time.monotonic()
        assert world.node.stop() == 0
    finally:
        world.far.says = before
        asking.join(60)
    assert time.monotonic() - begun < 25
    world.node.start()


def test_a_store_that_cannot_be_opened_hides_nothing_else(world):
    world.node.stop()
    file = world.node.data / "directory.db"
    kept = file.read_bytes()
    file.write_bytes(b"\0" * len(kept))
    try:
        done = world.node.ctl("doctor", "--json", check=False)
    finally:
        file.write_bytes(kept)
    told = {one["name"]: one for one in json.loads(done.stdout)["items"]}
    assert done.returncode == 1 and told["store-damage"]["state"] == "failed" and told["store-damage"]["seen"]
    assert told["resolver"]["state"] == told["disk-space"]["state"] == "done"


def test_without_a_network_it_ends_and_says_so(world):
    world.node.stop()
    begun = time.monotonic()
    command = ["unshare", "--net", *MAILNODE, "--config", str(world.node.config), "doctor", "--json"]
    done = run(command, world.node.folder, world.node._env, "", 60)
    assert time.monotonic() - begun < 35 and done.returncode == 1 and not done.stderr
    told = {one["name"]: one for one in json.loads(done.stdout)["items"]}
    assert told["addresses"]["state"] == told["resolver"]["state"] == "failed"
    assert told["disk-space"]["state"] == "done" and told["port-25-outwards"]["state"] == "skipped"
    assert not any("the check itself failed" in one["seen"] for one in told.values())
