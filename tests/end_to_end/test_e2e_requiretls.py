"""REQUIRETLS between real servers: by DANE and by the names of a signed zone, to servers that do not know it, and back."""

from __future__ import annotations

import importlib.util
import json
import smtplib
import ssl
import sys
from hashlib import sha256
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from exim_server import Exim
from servers import PASSWORD, STRICT, MailNode, Postfix, wait_for
from signed_dns import SignedDns
from test_e2e_relay import context, messages, submit

from tests.free_ports import free_port

NEAR, FAR, POSTFIX, EXIM = "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"
REQUIRED = {"mail_options": ["REQUIRETLS"]}
_CLUSTER = Path(__file__).parents[1] / "store/postgres_cluster.py"


def digest(pem: bytes) -> str:
    """Return the TLSA record of a certificate's key."""
    key = x509.load_pem_x509_certificate(pem).public_key()
    return f"3 1 1 {sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()}"


def own(pem: bytes) -> bytes:
    """Return the first certificate of a file that holds a key too."""
    return pem[pem.index(b"-----BEGIN CERTIFICATE") :]


class World:
    """Two mailnodes, a Postfix and an Exim with TLS, and a signed zone that leads to them."""

    DOMAINS = ("named.test", "far.test", "mismatch.test", "wrong.test", "plain.test")

    def __init__(self, folder: Path, url: str, workers: int) -> None:
        self.parts: list = []
        port = free_port()
        near = {"smtp_port": port, "address": NEAR}
        self.far = MailNode(folder / "far", self.DOMAINS, address=FAR, smtp_port=port)
        self.near = MailNode(folder / "near", ("near.test",), **near)
        self.exim = Exim("exim.test", EXIM, port, ("near.test", NEAR, port))
        self.postfix = Postfix("postfix.test", POSTFIX, port, [("near.test", NEAR, port)])
        self._give_tls(self.postfix)
        self.dns = SignedDns(
            folder / "dns", self._zone(port), unsigned={"plain.test": f"@ 60 MX 10 mx\nmx 60 A {FAR}\n"}
        )
        trusted = folder / "trusted.pem"
        trusted.write_bytes(self.near.ca.read_bytes() + self.far.ca.read_bytes())
        for node, domains in ((self.near, ("near.test",)), (self.far, self.DOMAINS)):
            extra = f"[queue]\nport = {port}\nretry = [1.0]\n"
            if url and node is self.near:
                extra += f'[store]\nurl = "{url}"\n'
            text = node._configuration(domains, self.dns, extra)
            node.config.write_text(text.replace("[server]\n", f"[server]\nworkers = {workers}\n", 1))
            node._env["SSL_CERT_FILE"] = str(trusted)

    def _give_tls(self, postfix: Postfix) -> None:
        self.postfix_tls = postfix.folder / "etc" / "tls.pem"
        trustme.CA().issue_cert("mx.postfix.test").private_key_and_cert_chain_pem.write_to_path(str(self.postfix_tls))
        with (postfix.configuration / "main.cf").open("a") as file:
            file.write(f"smtpd_tls_security_level = may\nsmtpd_tls_chain_files = {self.postfix_tls}\n")

    def _zone(self, port: int) -> str:
        keys = {
            "near": (NEAR, digest((self.near.folder / "cert.pem").read_bytes())),
            "far": (FAR, digest((self.far.folder / "cert.pem").read_bytes())),
            "wrong": (FAR, f"3 1 1 {'00' * 32}"),
            "exim": (EXIM, digest(own((self.exim.folder / "tls.pem").read_bytes()))),
            "postfix": (POSTFIX, digest(own(self.postfix_tls.read_bytes()))),
        }
        lines = "".join(
            f"{name} 60 MX 10 mx.{name}\nmx.{name} 60 A {address}\n_{port}._tcp.mx.{name} 60 TLSA {record}\n"
            for name, (address, record) in keys.items()
        )
        # No TLSA records: the certificate is for mx.named.test, and for no other.
        lines += "".join(f"{name} 60 MX 10 mx.{name}\nmx.{name} 60 A {FAR}\n" for name in ("named", "mismatch"))
        return lines + "plain 60 NS ns\n"

    def start(self) -> World:
        for part in (self.far, self.near, self.exim, self.postfix):
            self.parts.append(part)
            part.start()
        self.near.add_account("alice@near.test")
        for domain in self.DOMAINS:
            self.far.add_account(f"bob@{domain}")
        return self

    def stop(self) -> None:
        for part in (*self.parts, self.dns):
            part.stop()

    def send(self, to: str, subject: str, **options) -> None:
        submit(self.near, "alice@near.test", [to], subject, **options)


def notices(world: World, about: str) -> list[bytes]:
    """Return what Alice is told of a recipient, once she is."""

    def told() -> list[bytes]:
        return [one for one in messages(world.near, "alice@near.test", "not") if about.encode() in one]

    return wait_for(told, "a notice")


@pytest.fixture(scope="module")
def url():
    """A PostgreSQL server."""
    spec = importlib.util.spec_from_file_location("postgres_cluster", _CLUSTER)
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault("postgres_cluster", module)
    spec.loader.exec_module(module)
    programs = module.binaries()
    if programs is None:
        (pytest.fail if STRICT else pytest.skip)("initdb is not installed")
    cluster = module.Cluster(programs)
    try:
        cluster.start()
        yield f"postgresql://tests@/postgres?host={cluster.directory}"
    finally:
        cluster.stop()


