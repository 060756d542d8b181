"""The records of a domain: what is in them, and that the zone file they are written to is one."""

from dataclasses import replace

import dns.name
import dns.rdatatype
import dns.zone
import pytest

from mailnode.admin.zone_text import as_lines, as_zone_file
from mailnode.checks.zone import notes as all_notes
from mailnode.checks.zone import zone
from mailnode.values.published import OwnStsPolicy, Published

POLICY = OwnStsPolicy("enforce", 604_800, "mail.example.org")
FULL = Published(
    "mail.example.org",
    ("192.0.2.1", "2001:db8::1"),
    {"submissions": 465, "imaps": 993},
    ("ab" * 32, "cd" * 32),
    ("mail.example.org", "mta-sts.example.org"),
    POLICY,
)
KEY = "v=DKIM1; k=rsa; p=" + "A" * 400


DKIM = (("m1._domainkey.example.org", KEY),)


def notes(domain, published, dkim=DKIM):
    return all_notes(domain, published, zone(domain, published, dkim))


def result(domain="example.org", published=FULL, dkim=()):
    records = zone(domain, published, dkim)
    entries = [{"name": one.name, "type": one.type, "value": one.value, "why": one.why} for one in records]
    return {"domain": domain, "records": entries, "notes": notes(domain, published)}


def values(domain="example.org", published=FULL, dkim=()):
    found = {}
    for one in zone(domain, published, dkim):
        found.setdefault((one.name, one.type), []).append(one.value)
    return found


def test_all_that_a_domain_publishes():
    assert values(dkim=DKIM) == {
        ("example.org", "MX"): ["10 mail.example.org"],
        ("mail.example.org", "A"): ["192.0.2.1"],
        ("mail.example.org", "AAAA"): ["2001:db8::1"],
        ("example.org", "TXT"): ["v=spf1 mx -all"],
        ("mail.example.org", "TXT"): ["v=spf1 a -all"],
        ("m1._domainkey.example.org", "TXT"): [KEY],
        ("_dmarc.example.org", "TXT"): ["v=DMARC1; p=quarantine; rua=mailto:postmaster@example.org"],
        ("_smtp._tls.example.org", "TXT"): ["v=TLSRPTv1; rua=mailto:postmaster@example.org"],
        ("_mta-sts.example.org", "TXT"): [f"v=STSv1; id={POLICY.id};"],
        ("mta-sts.example.org", "CNAME"): ["mail.example.org"],
        ("_25._tcp.mail.example.org", "TLSA"): ["3 1 1 " + "ab" * 32, "3 1 1 " + "cd" * 32],
        ("_submissions._tcp.example.org", "SRV"): ["0 1 465 mail.example.org"],
        ("_submission._tcp.example.org", "SRV"): ["0 0 0 ."],
        ("_imaps._tcp.example.org", "SRV"): ["0 1 993 mail.example.org"],
        ("_imap._tcp.example.org", "SRV"): ["0 0 0 ."],
        ("_pop3s._tcp.example.org", "SRV"): ["0 0 0 ."],
        ("_pop3._tcp.example.org", "SRV"): ["0 0 0 ."],
    }
    assert notes("example.org", FULL) == []
    (note,) = notes("example.org", FULL, ())
    assert "domain dkim-rotate example.org" in note


def test_filters_are_found_where_they_can_be_changed():
    found = {one.name: one for one in zone("example.org", Published("mail.example.org", services={"sieve": 4190}))}
    record = found["_sieve._tcp.example.org"]
    assert (record.type, record.value) == ("SRV", "0 1 4190 mail.example.org")
    assert record.why == "Where programs change filters, with STARTTLS (RFC 5804)."


def test_what_is_not_known_is_a_note_and_no_record():
    found = values(published=Published("mail.example.org"))
    assert not {kind for _, kind in found} & {"A", "AAAA", "TLSA", "CNAME"}
    assert ("_mta-sts.example.org", "TXT") not in found
    addresses, certificate, policy = notes("example.org", Published("mail.example.org"))
    assert "[server] addresses" in addresses and "TLSA" in certificate and "mta-sts.example.org" in policy


def test_the_policy_host_needs_a_certificate():
    (note,) = notes("example.net", FULL)
    assert "mta-sts.example.net" in note and "[[tls.name]]" in note
    (note,) = notes("example.org", replace(FULL, certificate_names=("mta-sts.example.org",)))
    assert "for mail.example.org: " in note
    assert notes("example.org", replace(FULL, certificate_names=("*.example.org",))) == []


