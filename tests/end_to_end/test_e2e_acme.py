"""Certificates from authorities that nobody here wrote, proved by pages and handshakes, shown and renewed by a server that runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from acme_client import NAME, begin, report, server, shown
from acme_servers import Pebble
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from servers import Process, wait_for

from tests.free_ports import free_port


@pytest.fixture
def started() -> Iterator[list]:
    """What a test starts is ended behind it, the last first."""
    running: list = []
    yield running
    for one in reversed(running):
        one.stop()


def test_a_page_of_ours_proves_the_name_though_half_the_nonces_are_refused(tmp_path, started):
    node = server(tmp_path, "http-01")
    pebble = Pebble(tmp_path / "pebble", http_port=node.ports["http"], bad_nonces=50)
    begin(node, pebble, started)
    assert shown(node).issuer == shown(node).subject  # for the meantime
    node.wait_event("certificate.issued", names=NAME)
    roots = pebble.root()
    for port in ("imaps", "submissions", "pop3s"):
        shown(node, port, roots=roots)
    assert {path.stat().st_mode & 0o777 for path in (node.data / "acme").iterdir()} == {0o600}
    first = shown(node)
    told = report(node)
    [record] = told["certificates"]
    assert (record["names"], told["trouble"]) == ([NAME], "")
    assert record["next_key"] in node.ctl("domain", "records", "a.test", "--json").stdout
    # It is renewed while it runs, and by another key, since no record pins this one.
    node.ctl("certificate", "renew", "--force")
    second = shown(node, roots=roots)
    assert second.serial_number != first.serial_number and second.public_key() != first.public_key()
    # And is there at the next start, without another order.
    node.stop()
    node.start()
    assert shown(node, roots=roots).serial_number == second.serial_number


def test_a_handshake_proves_several_names_whichever_process_takes_it(tmp_path, started):
    names = ["mta-sts.a.test", "imap.a.test"]
    node = server(tmp_path, "tls-alpn-01", f'names = {names}\nkeys = ["ecdsa", "rsa"]', workers=2)
    pebble = Pebble(tmp_path / "pebble", tls_port=node.ports["imaps"])
    begin(node, pebble, started)
    wait_for(lambda: len(node.events("certificate.issued")) == 2, "both certificates")
    roots = pebble.root()
    for name in (NAME, *names):
        modern = shown(node, name=name, roots=roots)
        old = shown(node, name=name, roots=roots, ciphers="ECDHE-RSA-AES128-GCM-SHA256")
        assert isinstance(modern.public_key(), ec.EllipticCurvePublicKey)
        assert isinstance(old.public_key(), rsa.RSAPublicKey)
    status = json.loads(node.ctl("status", "--json").stdout)
    assert all(len(process["certificates"]) == 2 for process in status["processes"])
    # No session was begun for the authority: none ended that had TLS and said nothing.
    proofs = len(node.events("session.open")) - len(node.events("session.tls"))
    assert proofs >= 3


def test_an_account_of_the_authority_and_another_web_server(tmp_path, started):
    """EAB, and proofs in the folder that the other server shows."""
    key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
    (tmp_path / "eab").write_text(key + "\n")
    (tmp_path / "www").mkdir()
    node = server(
        tmp_path,
        "http-01",
        f'eab_kid = "kid-1"\neab_key_file = "{tmp_path / "eab"}"\nwebroot = "{tmp_path / "www"}"',
    )
    web = WebServer(tmp_path / "www")
    started.append(web)
    pebble = Pebble(tmp_path / "pebble", http_port=web.port, accounts={"kid-1": key})
    begin(node, pebble, started)
    node.wait_event("certificate.issued", names=NAME)
    shown(node, roots=pebble.root())
    assert list((tmp_path / "www" / ".well-known" / "acme-challenge").iterdir()) == []


class WebServer:
    """The standard library's own, as a process."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        command = [sys.executable, "-u", "-m", "http.server", str(self.port), "-b", "127.0.0.1", "-d", str(folder)]
        self._process = Process(command, cwd=folder)
        self._process.wait_ready("Serving HTTP")

    def stop(self) -> None:
        self._process.stop()


def test_a_proof_that_fails_is_told_and_costs_nothing(tmp_path, started):
    """The staging directory finds it; the server goes on with what it has, and says why."""
    node = server(tmp_path, "http-01")
    pebble = Pebble(tmp_path / "pebble", http_port=1)  # where nobody is
    text = node.config.read_text()
    node.config.write_text(text.replace("terms_agreed", f'staging = "{pebble.directory}?staging"\nterms_agreed', 1))
    begin(node, pebble, started)
    failed = node.wait_event("certificate.failed", names=NAME)
    assert "at the staging directory" in failed["reason"] and "cannot connect" in failed["reason"]
    assert "cannot connect" in node.ctl("status").stdout
    done = node.ctl("certificate", "renew", check=False)
    assert done.returncode == 1 and "cannot connect" in done.stderr
    assert report(node)["failures"] == 2
    assert shown(node).issuer == shown(node).subject
    assert "Traceback" not in "\n".join(node.process.lines)


def test_an_authority_that_forgets_its_accounts(tmp_path, started):
    node = server(tmp_path, "http-01")
    pebble = Pebble(tmp_path / "pebble", http_port=node.ports["http"])
    begin(node, pebble, started)
    node.wait_event("certificate.issued", names=NAME)
    before = shown(node).serial_number
    pebble.stop_authority()
    done = node.ctl("certificate", "renew", "--force", check=False)
    assert done.returncode == 1 and "cannot be reached" in done.stderr
    assert shown(node).serial_number == before
    pebble.start()
    node.ctl("certificate", "renew", "--force")
    shown(node, roots=pebble.root())
