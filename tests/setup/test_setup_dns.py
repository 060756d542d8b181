"""Records: written, published where there is a key, waited for at the zone's own servers."""

from dataclasses import replace

import pytest
from setup_support import FakePerson

from mailnode.admin.zone_text import as_nsupdate
from mailnode.setup.items import records
from mailnode.setup.items.tsig import read_key
from mailnode.setup.runner import go_through
from mailnode.setup.trouble import SetupTrouble
from mailnode.setup.zones import zone_of
from mailnode.values.item import ItemState

DONE, TO_DO, WAITING = ItemState.DONE, ItemState.TO_DO, ItemState.WAITING
FAILED, SKIPPED = ItemState.FAILED, ItemState.SKIPPED
SERVER, OTHER = "203.0.113.53", "203.0.113.54"
KEY = 'key "setup." {\n  algorithm hmac-sha256;\n  secret "c2VjcmV0IHNlY3JldCBzZWNyZXQ=";\n};\n'
WANTED = {
    ("example.org", "MX"): ("10 mail.example.org",),
    ("mail.example.org", "A"): ("198.51.100.7",),
    ("example.org", "TXT"): ("v=spf1 mx -all",),
    ("s1._domainkey.example.org", "TXT"): ("v=DKIM1; k=rsa; p=MIIB" + "A" * 300,),
    ("_dmarc.example.org", "TXT"): ("v=DMARC1; p=quarantine; rua=mailto:postmaster@example.org",),
    ("mail.example.org", "CAA"): ('0 issue "ca.example"',),
}


def run(world, *items):
    return {item.name: item for item in go_through(items, world.around())}


@pytest.fixture
def zoned(world):
    """A zone at two servers, with nothing of mail in it."""
    world.machine.dns |= {
        ("example.org", "NS"): ("ns1.example.net", "ns2.example.net"),
        ("ns1.example.net", "A"): (SERVER,),
        ("ns2.example.net", "A"): (OTHER,),
    }
    world.machine.at_servers = {SERVER: {}, OTHER: {}}
    world.server.records = [
        {"name": name, "type": kind, "value": value, "why": f"{kind} of {name}"}
        for (name, kind), values in WANTED.items()
        for value in values
    ]
    world.places.records.mkdir()
    return world


@pytest.fixture
def files(zoned):
    item = replace(records.FILES_ITEM, needs=())
    return lambda: run(zoned, item)["dns-records"]


def look(world):
    return run(world, replace(records.ITEM, needs=()))["dns-visible"]


def publish(world):
    return run(world, replace(records.PUBLISHED_ITEM, needs=()))["dns-published"]


def test_they_are_written_in_three_forms_and_anew_when_they_change(zoned, files):
    assert files().state is DONE
    names = sorted(path.name for path in zoned.places.records.iterdir())
    assert names == ["example.org.nsupdate", "example.org.txt", "example.org.zone"]
    files()
    assert sorted(path.name for path in zoned.places.records.iterdir()) == names
    zoned.server.records.pop()
    assert files().state is DONE
    assert len(list(zoned.places.records.iterdir())) == 6


def test_nsupdate_adds_what_is_of_the_domain_and_leaves_the_rest():
    record = {"name": "example.org", "type": "TXT", "value": 'a "b" ' + "c" * 300, "why": "why"}
    other = {"name": "example.org._report._dmarc.example.net", "type": "TXT", "value": "v=DMARC1", "why": "other"}
    text = as_nsupdate({"domain": "example.org", "records": [record, other], "notes": ["a note"]})
    lines = text.splitlines()
    assert "zone example.org." in lines and "send" in lines and "; a note" in lines
    [added] = [line for line in lines if line.startswith("update add")]
    assert added.startswith('update add example.org. 3600 IN TXT "a \\"b\\" ccc') and added.count('" "') == 1
    assert all(line.startswith((";", "update add", "zone", "send")) or not line for line in lines)


def test_each_server_of_the_zone_must_have_them(zoned):
    found = look(zoned)
    assert found.state is WAITING and "6 of 6" in found.seen and "example.org.txt" in found.mend
    zoned.machine.at_servers[SERVER] = dict(WANTED)
    assert look(zoned).state is WAITING
    zoned.machine.at_servers[OTHER] = dict(WANTED)
    assert look(zoned).state is DONE


