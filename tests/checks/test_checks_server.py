"""Certificates, records in DNS, the policy host, and what the store says."""

from dataclasses import replace

import pytest
from world import FOUR, HOST, NOW, SILENT, SIX, FakeWorld

from mailnode.checks.facts import BackupFacts, CertificateFacts, DomainFacts, ServedPort, StoreFacts
from mailnode.checks.zone import zone
from mailnode.interfaces.dns import DnsAnswer
from mailnode.values.item import ItemState
from mailnode.values.machine import Fetched, ShownCertificate
from mailnode.values.published import OwnStsPolicy, Published
from mailnode.values.stored_format import StoredFormat

DONE, FAILED, TO_DO, SKIPPED = ItemState.DONE, ItemState.FAILED, ItemState.TO_DO, ItemState.SKIPPED
DAY, D = 86_400.0, "a.test"
GOOD = CertificateFacts((HOST,), NOW - 10 * DAY, NOW + 80 * DAY, False)


@pytest.mark.parametrize(
    ("certificate", "state", "words"),
    [
        (GOOD, DONE, HOST),
        (replace(GOOD, not_after=NOW - 1), FAILED, "expired"),
        (replace(GOOD, not_before=NOW - 87 * DAY, not_after=NOW + 3 * DAY), FAILED, "runs out"),
        (replace(GOOD, not_before=NOW - 80 * DAY, not_after=NOW + 10 * DAY), TO_DO, "runs out"),
        (replace(GOOD, not_before=NOW + 60), FAILED, "not valid yet"),
        (CertificateFacts((HOST,), NOW - 3 * DAY, NOW + 3 * DAY, False), DONE, HOST),  # of six days
        (CertificateFacts((HOST,), NOW - 5 * DAY, NOW + 1 * DAY, False), TO_DO, "runs out"),
        (replace(GOOD, self_signed=True, chain_trouble="self-signed"), TO_DO, "nobody but"),
        (replace(GOOD, chain_trouble="unable to get local issuer"), FAILED, "unable to get local issuer"),
    ],
)
def test_a_certificate(certificate, state, words):
    found, seen, _ = FakeWorld().with_facts(certificates=(certificate,)).only("certificates")
    assert found is state and words in seen


def test_a_certificate_must_be_for_the_host_name():
    def told(*names):
        return FakeWorld().with_facts(certificates=(replace(GOOD, names=names),)).look("certificates")

    assert [item.state for item in told("other.test")] == [DONE, FAILED]
    assert [item.state for item in told("*.a.test")] == [DONE]


def test_no_certificate():
    assert FakeWorld().only("certificates")[0] is SKIPPED
    assert FakeWorld().with_facts(ports=(ServedPort("imap", 993, "", "implicit"),)).only("certificates")[0] is FAILED


def test_what_the_listeners_show():
    ports = (ServedPort("imap", 993, "", "implicit"), ServedPort("imap", 143, "", "starttls"))
    world = FakeWorld().with_facts(certificates=(GOOD,), ports=ports, running=True)
    assert world.only("certificates-shown")[0] is FAILED
    world.shown = {(993, HOST): ShownCertificate("self-signed", GOOD.not_after, (HOST,))}
    assert world.only("certificates-shown")[0] is DONE
    behind = world.with_facts(ports=(replace(ports[0], proxied=True),))
    assert behind.only("certificates-shown")[0] is SKIPPED  # only its balancer may speak to it
    world.shown = {(993, HOST): ShownCertificate("", GOOD.not_after - 5, (HOST,))}
    assert world.only("certificates-shown")[0::2] == (FAILED, "mailnode reload")


POLICY = OwnStsPolicy("enforce", 604_800, HOST)
PUBLISHED = Published(
    HOST, (FOUR,), {"imaps": 993}, ("ab" * 32,), (HOST, f"mta-sts.{D}"), POLICY, issuers={HOST: "Let's Encrypt"}
)
KEY = (f"k._domainkey.{D}", "v=DKIM1; k=ed25519; p=AAAA")
RECORDS = tuple(zone(D, PUBLISHED, [KEY]))
ALL = ("mx", "spf", "dkim", "dmarc", "mta-sts", "tls-rpt", "tlsa", "srv", "caa")


def answers(records):
    found = {}
    for one in records:
        found.setdefault((one.name, one.type), []).append(one.value)
    return {key: DnsAnswer(tuple(values), secure=True, ttl=60) for key, values in found.items()}


