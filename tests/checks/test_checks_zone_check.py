"""What comes of each record beside what DNS says: right however it is written, missing, other, a hint, or not known now."""

from dataclasses import replace

import pytest

from mailnode.checks.zone import zone
from mailnode.checks.zone_check import check, names_of_addresses, questions
from mailnode.ctl.zone import as_verdicts
from mailnode.interfaces.dns import DnsAnswer, DnsQuestion
from mailnode.values.published import OwnStsPolicy, Published

D, HOST, DIGEST = "example.org", "mail.example.org", "ab" * 32
OURS = Published(
    HOST,
    ("192.0.2.1", "2001:db8::1"),
    {"imaps": 993},
    (DIGEST,),
    sts=OwnStsPolicy("testing", 604_800, HOST),
    reports_to="a@reports.example",
)
KEY = "v=DKIM1; k=rsa; p=" + "A" * 400
DKIM = [(f"m1._domainkey.{D}", KEY)]
RDNS4, RDNS6 = "1.2.0.192.in-addr.arpa", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"


def compare(changes=(), published=OURS):
    """Return {(name, type): what came of it}, with DNS as it should be but for some answers."""
    records = zone(D, published, DKIM)
    found = {}
    for one in records:
        found.setdefault(DnsQuestion(one.name, one.type), []).append(one.value)
    answers = {
        question: DnsAnswer(tuple(found.get(question, ())), secure=question.type == "TLSA")
        for question in questions(published, records)
    }
    answers |= {
        DnsQuestion(HOST, "A"): DnsAnswer(("192.0.2.1",)),
        DnsQuestion(HOST, "AAAA"): DnsAnswer(("2001:db8::1",)),
    }
    answers |= {DnsQuestion(name, "PTR"): DnsAnswer((HOST,)) for name in (RDNS4, RDNS6)}
    for (name, kind), values in dict(changes).items():
        answers[DnsQuestion(name, kind)] = values if isinstance(values, DnsAnswer) else DnsAnswer(tuple(values))
    assert set(names_of_addresses(published, answers).values()) <= set(answers)
    return check(published, records, answers)


def one(name, kind, values, published=OURS):
    """Return what comes of one record when DNS says this; all others must be right."""
    checked = compare({(name, kind): values}, published)
    (found,) = [each for each in checked if each["verdict"] != "right" or (each["name"], each["type"]) == (name, kind)]
    assert (found["name"], found["type"]) == (name, kind)
    assert bool(found["advice"]) == (found["verdict"] != "right")
    return found["verdict"], found["advice"]


def test_what_was_printed_is_right():
    checked = compare()
    assert [each for each in checked if each["verdict"] != "right"] == [] and len(checked) == 20


RECORDS = [(each["name"], each["type"]) for each in compare()]


@pytest.mark.parametrize(("name", "kind"), sorted(set(RECORDS)))
def test_a_failure_of_dns_is_told_of_each_record(name, kind):
    checked = compare({(name, kind): DnsAnswer(failed=True)})
    wrong = {(each["name"], each["type"]): each["verdict"] for each in checked if each["verdict"] != "right"}
    assert wrong.pop((name, kind)) == "failed"
    assert set(wrong) <= {(RDNS4, "PTR"), (RDNS6, "PTR")}  # which depend on the address


@pytest.mark.parametrize(("name", "kind"), sorted(set(RECORDS) - {(HOST, "A"), (HOST, "AAAA")}))
def test_a_missing_record_is_told_with_the_fix(name, kind):
    verdict, advice = one(name, kind, [])
    harmless = kind == "TLSA" or (kind == "SRV" and "_imaps." not in name)
    assert verdict == ("hint" if harmless else "missing") and advice


