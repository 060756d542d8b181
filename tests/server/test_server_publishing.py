"""What a configuration says that is to be published."""

from pathlib import Path

from mailnode.config.loader import read
from mailnode.server.publishing import published


def config(*listeners, **sections):
    entries = [dict(zip(("protocol", "endpoint", "tls"), one, strict=False)) for one in listeners]
    tls = {"certificate": "c", "key": "k"}
    return read(
        {"server": {"hostname": "mail.example.org", "data": "/d"}, "tls": tls, "listener": entries} | sections,
        Path("/"),
    )


def told(*listeners, **sections):
    return published(config(*listeners, **sections), ())


def test_services_are_what_others_reach_with_tls():
    assert told(
        listener=[
            {"protocol": "submission", "endpoint": "tcp:465", "tls": "implicit"},
            {"protocol": "submission", "endpoint": "tcp:2587:interface=127.0.0.1", "tls": "starttls"},
            {"protocol": "imap", "endpoint": "systemd:domain=INET6:name=imaps", "tls": "implicit"},
            {"protocol": "imap", "endpoint": "haproxy:tcp:1143", "tls": "starttls", "proxy_from": ["192.0.2.9/32"]},
            {"protocol": "pop3", "endpoint": "tcp:110"},
            {"protocol": "managesieve", "endpoint": "systemd:domain=INET6:name=sieve", "tls": "starttls"},
        ],
    ).services == {"submissions": 465, "imaps": 993, "imap": 1143, "sieve": 4190}


def test_addresses_are_those_of_the_configuration_and_public_ones_of_listeners():
    server = {"hostname": "mail.example.org", "data": "/d", "addresses": ["192.0.2.1"]}
    assert told(
        ("smtp", "tcp:25:interface=9.9.9.9"),
        ("smtp", "tcp:25:interface=10.0.0.1"),
        ("smtp", r"tcp6:25:interface=2620\:fe\:\:fe"),
        ("imap", "tcp:143:interface=9.9.9.10"),
        ("smtp", "tcp:26"),
        server=server,
    ).addresses == ("192.0.2.1", "9.9.9.9", "2620:fe::fe")


def test_the_policy_is_published_where_it_is_shown_or_asked_for():
    smtp = ("smtp", "tcp:25")
    assert told(smtp).sts is None
    assert told(smtp, ("http", "tcp:80", "none")).sts is None
    shown = told(smtp, ("http", "tcp:443", "implicit")).sts
    assert shown is not None and (shown.mode, shown.max_age) == ("testing", 604_800)
    asked = told(smtp, mta_sts={"mode": "enforce", "max_age": "30d"}).sts
    assert asked is not None and (asked.mode, asked.max_age) == ("enforce", 2_592_000)
    other = {"protocol": "http", "endpoint": "tcp:443", "tls": "implicit", "pages": ["health"]}
    assert told(listener=[other]).sts is None


def test_servers_that_mail_leaves_through():
    route = {"domains": ["a.example"], "host": "relay.example"}
    past = {"domains": ["b.example"], "host": ""}
    queue = {"smarthost": {"host": "smart.example"}, "route": [route, past]}
    assert told(("smtp", "tcp:25"), queue=queue).relays == ("relay.example", "smart.example")


def test_settings_are_published_where_they_are_shown_or_asked_for():
    assert told(("smtp", "tcp:25")).clients == 0
    assert told(("http", "tcp:80", "none")).clients == 0
    assert told(("http", "tcp:8443", "implicit")).clients == 8443
    assert told(("http", "systemd:domain=INET6:name=https", "implicit")).clients == 443
    assert told(("smtp", "tcp:25"), published={"clients": "yes"}).clients == 443
    assert told(("http", "tcp:443", "implicit"), published={"clients": "no"}).clients == 0
    other = {"protocol": "http", "endpoint": "tcp:443", "tls": "implicit", "pages": ["mta-sts"]}
    assert told(listener=[other]).clients == 0
