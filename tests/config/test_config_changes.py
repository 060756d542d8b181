"""Which keys differ between two configurations."""

from pathlib import Path

from mailnode.config.changes import changed_keys
from mailnode.config.loader import read

BASE = {
    "server": {"hostname": "mail.example.org", "data": "/d"},
    "listener": [{"protocol": "smtp", "endpoint": "tcp:25"}, {"protocol": "imap", "endpoint": "tcp:143"}],
}


def config(**sections):
    return read(BASE | sections, Path("/"))


def test_nothing():
    assert changed_keys(config(), config()) == []


def test_keys_of_sections():
    other = config(server={**BASE["server"], "log": "json"}, queue={"retry": [1.0], "port": 26})
    assert changed_keys(config(), other) == ["server.log", "queue.retry", "queue.port"]


def test_entries_of_lists_changed_added_and_removed():
    one, two = BASE["listener"]
    three = {"protocol": "pop3", "endpoint": "tcp:110"}
    assert changed_keys(config(), config(listener=[one, {**two, "endpoint": "tcp:144"}])) == ["listener[1]"]
    assert changed_keys(config(), config(listener=[one, two, three])) == ["listener[2]"]
    assert changed_keys(config(), config(listener=[one])) == ["listener[1]"]


def test_a_section_that_comes_or_goes():
    tls = {"certificate": "c", "key": "k"}
    assert changed_keys(config(), config(tls=tls)) == ["tls"]
    assert changed_keys(config(tls=tls), config()) == ["tls"]
    assert changed_keys(config(tls=tls), config(tls={**tls, "key": "other"})) == ["tls.key"]