CASES = [
    # MX
    (D, "MX", ["5 mail.example.org"], "right", ""),
    (D, "MX", ["10 mx.elsewhere.example"], "differs", "publish 10 mail.example.org"),
    (D, "MX", ["0 ."], "differs", "not here"),
    (D, "MX", ["10 mail.example.org", "20 mx.backup.example"], "hint", "mx.backup.example gets mail when"),
    (D, "MX", ["10 mail.example.org", "5 mx.first.example"], "hint", "mx.first.example gets mail before"),
    # addresses
    (HOST, "A", ["192.0.2.1", "192.0.2.9"], "hint", "192.0.2.9 is not known here"),
    (HOST, "AAAA", ["2001:db8::1"], "right", ""),
    # SPF
    (D, "TXT", ["google-site-verification=x", "v=spf1 mx -all"], "right", ""),
    (D, "TXT", ["v=SPF1  +mx include:_spf.provider.example ~all"], "right", ""),
    (D, "TXT", ["v=spf1 a:mail.example.org -all"], "right", ""),
    (D, "TXT", ["v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 -all"], "right", ""),
    (D, "TXT", ["v=spf1 ip4:192.0.2.0/24 -all"], "differs", "add mx"),
    (D, "TXT", ["v=spf1 ip4:nonsense -mx -all"], "differs", "add mx"),
    (D, "TXT", ["v=spf1 -all mx"], "differs", "add mx"),
    (D, "TXT", ["v=spf1 include:_spf.provider.example -all"], "hint", "not looked into: add mx"),
    (D, "TXT", ["v=spf1 redirect=_spf.provider.example"], "hint", "not looked into"),
    (D, "TXT", ["v=spf1 mx"], "hint", "end it with -all"),
    (D, "TXT", ["v=spf1 mx ?all"], "hint", "end it with -all"),
    (D, "TXT", ["v=spf1 mx +all"], "differs", "lets everybody send"),
    (D, "TXT", ["v=spf1 mx all"], "differs", "lets everybody send"),
    (D, "TXT", ["v=spf1 mx -all", "v=spf1 a -all"], "differs", "several"),
    (D, "TXT", ["v=spf10 mx -all"], "missing", "Publish"),
    (HOST, "TXT", ["v=spf1 mx -all"], "differs", "add a before"),
    # DKIM
    (DKIM[0][0], "TXT", [KEY.replace("A" * 400, "A" * 200 + " " + "A" * 200)], "right", ""),
    (DKIM[0][0], "TXT", ["p=" + "A" * 400], "right", ""),
    (DKIM[0][0], "TXT", [KEY + "; t=y"], "hint", "t=y"),
    (DKIM[0][0], "TXT", ["v=DKIM1; k=rsa; p="], "differs", "no key"),
    (DKIM[0][0], "TXT", [KEY.replace("AA", "AB", 1)], "differs", "p="),
    (DKIM[0][0], "TXT", [KEY.replace("rsa", "ed25519")], "differs", "k="),
    (DKIM[0][0], "TXT", [KEY, KEY], "differs", "several"),
    # DMARC
    (f"_dmarc.{D}", "TXT", ["v=DMARC1;p=reject ;rua=mailto:a@reports.example"], "right", ""),
    (f"_dmarc.{D}", "TXT", ["v=DMARC1; p=none; rua=mailto:a@reports.example"], "hint", "p=none"),
    (f"_dmarc.{D}", "TXT", ["v=DMARC1; p=quarantine"], "hint", "Reports do not go"),
    (f"_dmarc.{D}", "TXT", ["v=DMARC1; p=monitor"], "differs", "p= must be"),
    (f"_dmarc.{D}", "TXT", ["v=DMARC1; p=none", "v=DMARC1; p=reject"], "differs", "several"),
    # MTA-STS and TLS-RPT
    (f"_mta-sts.{D}", "TXT", ["v=STSv1; id=20200101"], "differs", "publish the new id"),
    (f"_mta-sts.{D}", "TXT", ["v=STSv1; id=1", "v=STSv1; id=2"], "differs", "several"),
    (f"mta-sts.{D}", "CNAME", ["web.example.org"], "differs", "publish mail.example.org"),
    (f"_smtp._tls.{D}", "TXT", ["v=TLSRPTv1;rua=mailto:a@reports.example"], "right", ""),
    (f"_smtp._tls.{D}", "TXT", ["v=TLSRPTv1; rua=https://reports.example/x"], "hint", "somebody reads them"),
    (f"_smtp._tls.{D}", "TXT", ["v=TLSRPTv1;"], "differs", "no address"),
    (f"{D}._report._dmarc.reports.example", "TXT", ["v=DMARC1;"], "right", ""),
    # TLSA
    (f"_25._tcp.{HOST}", "TLSA", ["3 1 1 " + "00" * 32], "differs", "send nothing here"),
    (f"_25._tcp.{HOST}", "TLSA", [f"3 1 1 {DIGEST}"], "hint", "DNSSEC"),
    (
        f"_25._tcp.{HOST}",
        "TLSA",
        DnsAnswer(("3 1 1 " + "00" * 32, f"3 1 1 {DIGEST.upper()}"), secure=True),
        "right",
        "",
    ),
    # SRV
    (f"_imaps._tcp.{D}", "SRV", ["10 5 993 mail.example.org"], "right", ""),
    (f"_imaps._tcp.{D}", "SRV", ["0 1 143 mail.example.org"], "differs", "Publish 0 1 993"),
    (f"_imaps._tcp.{D}", "SRV", ["0 0 0 ."], "differs", "Publish 0 1 993"),
    (f"_pop3s._tcp.{D}", "SRV", ["1 1 1 ."], "right", ""),
    (f"_pop3s._tcp.{D}", "SRV", ["0 1 995 mail.example.org"], "differs", "not offered"),
    # PTR
    (RDNS4, "PTR", ["other.example.org", HOST], "right", ""),
    (RDNS4, "PTR", ["192-0-2-1.provider.example"], "differs", f"ask for {HOST}"),
]


