"""A server that ends while it gets a certificate, by a signal or without a word, and two that get the same one at once."""

from __future__ import annotations

import signal
import socket
import sys
import time
from collections.abc import Iterator

import pytest
from acme_client import NAME, Later, begin, report, server, shown
from acme_servers import Pebble
from servers import Process, wait_for

from tests.free_ports import free_port


@pytest.fixture
def started() -> Iterator[list]:
    """What a test starts is ended behind it, the last first."""
    running: list = []
    yield running
    for one in reversed(running):
        one.stop()


# What pebble says when a request of each step has come.
STEPS = ["/nonce-plz", "/sign-me-up", "/order-plz", "/authZ/", "/chalZ/", "/finalize-order/", "/certZ/"]


def test_killed_at_each_step_it_goes_on_at_the_next_start(tmp_path, started):
    node = server(tmp_path, "http-01")
    pebble = Pebble(tmp_path / "pebble", http_port=node.ports["http"], bad_nonces=0)
    begin(node, pebble, started)
    reached: set[str] = set()
    while True:
        before = len(pebble.lines) if reached else 0

        def new_step(before=before):
            found = [step for line in pebble.lines[before:] for step in STEPS if step in line and step not in reached]
            # Who is killed between the certificate and the line about it says it no more.
            return found[:1] or list((node.data / "acme").glob("ecdsa.pem"))

        [step, *_] = wait_for(
            new_step, "another step, or the end", 90
        )  # a look that failed is followed by one in a minute
        if step not in STEPS:
            break
        reached.add(step)
        node.kill()
        node.start()
    wait_for(lambda: report(node)["certificates"][0]["names"] == [NAME], "a certificate")
    shown(node, roots=pebble.root())
    assert len(reached) >= 3
    assert sum("Issued certificate" in line for line in pebble.lines) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_an_order_that_waits(tmp_path, started, number):
    """The authority asks where nobody is, and takes its time: the server does not."""
    node = server(tmp_path, "http-01")
    pebble = Pebble(tmp_path / "pebble", http_port=node.ports["http"], sleep=15)
    begin(node, pebble, started)
    wait_for(lambda: report(node)["under_way"] and any("/chalZ/" in line for line in pebble.lines), "an order")
    assert node.process.stop(number, 20) == 0
    assert "Traceback" not in "\n".join(node.process.lines)
    node.start()
    shown(node)


def test_an_authority_that_hangs_holds_nothing_up(tmp_path, started):
    """It takes the connection and says nothing: mail is served, and the server ends when it is told to."""
    silent = socket.create_server(("127.0.0.1", 0))
    node = server(tmp_path, "http-01")
    text = node.config.read_text().replace(Later.directory, f"https://127.0.0.1:{silent.getsockname()[1]}/directory")
    node.config.write_text(text.replace(f'ca_file = "{Later.ca}"\n', ""))
    started.append(node)
    node.start()
    with silent, silent.accept()[0]:
        shown(node)
        assert report(node)["under_way"]
        began = time.monotonic()
        assert node.process.stop() == 0
        assert time.monotonic() - began < 20


def test_two_servers_get_the_same_names_through_one_web_server(tmp_path, started):
    root = tmp_path / "www"
    root.mkdir()
    port = free_port()
    web = Process([sys.executable, "-u", "-m", "http.server", str(port), "-b", "127.0.0.1", "-d", str(root)], cwd=root)
    started.append(web)
    web.wait_ready("Serving HTTP")
    pebble = Pebble(tmp_path / "pebble", http_port=port)
    started.append(pebble)
    nodes = [server(tmp_path / name, "http-01", f'webroot = "{root}"') for name in ("one", "two")]
    for node in nodes:
        text = node.config.read_text().replace(Later.directory, pebble.directory).replace(str(Later.ca), str(pebble.ca))
        node.config.write_text(text)
        started.append(node)
        node.start()
    for node in nodes:
        node.wait_event("certificate.issued", names=NAME)
    serials = {shown(node, roots=pebble.root()).serial_number for node in nodes}
    assert len(serials) == 2
    assert list((root / ".well-known" / "acme-challenge").iterdir()) == []