@pytest.fixture(scope="module", params=["sqlite-1", "postgres-2"])
def world(request, tmp_path_factory):
    engine, workers = request.param.split("-")
    url = request.getfixturevalue("url") if engine == "postgres" else ""
    made = World(tmp_path_factory.mktemp("requiretls"), url, int(workers))
    try:
        yield made.start()
    finally:
        made.stop()


def test_it_goes_from_server_to_server(world):
    for domain in ("far.test", "named.test"):
        world.send(f"bob@{domain}", f"required {domain}", **REQUIRED)
        sent = world.near.wait_event("queue.sent", recipient=f"bob@{domain}")
        assert "TLS" in sent["tls"] and sent["verified"] == "yes"
        assert wait_for(lambda to=f"bob@{domain}": messages(world.far, to, "required"), "delivery")
        taken = world.far.wait_event("message.accepted", wanted_tls="required", sender="alice@near.test")
        assert taken["recipients"] == 1


@pytest.mark.parametrize(
    ("domain", "status", "reason"),
    [
        ("exim.test", "5.7.30", "REQUIRETLS: the next server does not offer it (requiretls-not-supported)"),
        ("postfix.test", "5.7.30", "REQUIRETLS: the next server does not offer it (requiretls-not-supported)"),
        ("wrong.test", "5.7.10", "REQUIRETLS: no TLSA record matches the certificate (validation-failure)"),
        (
            "mismatch.test",
            "5.7.10",
            "REQUIRETLS: the certificate is not for mx.mismatch.test (certificate-host-mismatch)",
        ),
        (
            "plain.test",
            "5.7.10",
            "REQUIRETLS: neither DNSSEC nor MTA-STS says that mx.plain.test is a server of plain.test",
        ),
    ],
)
def test_it_goes_back_where_it_would_not_be_kept(world, domain, status, reason):
    world.send(f"carl@{domain}", f"secret {domain}", **REQUIRED)
    failed = world.near.wait_event("queue.failed", recipient=f"carl@{domain}")
    assert failed["status"] == status and reason in failed["reply"]
    shown = json.loads(world.near.ctl("queue", "show", failed["envelope"], "--json").stdout)
    assert reason in shown["recipients"][0]["last_reply"]
    (notice,) = notices(world, f"carl@{domain}")
    assert f"Status: {status}".encode() in notice and f"Subject: secret {domain}".encode() in notice
    assert b"Hello." not in notice  # the header alone


def test_what_is_not_asked_goes_there_as_ever(world):
    for domain in ("exim.test", "postfix.test", "plain.test"):
        to = f"bob@{domain}" if domain == "plain.test" else f"carl@{domain}"
        world.send(to, f"plainly {domain}")
        world.near.wait_event("queue.sent", recipient=to)


def test_a_header_that_asks_for_less_lets_it_past_dane(world):
    to = "bob@wrong.test"
    world.send(to, "waits")
    waiting = world.near.wait_event("queue.deferred", recipient=to, reply="DANE")["envelope"]
    with smtplib.SMTP_SSL(world.near.address, world.near.ports["submissions"], context=context(world.near)) as client:
        client.login("alice@near.test", PASSWORD)
        text = f"From: alice@near.test\r\nTo: {to}\r\nSubject: goes\r\nTLS-Required: No\r\n\r\nHello.\r\n"
        client.sendmail("alice@near.test", [to], text)
    sent = world.near.wait_event("queue.sent", recipient=to)
    assert sent["envelope"] != waiting and "TLS" in sent["tls"]
    world.near.ctl("queue", "drop", waiting, "--yes")


def test_forwarded_mail_keeps_it_and_its_bounce_comes_back_with_it(world):
    world.far.ctl("alias", "add", "away@far.test", "carl@exim.test")
    world.send("away@far.test", "forwarded", **REQUIRED)
    failed = world.far.wait_event("queue.failed", recipient="carl@exim.test")
    assert failed["status"] == "5.7.30"
    sent = world.far.wait_event("queue.sent", recipient="alice@near.test")
    assert sent["verified"] == "yes"
    assert world.near.wait_event("message.accepted", wanted_tls="required", message_id="mx.named.test")["sender"] == ""
    (notice,) = [one for one in notices(world, "carl@exim.test") if b"Subject: forwarded" in one]
    assert b"Hello." not in notice


def test_a_notice_is_not_lost_where_nobody_takes_it_so(world):
    """RFC 8689 5."""
    world.far.ctl("alias", "add", "lost@far.test", "dora@postfix.test")
    with smtplib.SMTP(FAR, world.far.ports["smtp"], timeout=30) as client:
        client.starttls(context=ssl.create_default_context(cafile=world.far.ca))
        client.sendmail("carl@exim.test", ["lost@far.test"], "Subject: x\r\n\r\nHello.\r\n", ["REQUIRETLS"])
    world.far.wait_event("queue.failed", recipient="dora@postfix.test", status="5.7.30")

    def told() -> list[bytes]:
        return [one for one in world.exim.messages() if b"dora@postfix.test" in one]

    (notice,) = wait_for(told, "a notice")
    assert b"5.7.30" in notice and b"Hello." not in notice


def test_it_is_kept_over_a_restart(world):
    world.near.ctl("queue", "pause", "far.test")
    world.send("bob@far.test", "restarted", **REQUIRED)
    (entry,) = [one for one in world.near.queue() if one["recipients"][0]["address"] == "bob@far.test"]
    assert entry["wanted_tls"] == "required"
    world.near.stop()
    world.near.start()
    assert "required" in world.near.ctl("queue", "show", entry["id"]).stdout
    world.near.ctl("queue", "resume", "far.test")
    assert world.near.wait_event("queue.sent", recipient="bob@far.test")["verified"] == "yes"