def with_records(records=RECORDS):
    return FakeWorld(dns=answers(records)).with_facts(published=PUBLISHED, domains=(DomainFacts(D, RECORDS),))


def test_all_records_are_right():
    for name in ALL:
        assert with_records().only(name)[0] is DONE, name
    assert {item.name for name in ALL for item in with_records().look(name)} == {f"{name}:{D}" for name in ALL}


KIND_OF = {"MX": "mx", "TLSA": "tlsa", "SRV": "srv", "CAA": "caa"}
TAG_OF = {"v=spf1": "spf", "v=dkim1": "dkim", "v=dmarc1": "dmarc", "v=stsv1": "mta-sts", "v=tlsrptv1": "tls-rpt"}


def check_of(record):
    if record.type == "TXT":
        return TAG_OF[record.value.split(";")[0].split()[0].lower()]
    return KIND_OF.get(record.type, "")


@pytest.mark.parametrize("missing", [one for one in RECORDS if check_of(one)], ids=lambda one: f"{one.name}-{one.type}")
def test_a_record_that_is_missing_is_told_by_its_check_alone_with_its_line(missing):
    world = with_records([one for one in RECORDS if one is not missing])
    for name in ALL:
        state, _, mend = world.only(name)
        if name == check_of(missing) and state is FAILED:
            assert f"{missing.name}. IN {missing.type} " in mend
        elif name == check_of(missing):
            assert missing.type in ("TLSA", "CAA") or missing.value.endswith(" .")  # a hint: it may be meant so
        else:
            assert state is DONE, name


def test_another_key_is_told():
    world = with_records()
    world.dns[KEY[0], "TXT"] = ["v=DKIM1; k=ed25519; p=BBBB"]
    state, seen, mend = world.only("dkim")
    assert state is FAILED and "p=BBBB" in seen and '"v=DKIM1; k=ed25519; p=AAAA"' in mend


def test_dns_that_is_silent_is_told_and_not_taken_for_missing():
    world = with_records()
    world.dns[D, "MX"] = SILENT
    state, seen, _ = world.only("mx")
    assert state is FAILED and "no answer" in seen and "missing" not in seen


def test_a_resolver_that_is_silent_about_everything_is_one_piece_of_news():
    world = with_records()
    asked = (("", "NS"), (f"mta-sts.{D}", "A"), (HOST, "A"), ("1.2.0.192.in-addr.arpa", "PTR"))
    world.dns = dict.fromkeys((*world.dns, *asked), SILENT)
    names = (*ALL, "mta-sts-host", "reverse-names", "host-name", "block-lists", "port-25-outwards")
    assert {item.state for name in names for item in world.look(name)} == {SKIPPED}
    assert world.only("resolver")[0] is FAILED


def test_each_domain_has_an_item():
    other = Published(HOST, (FOUR,))
    domains = tuple(DomainFacts(name, tuple(zone(name, other))) for name in ("a.test", "b.test"))
    items = FakeWorld().with_facts(published=other, domains=domains).look("mx")
    assert [item.name for item in items] == ["mx:a.test", "mx:b.test"]


def test_the_policy_host():
    world = with_records()
    assert world.only("mta-sts-host")[1] == f"mta-sts.{D} has no address"
    world.dns[f"mta-sts.{D}", "A"] = SILENT
    assert world.only("mta-sts-host")[1] == f"DNS gives no answer about mta-sts.{D}"
    world.dns[f"mta-sts.{D}", "A"] = [FOUR]
    assert world.only("mta-sts-host")[0] is FAILED
    for told, state in (
        (Fetched("", 200, POLICY.text.encode()), DONE),
        (Fetched("", 200, POLICY.text.replace("\r\n", "\n").encode()), DONE),
        (Fetched("", 200, replace(POLICY, mode="none").text.encode()), FAILED),
        (Fetched("", 200, b"\xff\0"), FAILED),
        (Fetched("", 301), FAILED),
        (Fetched("its certificate is not right: certificate has expired"), FAILED),
    ):
        world.fetched[f"mta-sts.{D}"] = told
        assert world.only("mta-sts-host")[0] is state
    assert FakeWorld().only("mta-sts-host")[0] is SKIPPED


def test_a_page_may_come_over_either_family():
    world = with_records()
    world.dns |= {(f"mta-sts.{D}", "A"): [FOUR], (f"mta-sts.{D}", "AAAA"): [SIX]}
    pages = {FOUR: Fetched("no route to that network"), SIX: Fetched("", 200, POLICY.text.encode())}
    world.fetch = lambda address, host, path, port=443: given(pages[address])
    assert world.only("mta-sts-host")[0] is DONE