def test_a_wrong_address_is_told(zoned):
    zoned.machine.at_servers = {SERVER: dict(WANTED), OTHER: dict(WANTED)}
    zoned.machine.at_servers[OTHER]["mail.example.org", "A"] = ("192.0.2.99",)
    found = look(zoned)
    assert found.state is FAILED and "A mail.example.org is wrong" in found.seen and "198.51.100.7" in found.mend


def test_a_server_that_does_not_answer_is_waited_for(zoned):
    zoned.machine.at_servers = {SERVER: dict(WANTED), OTHER: dict(WANTED)}
    zoned.machine.failed_names.add("_dmarc.example.org")
    assert look(zoned).state is WAITING


def test_they_are_waited_for_and_ticked_as_they_appear(zoned):
    zoned.patience = 60.0
    appearing = iter(WANTED.items())

    def appear():
        for server in zoned.machine.at_servers.values():
            server.update([next(appearing)] if server is zoned.machine.at_servers[SERVER] else [])
        zoned.machine.at_servers[OTHER] = dict(zoned.machine.at_servers[SERVER])

    zoned.machine.on_pause = appear
    assert look(zoned).state is DONE
    assert "there now: MX example.org" in zoned.told and len(zoned.told) <= 1 + len(WANTED)


def test_the_wait_has_an_end(zoned):
    zoned.patience = 60.0
    began = zoned.machine.now()
    assert look(zoned).state is WAITING
    assert zoned.machine.now() - began <= 65


def test_ctrl_c_while_waiting_ends_it(zoned):
    zoned.patience = 60.0

    def interrupted():
        raise KeyboardInterrupt

    zoned.machine.on_pause = interrupted
    with pytest.raises(KeyboardInterrupt):
        look(zoned)


def test_dns_that_changes_half_way_is_no_end_of_it(zoned):
    zoned.patience = 60.0
    gone = zoned.machine.dns.pop(("example.org", "NS"))
    zoned.machine.dns["example.org", "NS"] = gone
    turns = iter([True, False, False])

    def change():
        if next(turns, False):
            zoned.machine.dns.pop(("example.org", "NS"))
        else:
            zoned.machine.dns["example.org", "NS"] = gone

    zoned.machine.on_pause = change
    assert look(zoned).state in (WAITING, TO_DO)


def test_a_resolver_that_is_silent_for_a_moment_does_not_end_the_wait(zoned):
    zoned.patience = 60.0
    turns = iter(range(100))

    def change():
        turn = next(turns)
        zoned.machine.failed_names = {"example.org"} if turn == 1 else set()
        if turn == 4:
            zoned.machine.at_servers = {SERVER: dict(WANTED), OTHER: dict(WANTED)}

    zoned.machine.on_pause = change
    assert look(zoned).state is DONE


def test_a_domain_that_nobody_registered_is_said(world):
    with pytest.raises(SetupTrouble, match="no name servers of example"):
        zone_of(world.machine, "example.org")


def test_a_zone_is_found_above_the_name(zoned):
    assert zone_of(zoned.machine, "mail.example.org").name == "example.org"


# Published by setup


@pytest.fixture
def keyed(zoned, tmp_path):
    path = tmp_path / "zone.key"
    path.write_text(KEY)
    zoned.given |= {"dns_key_file": str(path)}
    zoned.machine.at_servers[OTHER] = zoned.machine.at_servers[SERVER]  # a secondary that is quick
    return zoned


def test_with_a_key_what_is_missing_is_published(keyed):
    assert publish(keyed).state is DONE
    [(server, change)] = keyed.machine.updates
    assert (server.host, server.key.name, change.zone) == (SERVER, "setup.", "example.org")
    assert len(change.add) == len(WANTED) and change.remove == ()
    assert look(keyed).state is DONE
    publish(keyed)
    assert len(keyed.machine.updates) == 1


PINS = ("3 1 1 " + "ab" * 32, "3 1 1 " + "cd" * 32)  # of the key in use, and of the next


