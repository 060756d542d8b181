"""Mail to domains whose zone is signed, by a resolver that validates: DANE as others publish it."""

from __future__ import annotations

from hashlib import sha256

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from servers import REPORTS, MailNode, report_to
from signed_dns import SignedDns
from test_e2e_relay import submit

NEAR, FAR = "127.0.0.2", "127.0.0.3"
DOMAINS = ("ta.test", "ee.test", "wrong.test", "stranger.test", "none.test", "short.test", "plain.test", "forged.test")
DOMAINS += ("two.test",)


def certificate(node: MailNode, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((node.folder / name).read_bytes())


def zones(far: MailNode) -> tuple[str, dict[str, str], dict[str, str]]:
    """Return the records of ``test.``, unsigned zones and further signed ones."""
    port = far.ports["smtp"]
    key = certificate(far, "cert.pem").public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    authority = certificate(far, "ca.pem").public_bytes(Encoding.DER).hex()
    good, wrong = f"3 1 1 {sha256(key).hexdigest()}", f"3 1 1 {'00' * 32}"
    tlsa = {
        "ta": f"TLSA 2 0 0 {authority}",
        "ee": f"TLSA {good}\n_{port}._tcp.mx.ee 60 TLSA {wrong}",
        "wrong": f"TLSA {wrong}",
        "stranger": f"TLSA 2 0 0 {authority}",  # the certificate is of this authority, but not for this name
        "short": r"TYPE52 \# 3 030101",
        "two": r"TYPE52 \# 2 0301",
    }
    here = [name.removesuffix(".test") for name in DOMAINS if name != "plain.test"]
    lines = "".join(f"{name} 60 MX 10 mx.{name}\nmx.{name} 60 A {FAR}\n" for name in here)
    lines += "".join(f"_{port}._tcp.mx.{name} 60 {record}\n" for name, record in tlsa.items())
    # The key that this DS vouches for is nobody's: nothing below it validates.
    lines += f"_tcp.mx.forged 60 NS ns\n_tcp.mx.forged 60 DS 1 13 2 {'00' * 32}\n"
    lines += "plain 60 NS ns\n"
    plain = f"@ 60 MX 10 mx\nmx 60 A {FAR}\n_{port}._tcp.mx 60 TLSA {wrong}\n"
    return lines, {"plain.test": plain}, {"_tcp.mx.forged.test": f"_{port} 60 TLSA {good}\n"}


@pytest.fixture(scope="module")
def near(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dane")
    far = MailNode(folder / "far", DOMAINS, address=FAR)
    records, unsigned, signed = zones(far)
    dns = SignedDns(folder / "dns", records, unsigned=unsigned, signed=signed)
    extra = f"[queue]\nport = {far.ports['smtp']}\n" + REPORTS
    node = MailNode(folder / "near", ("near.test",), address=NEAR, dns=dns, extra=extra)
    try:
        far.start()
        node.start()
        for domain in DOMAINS:
            far.add_account(f"bob@{domain}")
        node.add_account("alice@near.test")
        yield node
    finally:
        for server in (node, far, dns):
            server.stop()


def send(near: MailNode, domain: str) -> None:
    submit(near, "alice@near.test", [f"bob@{domain}"], "hello")


@pytest.mark.parametrize("domain", ["ta.test", "ee.test"])
def test_a_certificate_that_matches(near, domain):
    send(near, domain)
    sent = near.wait_event("queue.sent", recipient=f"bob@{domain}")
    assert "TLS" in sent["tls"] and sent["verified"] == "yes"
    assert near.wait_event("queue.tls_result", host=f"mx.{domain}", result="success")["policy"] == "dane"


@pytest.mark.parametrize(
    ("domain", "reason"),
    [
        ("wrong.test", "no TLSA record matches the certificate (validation-failure)"),
        ("stranger.test", "(certificate-host-mismatch)"),
        ("forged.test", "(dnssec-invalid)"),
    ],
)
def test_what_does_not_match_waits(near, domain, reason):
    send(near, domain)
    deferred = near.wait_event("queue.deferred", recipient=f"bob@{domain}")
    assert deferred["status"] == "4.7.5"
    assert "DANE" in deferred["reply"] and reason in deferred["reply"]
    assert not [event for event in near.events("queue.sent") if event["recipient"] == f"bob@{domain}"]
    assert not [event for event in near.events("queue.unencrypted") if event["host"] == f"mx.{domain}"]
    assert domain in near.ctl("queue", "list", "--reply", "DANE").stdout


@pytest.mark.parametrize("domain", ["none.test", "plain.test"])
def test_where_nothing_is_validated_tls_is_opportunistic(near, domain):
    send(near, domain)
    sent = near.wait_event("queue.sent", recipient=f"bob@{domain}")
    assert "TLS" in sent["tls"] and sent["verified"] == "no"
    assert not [event for event in near.events("queue.tls_policy") if event["domain"] == domain]


@pytest.mark.parametrize("domain", ["short.test", "two.test"])
def test_records_that_cannot_be_used_require_tls(near, domain):
    """A record of three octets, and of two."""
    send(near, domain)
    sent = near.wait_event("queue.sent", recipient=f"bob@{domain}")
    assert "TLS" in sent["tls"] and sent["verified"] == "no"
    decided = near.wait_event("queue.tls_policy", domain=domain)
    assert (decided["level"], decided["reason"]) == ("required", "tlsa-invalid")


@pytest.mark.parametrize(
    ("domain", "kind", "result"),
    [
        ("ee.test", "tlsa", ""),
        ("wrong.test", "tlsa", "validation-failure"),
        ("stranger.test", "tlsa", "certificate-host-mismatch"),
        ("short.test", "tlsa", "tlsa-invalid"),
        ("forged.test", "tlsa", "dnssec-invalid"),
        ("plain.test", "no-policy-found", ""),
    ],
)
def test_what_is_reported(near, domain, kind, result):
    send(near, domain)
    (found,) = report_to(near, domain)
    policy = found["policy"]
    assert (policy["policy-type"], policy["policy-domain"]) == (kind, f"mx.{domain}" if kind == "tlsa" else domain)
    usages = [string.split()[:3] for string in policy.get("policy-string", ())]
    told = {"ee.test": 2, "wrong.test": 1, "stranger.test": 1, "short.test": 1}
    assert len(usages) == told.get(domain, 0) and all(usage in (["2", "0", "0"], ["3", "1", "1"]) for usage in usages)
    assert {one["result-type"] for one in found["failure-details"]} == {result} - {""}
    assert bool(found["summary"]["total-successful-session-count"]) == (not result)