@pytest.mark.parametrize(("name", "kind", "values", "verdict", "words"), CASES)
def test_what_dns_says(name, kind, values, verdict, words):
    told = one(name, kind, values)
    assert told[0] == verdict and words in told[1]


def test_an_address_that_leads_elsewhere_is_told_and_its_name_too():
    checked = compare({(HOST, "A"): ["192.0.2.9"]})
    wrong = {each["name"]: (each["verdict"], each["advice"]) for each in checked if each["verdict"] != "right"}
    assert set(wrong) == {HOST, RDNS4}
    assert wrong[HOST][0] == wrong[RDNS4][0] == "differs"
    assert "192.0.2.1" in wrong[HOST][1] and "does not lead back" in wrong[RDNS4][1]


def test_the_policy_host_may_have_addresses_instead_of_an_alias():
    host = f"mta-sts.{D}"
    assert [x for x in compare({(host, "CNAME"): [], (host, "A"): ["192.0.2.1"]}) if x["verdict"] != "right"] == []
    (wrong,) = [x for x in compare({(host, "CNAME"): [], (host, "A"): ["192.0.2.9"]}) if x["verdict"] != "right"]
    assert wrong["verdict"] == "differs" and "192.0.2.9" in wrong["advice"]


def test_unknown_addresses_are_those_that_dns_has():
    unknown = replace(OURS, addresses=())
    checked = compare(published=unknown)
    assert [each for each in checked if each["verdict"] != "right"] == []
    assert {each["name"] for each in checked if each["type"] == "PTR"} == {RDNS4, RDNS6}
    nowhere = compare({(HOST, "A"): [], (HOST, "AAAA"): [], (f"mta-sts.{D}", "CNAME"): [HOST]}, unknown)
    (wrong,) = [each for each in nowhere if each["verdict"] != "right"]
    assert (wrong["name"], wrong["type"], wrong["verdict"]) == (HOST, "A", "missing")


def test_a_person_reads_both_values_and_the_fix():
    checked = compare({(D, "MX"): ["10 mx.elsewhere.example\x1b[2J"]})
    text = as_verdicts({"domain": D, "ok": False, "records": checked, "notes": ["Something else."]})
    assert "differs  MX    example.org\n" in text and "right    TXT   _dmarc.example.org\n" in text
    assert "wanted: 10 mail.example.org\n" in text and "found:  10 mx.elsewhere.example\\x1b[2J\n" in text
    assert "publish 10 mail.example.org instead" in text and "\x1b" not in text
    assert "\n1 of 20 are not right" in text and text.endswith("# Something else.")


LETS, GOOGLE = "Let's Encrypt", "Google Trust Services"
ISSUE, WILD = '0 issue "letsencrypt.org"', '0 issuewild "letsencrypt.org"'


def issuance(changes, **issuers):
    """Return what comes of CAA for each name, with DNS as it should be but for these answers."""
    names = {"host": HOST, "policy": f"mta-sts.{D}", "wild": f"*.{D}"}
    published = replace(OURS, issuers={names[key]: issuer for key, issuer in issuers.items()})
    changed = {(HOST, "CAA"): (), **{(name, "CAA"): values for name, values in changes.items()}}
    found = [one for one in compare(changed, published) if one["type"] == "CAA"]
    return {one["name"]: (one["verdict"], one["advice"]) for one in found}