@pytest.fixture
def pinned(keyed):
    """A zone that is signed, and a certificate that an authority gave."""
    keyed.given |= {"acme": "yes"}
    keyed.server.certificate_renew()
    keyed.server.records = [
        {"name": "_25._tcp.mail.example.org", "type": "TLSA", "value": value, "why": "pin"} for value in PINS
    ]
    keyed.machine.dns["mail.example.org", "A"] = ("198.51.100.7",)
    keyed.machine.secure_names = {"mail.example.org"}
    return keyed


def pin(world):
    return run(world, replace(records.PINS_ITEM, needs=()))["dns-pins"]


def test_pins_are_published_where_the_zone_is_signed_and_those_of_other_keys_stay(pinned):
    name = "_25._tcp.mail.example.org", "TLSA"
    pinned.machine.at_servers[SERVER][name] = ("3 1 1 " + "00" * 32, PINS[0])
    found = pin(pinned)
    assert found.state is DONE and "stand in the zone" in found.seen
    [(_, change)] = pinned.machine.updates
    assert [one.value for one in change.add] == [PINS[1]] and change.remove == ()
    assert pin(pinned) == found and len(pinned.machine.updates) == 1


@pytest.mark.parametrize("lacks", ["signatures", "key"])
def test_pins_are_written_alone_where_nobody_would_believe_them_or_nothing_may_be_changed(pinned, lacks):
    if lacks == "key":
        pinned.given["dns_key_file"] = "none"
    else:
        pinned.machine.secure_names = set()
    assert pin(pinned).state is DONE and pinned.machine.updates == []
    assert PINS[1] in (pinned.places.records / "example.org.txt").read_text()


def test_servers_that_say_nothing_of_pins_are_not_taken_for_having_none(pinned):
    pinned.machine.failed_names = {"_25._tcp.mail.example.org"}
    assert pin(pinned).state is WAITING and pinned.machine.updates == []


def test_what_differs_is_replaced_only_when_that_was_answered(keyed):
    keyed.machine.at_servers[SERVER] |= WANTED | {
        ("mail.example.org", "A"): ("192.0.2.99",),
        ("example.org", "TXT"): ("v=spf1 -all", "site=1"),
    }
    assert publish(keyed).state is DONE and keyed.machine.updates == []
    assert look(keyed).state is FAILED
    keyed.given["replace_records"] = "yes"
    assert publish(keyed).state is DONE
    assert keyed.machine.at_servers[SERVER]["mail.example.org", "A"] == ("198.51.100.7",)
    assert set(keyed.machine.at_servers[SERVER]["example.org", "TXT"]) == {"site=1", "v=spf1 mx -all"}


def test_a_server_that_refuses_is_told(keyed):
    keyed.machine.refuses_updates = "the name server did not take it: it does not know the key"
    found = publish(keyed)
    assert found.state is FAILED and "does not know the key" in found.seen
    assert "dns_server" in found.mend and "none" in found.mend


def test_without_a_key_there_is_nothing_to_do(zoned):
    assert publish(zoned).state is SKIPPED
    zoned.person = FakePerson({"The file with a TSIG": ["/nowhere", ""]})
    assert publish(zoned).state is SKIPPED
    assert len(zoned.person.told) == 1
    zoned.person = None
    assert publish(zoned).state is SKIPPED  # remembered


@pytest.mark.parametrize(
    "text",
    [
        KEY,
        "# hmac-sha256:setup.:c2VjcmV0IHNlY3JldCBzZWNyZXQ=\nkey:\n  - id: setup.\n    algorithm: hmac-sha256\n"
        "    secret: c2VjcmV0IHNlY3JldCBzZWNyZXQ=\n",
    ],
)
def test_keys_are_read_as_name_servers_write_them(tmp_path, text):
    path = tmp_path / "key"
    path.write_text(text)
    key = read_key(path)
    assert (key.name, key.algorithm, key.secret) == ("setup.", "hmac-sha256", "c2VjcmV0IHNlY3JldCBzZWNyZXQ=")
    assert key.secret not in repr(key)


@pytest.mark.parametrize("text", ["", 'key "x" { }', "\xff"])
def test_what_is_no_key_is_said(tmp_path, text):
    path = tmp_path / "key"
    path.write_text(text, "latin-1")
    with pytest.raises(ValueError, match="key"):
        read_key(path)
