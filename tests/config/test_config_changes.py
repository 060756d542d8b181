"""Which keys differ between two configurations, and which of them can be taken over live."""

from pathlib import Path
from typing import get_args

import pytest

from mailnode.config.changes import changed_keys, is_live, live
from mailnode.config.loader import read
from mailnode.config.schema import Config

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


# For each key of the schema another value than its default, or than that of BASE.
LIVE_AUTH = ("no_throttle_for", "password_min_length", "password_refuse_common")
LIVE_KEYS = (("server", "grace"), ("queue", "arc"), *(("auth", key) for key in LIVE_AUTH))
OTHER = {
    "server": {
        "hostname": "other.example.org",
        "data": Path("/other"),
        "addresses": ["192.0.2.1"],
        "partitions": 8,
        "workers": 2,
        "log": "json",
        "grace": 7.0,
    },
    "store": {"url": "postgresql://a@/b", "blobs": "file:other", "inline_limit": 1},
    "tls": {
        "certificate": Path("/other"),
        "key": Path("/other"),
        "name": [{"certificate": Path("/n"), "key": Path("/n")}],
    },
    "dns": {"servers": ["127.0.0.2"], "validates": "no"},
    "search": {"index": False},
    "queue": {
        "retry": [7.0],
        "lifetime": 7.0,
        "lifetime_null": 7.0,
        "delay_notice": 7.0,
        "concurrency": 7,
        "concurrency_total": 7,
        "port": 7,
        "outgoing": False,
        "dane": False,
        "rewrite_senders": False,
        "strict_8bit": True,
        "arc": True,
        "mta_sts": False,
        "smarthost": {"host": "h.example"},
        "route": [{"domains": ["a.example"]}],
    },
    "auth": {
        "checkers": ["memory:a:b"],
        "no_throttle_for": ["192.0.2.0/24"],
        "password_refuse_common": False,
        "scram": [],
        "scram_bound": True,
        "client_ca": Path("/other"),
        "client_name": "common-name",
        "oauth": {"issuer": "i", "audience": ["a"], "keys_url": "https://i.example/keys"},
    },
    "submission": {"hold_loud": True},
    "imap": {"hide": ["IDLE"], "client": [{"name": "X", "hide": ["MOVE"]}], "message_limit": 1000, "save_limit": 1000},
    "mta_sts": {"mode": "enforce"},
    "dkim": {"enabled": False, "activate": "by hand"},
    "published": {"dmarc": "reject", "reports_to": "a@example.org", "clients": "no"},
    "doctor": {
        "daily": False,
        "tell": "a@example.org",
        "mail_servers": ["b.example"],
        "block_lists": [],
        "time_servers": [],
        "backups": Path("/b"),
        "unit": "other.service",
    },
    "sieve": {"enabled": False, "before": [Path("/b")], "after": [Path("/a")], "global_scripts": Path("/g")},
    "acme": {
        "directory": "https://other.example/directory",
        "staging": "",
        "contact": "other@example.org",
        "names": ["other.example.org"],
        "challenge": "tls-alpn-01",
        "webroot": Path("/other"),
        "keys": ["rsa"],
        "profile": "shortlived",
        "eab_kid": "1",
        "eab_key_file": Path("/other"),
        "ca_file": Path("/other"),
        "zone": [{"name": "example.org", "server": "192.0.2.1"}],
    },
    "tls_reports": {"sender": "b@example.org", "organization": "B", "contact": "c@example.org"},
    "dmarc_reports": {"sender": "b@example.org", "organization": "B", "contact": "c@example.org"},
    "judgement": {"checks": ["spf"], "rejects": False},
    "listener": [{"protocol": "smtp", "endpoint": "tcp:26"}],
    "domain": [{"name": "other.example"}],
    "policy": [{"name": "other"}],
}
WITH_TLS = {
    "tls": {"certificate": Path("/c"), "key": Path("/k")},
    "acme": {"terms_agreed": True, "eab_kid": "0", "eab_key_file": Path("/k")},
    "mta_sts": {},
    "tls_reports": {"sender": "a@example.org", "organization": "A"},
    "dmarc_reports": {"sender": "a@example.org", "organization": "A"},
}


def every_key():
    """Each (section, key) of the schema; for a list of sections the key is None."""
    for name, field in Config.model_fields.items():
        if name in ("listener", "domain", "policy"):
            yield name, None
        else:
            model = next(
                kind for kind in (field.annotation, *get_args(field.annotation)) if isinstance(kind, type(Config))
            )
            # Terms that nobody agrees to are a mistake: the key has one value.
            yield from ((name, key) for key in model.model_fields if key != "terms_agreed")


def changed(section, key):
    """A configuration with TLS, and one in which one key has another value."""
    before = config(**WITH_TLS)
    if key is None:
        return before, config(**WITH_TLS, **{section: OTHER[section]})
    old = getattr(getattr(before, section), key)
    value = OTHER[section][key] if section in OTHER and key in OTHER[section] else old + 1
    given = {**BASE, **WITH_TLS}.get(section, {})
    return before, config(**{**WITH_TLS, section: {**given, key: value}})


@pytest.mark.parametrize(("section", "key"), list(every_key()), ids=str)
def test_every_key_is_taken_over_live_or_needs_a_restart(section, key):
    before, wanted = changed(section, key)
    differing = changed_keys(before, wanted)
    assert differing and all(name.startswith(section) for name in differing)
    taken = live(before, wanted)
    if (
        section in ("limits", "submission", "imap", "domain", "tls", "dkim", "mta_sts", "published", "doctor", "sieve")
        or (section, key) in LIVE_KEYS
    ):
        assert changed_keys(before, taken) == differing and changed_keys(taken, wanted) == []
        assert is_live(f"{section}.{key}")
    else:
        assert taken == before and changed_keys(taken, wanted) == differing
        assert not is_live(f"{section}.{key}")


def test_tls_that_comes_or_goes_needs_a_restart():
    without, given = config(), config(tls=WITH_TLS["tls"])
    assert live(without, given) == without and live(given, without) == given