def test_a_host_that_is_the_domain_has_one_spf_record():
    assert values(published=Published("example.org"))["example.org", "TXT"] == ["v=spf1 mx -all"]


def test_mail_through_another_s_server_is_not_disowned():
    published = Published("mail.example.org", relays=("smtp.provider.example",))
    assert values(published=published)["example.org", "TXT"] == ["v=spf1 mx ~all"]
    assert any("smtp.provider.example" in note for note in notes("example.org", published))


@pytest.mark.parametrize(
    ("to", "where"),
    [
        ("a@reports.example", "example.org._report._dmarc.reports.example"),
        ("a@bücher.example", "example.org._report._dmarc.xn--bcher-kva.example"),
        ("a@mail.example.org", None),
        ("a@example.org", None),
    ],
)
def test_another_domain_says_that_it_takes_reports(to, where):
    found = [name for name, _ in values(published=Published("mail.example.org", reports_to=to)) if "._report." in name]
    assert found == ([where] if where else [])


def test_signs_in_the_address_do_not_end_it():
    found = values(published=Published("mail.example.org", reports_to="a!b,c;d@example.org"))
    assert found["_dmarc.example.org", "TXT"] == ["v=DMARC1; p=quarantine; rua=mailto:a%21b%2Cc%3Bd@example.org"]


def test_the_id_of_a_policy_is_of_its_content():
    assert POLICY.text == "version: STSv1\r\nmode: enforce\r\nmx: mail.example.org\r\nmax_age: 604800\r\n"
    assert POLICY.id.isalnum() and len(POLICY.id) <= 32
    assert POLICY.id == OwnStsPolicy("enforce", 604_800, "mail.example.org").id
    others = (OwnStsPolicy("testing", 604_800, "mail.example.org"), OwnStsPolicy("enforce", 1, "mail.example.org"))
    assert POLICY.id not in {other.id for other in others}


def test_a_zone_reader_takes_the_text():
    told = result(dkim=DKIM)
    read = dns.zone.from_text(as_zone_file(told), check_origin=False, relativize=False)
    found = set()
    for name, _, data in read.iterate_rdatas():
        kind = dns.rdatatype.to_text(data.rdtype)
        text = b"".join(data.strings).decode() if kind == "TXT" else data.to_text()
        found.add((name.to_text(omit_final_dot=True), kind, text.removesuffix(".") if text[-2:] != " ." else text))
    assert found == {(one["name"], one["type"], one["value"]) for one in told["records"]}
    key = read.find_rdataset("m1._domainkey.example.org.", "TXT")[0]
    assert [len(string) for string in key.strings] == [255, len(KEY) - 255]


def test_what_belongs_into_another_zone_is_a_comment():
    text = as_zone_file(result("example.net"))
    read = dns.zone.from_text(text, check_origin=False, relativize=False)
    assert all(name.is_subdomain(dns.name.from_text("example.net")) for name in read.nodes)
    assert "; in the zone of that name: mail.example.org. IN A 192.0.2.1\n" in text


def test_a_line_a_record():
    lines = as_lines(result(dkim=DKIM)).splitlines()
    assert "example.org MX 10 mail.example.org" in lines
    assert f"m1._domainkey.example.org TXT {KEY}" in lines
    assert "_pop3s._tcp.example.org SRV 0 0 0 ." in lines
    assert "# Where mail for the domain goes." in lines


def test_an_authority_without_a_known_name_is_told_of():
    told = notes("example.org", replace(FULL, issuers={"mail.example.org": "Own CA"}))
    assert [note for note in told if "was issued by Own CA" in note and "CAA" in note]


def test_where_programs_find_their_settings():
    shown = replace(FULL, clients=8443)
    found = values(published=shown)
    for host in ("autoconfig.example.org", "autodiscover.example.org"):
        assert found[host, "CNAME"] == ["mail.example.org"]
    assert found["_autodiscover._tcp.example.org", "SRV"] == ["0 1 8443 mail.example.org"]
    (note,) = notes("example.org", shown)
    assert "autoconfig.example.org and autodiscover.example.org" in note
    for names in (("*.example.org",), ("autoconfig.example.org", "autodiscover.example.org")):
        assert notes("example.org", replace(shown, certificate_names=FULL.certificate_names + names)) == []