async def given(value):
    return value


def test_autoconfig():
    published = replace(PUBLISHED, clients=True)
    records = tuple(zone(D, published, [KEY]))
    world = FakeWorld().with_facts(published=published, domains=(DomainFacts(D, records),))
    assert world.only("autoconfig")[0] is FAILED
    world.dns[f"autoconfig.{D}", "A"] = [FOUR]
    for told, state in (
        (Fetched("", 200, f"<hostname>{HOST}</hostname>".encode()), DONE),
        (Fetched("", 200, b"<hostname>mail.other.test</hostname>"), FAILED),
        (Fetched("", 404), FAILED),
        (Fetched("no answer in time"), FAILED),
    ):
        world.fetched[f"autoconfig.{D}"] = told
        assert world.only("autoconfig")[0] is state
    assert FakeWorld().only("autoconfig")[0] is SKIPPED


def store(**told):
    return FakeWorld().with_facts(store=StoreFacts(**told), running=True)


def test_the_queue():
    assert FakeWorld().only("queue-age")[0] is SKIPPED
    assert store().only("queue-age")[0] is DONE
    assert store(queue_recipients=3, queue_oldest=NOW - 3600).only("queue-age")[0] is DONE
    assert store(queue_recipients=3, queue_oldest=NOW - 2 * DAY).only("queue-age")[0] is TO_DO
    assert store(queue_paused=("the whole queue: paused since then",)).only("queue-age")[0] is TO_DO


def test_logins_that_were_refused():
    assert store().only("failed-logins")[0] is SKIPPED
    assert store(failed_logins=2000, failed_since=NOW - 10 * DAY).only("failed-logins")[0] is DONE
    assert store(failed_logins=20_000, failed_since=NOW - 10 * DAY).only("failed-logins")[0] is TO_DO
    assert store(failed_logins=5, failed_since=NOW).only("failed-logins")[0] is DONE  # no time has passed


def test_backups():
    assert FakeWorld().only("backup-age")[0] is TO_DO
    for kept, state in (
        (BackupFacts("/b", NOW - 3600), DONE),
        (BackupFacts("/b", NOW - 2 * DAY), FAILED),
        (BackupFacts("/b"), FAILED),
        (BackupFacts("/b", trouble="it cannot be read"), FAILED),
        (BackupFacts("/b", NOW - 3600, ("mail-00.db: damaged",)), FAILED),
    ):
        assert FakeWorld().with_facts(backup=kept).only("backup-age")[0] is state


def test_the_index_and_damage():
    assert store().only("index-lag")[0] is DONE
    assert store(unindexed=5, index_since=NOW - 60).only("index-lag")[0] is DONE
    assert store(unindexed=5, index_since=NOW - DAY).only("index-lag")[0] is TO_DO
    assert store().only("store-damage")[0] is DONE
    assert store(damage=("mail-00.db: page 3",)).only("store-damage")[0] is FAILED
    assert FakeWorld().with_facts(store_trouble="the store does not answer").only("store-damage")[0] is FAILED


def test_the_version():
    world = FakeWorld().with_facts(version="1.0", installed="1.0", running=True)
    assert world.only("version")[0] is DONE
    assert world.with_facts(installed="1.1").only("version")[0::2] == (TO_DO, "systemctl restart mailnode.service")


def test_databases_that_a_newer_version_wrote_are_told():
    world = FakeWorld().with_facts(version="1.0", installed="1.0", running=True)
    same = StoredFormat("queue", 7, 7)
    newer = tuple(StoredFormat(f"mail-{number:02d}", 30, 29) for number in range(4))
    assert world.with_facts(formats=(same,)).only("version")[:2] == (
        DONE,
        "1.0 runs, and is the one that is installed, and knows the form of all 1 databases",
    )
    state, seen, mend = world.with_facts(formats=(same, *newer)).only("version")
    assert (
        state is TO_DO and "mail-02 (schema 30) and 1 more, which this one goes on with" in seen and "upgrading" in mend
    )
    stopped = world.with_facts(formats=newer[:1], running=False, store_trouble="mail-00 has schema 30")
    state, seen, _ = stopped.only("version")
    assert state is FAILED and "mail-00 (schema 30), which this one cannot go on with" in seen