def test_the_authority_of_the_certificate_is_proposed_where_it_is_known():
    def proposed(issuers):
        return [(one.name, one.value) for one in zone(D, replace(OURS, issuers=issuers)) if one.type == "CAA"]

    assert proposed({HOST: LETS}) == [(HOST, ISSUE)]
    assert proposed({f"*.{D}": LETS}) == [(D, WILD)]
    [wild] = [one for one in zone(D, replace(OURS, issuers={f"*.{D}": LETS})) if one.type == "CAA"]
    assert f"certificates for *.{D}: nobody else" in wild.why
    assert proposed({HOST: "An Authority of Ours"}) == proposed({}) == []


@pytest.mark.parametrize(
    ("changes", "verdict", "words"),
    [
        ({}, "hint", f"publish {ISSUE}"),
        ({HOST: [ISSUE]}, "right", ""),
        ({D: ['0 issue " LetsEncrypt.org ; validationmethods=dns-01"']}, "right", ""),
        ({D: ['0 issue "pki.goog"']}, "differs", "may not issue the next"),
        ({"org": ['0 issue "pki.goog"']}, "differs", "may not issue the next"),
        ({D: [ISSUE], "org": ['0 issue "pki.goog"']}, "right", ""),
        ({HOST: ['0 issue "pki.goog"'], D: [ISSUE]}, "differs", "may not"),
        ({D: ['0 issue ";"']}, "differs", "may not"),
        ({D: ['0 issue ";"', ISSUE]}, "right", ""),
        ({D: ['0 issue "%%%%%"']}, "differs", "may not"),
        ({D: ['0 iodef "mailto:a@example.org"']}, "hint", "Any authority"),
        ({D: ['0 iodef "mailto:a@example.org"'], "org": ['0 issue "pki.goog"']}, "hint", "Any authority"),
        ({D: [ISSUE, '128 tbs "Unknown"']}, "differs", "may not"),
        ({D: [ISSUE, '0 tbs "Unknown"']}, "right", ""),
        ({D: ['0 issuewild "pki.goog"']}, "hint", "Any authority"),
        ({D: ["nonsense"]}, "hint", "Any authority"),
        ({D: DnsAnswer(failed=True)}, "failed", "no answer"),
        ({HOST: [ISSUE], D: DnsAnswer(failed=True)}, "right", ""),
    ],
)
def test_whether_the_issuer_may_go_on(changes, verdict, words):
    [(name, (found, advice))] = issuance(changes, host=LETS).items()
    assert (name, found) == (HOST, verdict) and words in advice


@pytest.mark.parametrize(
    ("values", "verdict"),
    [([ISSUE], "right"), ([ISSUE, '0 issuewild ";"'], "differs"), (['0 issue ";"', WILD], "right")],
)
def test_a_wildcard_has_rules_of_its_own(values, verdict):
    assert {found for found, _ in issuance({D: values}, wild=LETS).values()} == {verdict}


@pytest.mark.parametrize(
    ("values", "missing"),
    [([], WILD), ([ISSUE, '0 issuewild "pki.goog"'], WILD), (['0 issue "pki.goog"'], ISSUE)],
)
def test_what_is_to_be_published_for_a_wildcard_lets_its_issuer_go_on(values, missing):
    for verdict, advice in issuance({D: values}, wild=LETS).values():
        assert verdict != "right" and f"publish {missing} " in advice
    assert {found for found, _ in issuance({D: [*values, missing]}, wild=LETS).values()} == {"right"}


def test_each_name_by_the_certificate_that_is_for_it():
    found = issuance({D: [ISSUE]}, host=LETS, policy=GOOGLE)
    assert {name: verdict for name, (verdict, _) in found.items()} == {HOST: "right", f"mta-sts.{D}": "differs"}


def test_an_authority_that_nobody_knows_the_name_of_is_only_spoken_of():
    assert issuance({}, host="Own CA")[HOST][0] == "right"
    assert issuance({D: [ISSUE]}, host="Own CA")[HOST] == (
        "hint",
        "They must allow Own CA: ask it what it is called in CAA records.",
    )
    assert issuance({D: [ISSUE]}) == {}
