"""What a configuration says to checks."""

from __future__ import annotations

import os

import pytest
import trustme

from mailnode.config.loader import read
from mailnode.net.certificate_chain import chain_trouble
from mailnode.net.no_reactor import CallingThread, StandingClock, run_now
from mailnode.net.tls import read_pair
from mailnode.server.examining import Examination, configured_facts
from mailnode.values.stored_format import StoredFormat


@pytest.fixture
def authority():
    return trustme.CA()


@pytest.fixture
def pair(tmp_path, authority):
    issued = authority.issue_cert("mail.a.test", "*.b.test")
    issued.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    for index, part in enumerate(issued.cert_chain_pems):
        part.write_to_path(str(tmp_path / "cert.pem"), append=index > 0)
    return read_pair(tmp_path / "cert.pem", tmp_path / "key.pem")


def configured(tmp_path, **sections):
    table = {
        "server": {"hostname": "mail.a.test", "data": str(tmp_path / "data"), "addresses": ["192.0.2.1"]},
        "listener": [
            {"protocol": "smtp", "endpoint": "tcp:25", "tls": "starttls"},
            {"protocol": "imap", "endpoint": "tcp:993:interface=192.0.2.1", "tls": "implicit"},
            {"protocol": "lmtp", "endpoint": "unix:/run/lmtp"},
            {"protocol": "http", "endpoint": "tcp:8080:interface=127.0.0.1"},
        ],
        "tls": {"certificate": str(tmp_path / "cert.pem"), "key": str(tmp_path / "key.pem")},
        **sections,
    }
    return read(table, tmp_path)


def test_ports_addresses_and_files(tmp_path, pair):
    config = configured(tmp_path, dns={"servers": ["127.0.0.1:5353", "192.0.2.53"], "validates": "auto"})
    facts = configured_facts(config, [pair], running=True)
    assert [(port.protocol, port.number, port.address, port.tls, port.local) for port in facts.ports] == [
        ("smtp", 25, "", "starttls", False),
        ("imap", 993, "192.0.2.1", "implicit", False),
        ("http", 8080, "127.0.0.1", "none", True),
    ]
    assert facts.running and facts.addresses == ("192.0.2.1",) and facts.data == str(tmp_path / "data")
    assert str(tmp_path / "key.pem") in facts.secret_files
    assert facts.resolvers == ("127.0.0.1", "192.0.2.53") and not facts.believed
    assert facts.backup is None and facts.version == facts.installed


def test_a_chain_leads_to_an_authority_of_the_machine_or_not(tmp_path, pair, authority, monkeypatch):
    (facts,) = configured_facts(configured(tmp_path), [pair], running=True).certificates
    assert facts.names == pair.names and facts.chain_trouble and not facts.self_signed
    authority.cert_pem.write_to_path(str(tmp_path / "authorities.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authorities.pem"))
    assert chain_trouble(pair.chain) == ""


def test_a_chain_without_what_stands_between(tmp_path, authority, monkeypatch):
    issued = authority.create_child_ca().issue_cert("mail.a.test")
    issued.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    for index, part in enumerate(issued.cert_chain_pems):
        part.write_to_path(str(tmp_path / "cert.pem"), append=index > 0)
    authority.cert_pem.write_to_path(str(tmp_path / "authorities.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authorities.pem"))
    chain = read_pair(tmp_path / "cert.pem", tmp_path / "key.pem").chain
    assert len(chain) > 1 and chain_trouble(chain) == "" and "issuer" in chain_trouble(chain[:1])


def backups(tmp_path, directory):
    return configured_facts(configured(tmp_path, doctor={"backups": str(directory)}), [], running=False).backup


def test_backups(tmp_path):
    there = tmp_path / "backups"
    assert backups(tmp_path, there).trouble == "it is no directory of backups"
    there.mkdir()
    (there / "mailnode-backups").write_text("")
    assert (backups(tmp_path, there).latest, backups(tmp_path, there).trouble) == (None, "")
    broken = there / "2026-11-30T09-08-01Z"
    broken.mkdir()
    assert backups(tmp_path, there).trouble
    if os.geteuid():
        there.chmod(0)
        assert backups(tmp_path, there).trouble


def test_backups_on_a_machine_that_does_not_answer(tmp_path, monkeypatch):
    from mailnode.server import examining

    there = tmp_path / "backups"
    os.mkfifo(there)
    monkeypatch.setattr(examining, "BACKUPS_WITHIN", 0.1)
    monkeypatch.setattr(examining.BackupDirectory, "require", lambda kept: kept.path.read_bytes())
    found = backups(tmp_path, there)
    with there.open("wb"):  # whoever still reads may end
        pass
    assert "does not answer" in found.trouble


async def formats():
    return [StoredFormat("queue", 7, 7)]


def test_nobody_counts_logins_where_nobody_logs_in(tmp_path):
    clock = StandingClock()
    alone = Examination(lambda: configured(tmp_path), lambda: (), clock, CallingThread(), formats, running=False)
    assert run_now(alone.refused_logins()) is None
    assert run_now(alone.formats()) == (StoredFormat("queue", 7, 7),)
