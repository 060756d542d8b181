"""Certificates that are proved by records in DNS, which knot takes by signed updates; and records that pin the key."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from acme_client import NAME, begin, report, server, shown
from acme_servers import Caddy, Pebble
from servers import wait_for

sys.path.insert(0, str(Path(__file__).parents[1] / "net"))

from knot_server import KEY, SECRET, KnotServer


@pytest.fixture
def started() -> Iterator[list]:
    """What a test starts is ended behind it, the last first."""
    running: list = []
    yield running
    for one in reversed(running):
        one.stop()


def test_a_record_in_dns_proves_a_wildcard(tmp_path, started):
    knot, zone = changing_zone(tmp_path, started)
    zone = f'names = ["*.a.test", "a.test"]\n{zone}'
    node = server(tmp_path, "dns-01", zone)
    pebble = Pebble(tmp_path / "pebble", dns_port=knot.port)
    begin(node, pebble, started)
    node.wait_event("certificate.issued", names="*.a.test")
    shown(node, name="any.a.test", roots=pebble.root())
    assert knot.records("_acme-challenge.a.test", "TXT") == []


def test_certificates_for_six_days_of_another_authority(tmp_path, started):
    knot, zone = changing_zone(tmp_path, started)
    node = server(tmp_path, "dns-01", f'keys = ["ecdsa", "rsa"]\n{zone}')
    begin(node, Caddy(tmp_path / "caddy", knot.port, "144h"), started)
    wait_for(lambda: len(node.events("certificate.issued")) == 2, "both certificates")
    found = shown(node)
    lifetime = found.not_valid_after_utc - found.not_valid_before_utc
    assert timedelta(days=6) <= lifetime < timedelta(days=6, hours=1)
    for record in report(node)["certificates"]:
        until_renewed = datetime.fromisoformat(record["renew_at"]) - found.not_valid_before_utc
        assert 0.66 < until_renewed / lifetime < 0.67
    assert knot.records("_acme-challenge.mx.a.test", "TXT") == []


def test_a_record_that_pins_the_key_keeps_it_and_the_next_one_is_published(tmp_path, started):
    knot, zone = changing_zone(tmp_path, started)
    node = server(tmp_path, "dns-01", zone)
    pebble = Pebble(tmp_path / "pebble", dns_port=knot.port)
    begin(node, pebble, started)
    node.wait_event("certificate.issued", names=NAME)
    first = shown(node)
    pinned = json.loads(node.ctl("domain", "records", "a.test", "--json").stdout)["records"]
    used, following = [one["value"] for one in pinned if one["type"] == "TLSA"]
    knot.add(f"_25._tcp.{NAME}", "TLSA", used)
    node.ctl("certificate", "renew", "--force")
    second = shown(node)
    assert (second.serial_number != first.serial_number, second.public_key() == first.public_key()) == (True, True)
    [record] = report(node)["certificates"]
    assert "next key" in record["note"] and f"3 1 1 {record['next_key']}" == following
    # At its next start it looks, and publishes the record of the key to come.
    node.stop()
    node.start()
    wait_for(lambda: len(knot.records(f"_25._tcp.{NAME}", "TLSA")) == 2, "the next key's record")
    assert {one.lower() for one in knot.records(f"_25._tcp.{NAME}", "TLSA")} == {used, following}


def changing_zone(folder: Path, started: list) -> tuple[KnotServer, str]:
    """Return a name server, and the settings with which a server changes its zone and asks it."""
    knot = KnotServer("a.test", "mx A 127.0.0.1\n")
    started.append(knot)
    (folder / "tsig").write_text(SECRET + "\n")
    return knot, (
        f'[[acme.zone]]\nname = "a.test"\nserver = "127.0.0.1"\nport = {knot.port}\nkey_name = "{KEY}"\n'
        f'key_file = "{folder / "tsig"}"\n[dns]\nservers = ["127.0.0.1:{knot.port}"]'
    )
