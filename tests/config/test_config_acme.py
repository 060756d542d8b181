"""``[acme]``: what is wrong between its keys, what a check warns of, and what those are given who get certificates."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailnode.config.acme import LETS_ENCRYPT, LETS_ENCRYPT_STAGING
from mailnode.config.checkup import warnings
from mailnode.config.loader import read
from mailnode.errors import ConfigurationError
from mailnode.values.acme import ExternalAccount
from mailnode.values.dns_update import TsigKey, UpdateServer

HOST = "mx.example.org"


def config(*listeners, base=Path("/"), **acme):
    listener = list(listeners) or [{"protocol": "imap", "endpoint": "tcp:993", "tls": "implicit"}]
    server = {"hostname": HOST, "data": "/d"}
    return read({"server": server, "listener": listener, "acme": {"terms_agreed": True, **acme}}, base)


def test_no_tls_section_is_needed():
    settings = config().acme.settings(HOST)
    assert (settings.directory, settings.staging, settings.names) == (LETS_ENCRYPT, LETS_ENCRYPT_STAGING, (HOST,))


def test_another_authority_has_no_staging_directory_unless_it_is_said():
    mine = "https://ca.example/directory"
    assert config(directory=mine).acme.settings(HOST).staging == ""
    assert (
        config(directory=mine, staging="https://ca.example/test").acme.settings(HOST).staging
        == "https://ca.example/test"
    )
    assert config(staging="").acme.settings(HOST).staging == ""


@pytest.mark.parametrize(
    ("acme", "words"),
    [
        ({"terms_agreed": False}, "acme.terms_agreed: should be true"),
        ({"eab_kid": "1"}, "belong together"),
        ({"eab_key_file": "/k"}, "belong together"),
        ({"webroot": "/www", "challenge": "tls-alpn-01"}, "acme.webroot: only with"),
        ({"names": ["*.example.org"]}, "a wildcard needs the challenge dns-01"),
        ({"challenge": "dns-01"}, f"acme.zone: {HOST} is in none of them"),
        ({"directory": "http://ca.example/directory"}, "begins with https://"),
        ({"names": ["*.*.example.org"]}, "acme.names[0]"),
        ({"keys": []}, "acme.keys"),
        ({"keys": ["dsa"]}, "acme.keys[0]"),
        ({"zone": [{"name": "example.org", "server": "192.0.2.1", "key_name": "k"}]}, "acme.zone[0].key_name"),
        ({"zone": [{"name": "example.org"}]}, "acme.zone[0].server: is required"),
    ],
)
def test_what_is_wrong(acme, words):
    with pytest.raises(ConfigurationError) as caught:
        config(**acme)
    assert words in "\n".join(caught.value.mistakes)


def test_what_those_are_given_who_get_certificates(tmp_path):
    (tmp_path / "eab").write_text("c2VjcmV0\n")
    (tmp_path / "tsig").write_text("a2V5  \nmore")
    zone = {"name": "Example.org", "server": "ns.example.org", "port": 5353, "key_name": "k", "key_file": "tsig"}
    settings = config(
        base=tmp_path,
        eab_kid="1",
        eab_key_file="eab",
        ca_file="ca.pem",
        webroot="www",
        names=["IMAP.example.org", HOST, "bücher.example"],
        keys=["rsa", "ecdsa"],
        zone=[zone],
    ).acme.settings(HOST)
    assert settings.account == ExternalAccount("1", "c2VjcmV0") and "c2VjcmV0" not in repr(settings)
    assert settings.names == (HOST, "imap.example.org", "xn--bcher-kva.example") and settings.kinds == ("rsa", "ecdsa")
    assert (settings.authorities, settings.webroot) == (str(tmp_path / "ca.pem"), str(tmp_path / "www"))
    assert settings.zones == {"example.org": UpdateServer("ns.example.org", TsigKey("k", "a2V5"), 5353)}
    assert "a2V5" not in repr(settings)


PAGE = {"protocol": "http", "endpoint": "tcp:80", "pages": []}
IMAPS = {"protocol": "imap", "endpoint": "tcp:993", "tls": "implicit"}


@pytest.mark.parametrize(
    ("listeners", "acme", "warned"),
    [
        ([IMAPS], {}, True),
        ([PAGE], {}, False),
        ([{**PAGE, "endpoint": "tcp:8080"}], {}, True),
        ([{**PAGE, "endpoint": "systemd:domain=INET6:name=http"}], {}, False),
        ([IMAPS], {"webroot": "/www"}, False),
        ([IMAPS], {"challenge": "tls-alpn-01"}, True),
        ([{**IMAPS, "endpoint": "tcp:443"}], {"challenge": "tls-alpn-01"}, False),
        ([IMAPS], {"challenge": "dns-01", "zone": [{"name": "example.org", "server": "192.0.2.1"}]}, False),
    ],
)
def test_a_way_that_no_authority_finds_is_warned_of(listeners, acme, warned):
    assert any("acme.challenge" in one for one in warnings(config(*listeners, **acme))) is warned
