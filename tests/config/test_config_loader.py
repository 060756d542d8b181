"""Every mistake at once, each with its key."""

from pathlib import Path
from typing import get_args

import pytest

from mailnode.config.demo import demo_config, demo_listeners
from mailnode.config.endpoints import overlapping, reached_locally
from mailnode.config.fields import Called, split_address
from mailnode.config.loader import Checks, load, read
from mailnode.config.schema import Config
from mailnode.errors import ConfigurationError

GOOD = {
    "server": {"hostname": "mail.example.org", "data": "data"},
    "listener": [{"protocol": "smtp", "endpoint": "tcp:25"}],
}


def mistakes(table, **options):
    with pytest.raises(ConfigurationError) as caught:
        read(table, Path("/etc"), **options)
    return caught.value.mistakes


def with_listener(**keys):
    return GOOD | {"listener": [{"protocol": "smtp", "endpoint": "tcp:25"} | keys]}


def test_the_smallest_configuration_has_the_defaults():
    config = read(GOOD, Path("/etc/mailnode"))
    assert config.server.data == Path("/etc/mailnode/data")
    assert config.store.url == "sqlite:" and config.store.blobs == "file:blobs"
    assert config.limits.recipients == 1000
    assert config.listener[0].relay_from == [] and config.listener[0].tls == "none"
    assert config.tls is None and config.domain == [] and config.dns.servers == []
    assert [(client.name, client.hide) for client in config.imap.client] == [("Microsoft Office 365", ["UIDONLY"])]
    assert read(GOOD | {"imap": {"hide": ["idle"]}}, Path("/etc")).imap.hide == ["IDLE"]
    with pytest.raises(ConfigurationError, match="not 0, and below 1000"):
        read(GOOD | {"imap": {"message_limit": 999}}, Path("/etc"))


def test_a_policy_that_is_given_options_stays_in_its_place():
    entries = [{"name": "late"}, {"name": "b", "options": {"x": 1}}, {"name": "b"}]
    config = read(GOOD | {"judgement": {"checks": ["a", "b", "c"]}, "policy": entries}, Path("/etc"))
    keys = ["judgement.checks[0]", "policy[1]", "judgement.checks[2]", "policy[0]", "policy[2]"]
    assert [key for key, _ in config.policies()] == keys
    assert [entry.options for _, entry in config.policies()] == [{}, {"x": 1}, {}, {}, {}]


def test_a_data_directory_given_by_hand_wins():
    assert read(GOOD, Path("/etc"), data=Path("/elsewhere")).server.data == Path("/elsewhere")


def test_every_mistake_of_every_section_is_reported_at_once_with_its_key():
    table = {
        "server": {"hostname": "x", "workers": 0, "log": "xml", "zz": 1},
        "listener": [
            {"protocol": "smtp", "endpoint": "tcp:foo"},
            {"protocol": "imap", "endpoint": "tcp:25", "tls": "implicit", "relay_from": ["10.0.0.0/8"]},
            {"endpoint": "bla"},
            {"protocol": "lmtp", "endpoint": "unix:/x", "no_policy_for": ["10.0.0.1/8", 3]},
            3,
        ],
        "domain": [{"name": "a.example"}, {"name": "A.example"}, {"name": "-"}],
        "queue": {"retry": [], "smarthost": {"host": "x.y", "username": "k"}},
        "limits": {"recipients": "x", "pop3_timeout": 3},
        "policy": {"name": "x"},
        "other": {},
    }
    keys = {mistake.split(": ")[0] for mistake in mistakes(table)}
    assert keys == {
        "server.hostname",
        "server.workers",
        "server.data",
        "server.log",
        "server.zz",
        "listener[0].endpoint",
        "listener[1].relay_from",
        "listener[2].endpoint",
        "listener[2].protocol",
        "listener[3].no_policy_for[0]",
        "listener[3].no_policy_for[1]",
        "listener[4]",
        "domain[1].name",
        "domain[2].name",
        "queue.retry",
        "limits.recipients",
        "limits.pop3_timeout",
        "policy",
        "other",
        "tls.certificate",
    }


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"listener": GOOD["listener"]}, ["server.hostname: is required", "server.data: is required"]),
        ({"server": GOOD["server"]}, ["listener: at least one [[listener]] is needed"]),
        (GOOD | {"server": 3}, ["server: should be a section of keys"]),
        (GOOD | {"listener": {}}, None),
        (GOOD | {"server": {**GOOD["server"], "workers": 17}}, None),
        (GOOD | {"store": {"url": "mysql://x"}}, None),
        (GOOD | {"store": {"blobs": "s3:bucket"}}, None),
        (GOOD | {"dns": {"servers": ["resolver.example"]}}, None),
        (GOOD | {"dns": {"servers": ["127.0.0.1:0"]}}, None),
        (with_listener(endpoint="tcp:65536"), ["listener[0].endpoint: the port should be a number from 0 to 65535"]),
        (with_listener(protocol="http", tls="starttls") | {"tls": {"certificate": "c", "key": "k"}}, None),
        (with_listener(protocol="imap", xclient_from=["127.0.0.0/8"]), None),
        (with_listener(protocol="submission", relay_from=["127.0.0.0/8"]), None),
        (with_listener(protocol="submission", strict_sync=True), None),
        (with_listener(protocol="imap", plain_login=True), None),
        (with_listener(protocol="imap", plain_login=True, endpoint="tcp:143:interface=192.0.2.1"), None),
        (with_listener(protocol="smtp", plain_login=True, endpoint="tcp:25:interface=127.0.0.1"), None),
        (
            with_listener(protocol="smtp", pages=["mta-sts"]),
            ["listener[0].pages: only for protocol http, not smtp"],
        ),
        (with_listener(protocol="http", pages=["console"]), None),
        (
            GOOD | {"published": {"reports_to": "postmaster"}},
            ["published.reports_to: not a mail address"],
        ),
        (GOOD | {"published": {"reports_to": "a@[192.0.2.1]"}}, None),
        (GOOD | {"mta_sts": {"mode": "enforced"}}, None),
        (GOOD | {"tls_reports": {"sender": "a@b.c"}}, ["tls_reports.organization: is required"]),
        (
            GOOD | {"tls_reports": {"sender": "é@b.c", "organization": "B"}},
            ["tls_reports.sender: should be a mail address in ASCII"],
        ),
        (GOOD | {"tls_reports": {"sender": "", "organization": "B"}}, None),
        (GOOD | {"tls_reports": {"sender": "b.c", "organization": "B"}}, ["tls_reports.sender: not a mail address"]),
        (
            GOOD | {"tls_reports": {"sender": "a@b.c", "organization": "B", "contact": "a@d.e"}},
            ["tls_reports.contact: should be in the domain of sender (RFC 8460 5.3)"],
        ),
        (GOOD | {"mta_sts": {"max_age": "2y"}}, None),
        (with_listener(tls="maybe"), ["listener[0].tls: should be 'none', 'starttls' or 'implicit', not 'maybe'"]),
        (GOOD | {"queue": {"smarthost": {"host": "x.y", "username": "a"}}}, None),
        (GOOD | {"queue": {"smarthost": {"host": "x.y", "username": "a", "password_file": "/nowhere"}}}, None),
        (
            GOOD | {"queue": {"smarthost": {"host": "x.y", "username": "a", "password_file": "x", "tls": "none"}}},
            None,
        ),
        (GOOD | {"queue": {"route": [{"domains": []}]}}, None),
        (GOOD | {"queue": {"route": [{"domains": ["*.x.y"]}]}}, ["queue.route[0].domains[0]: not a domain name"]),
        (
            GOOD
            | {"queue": {"smarthost": {"host": "x.y"}, "route": [{"domains": ["a.b"], "host": "x.y", "tls": "none"}]}},
            ["queue.smarthost.host: the same server as queue.route[0], with another login, tls, source or limit"],
        ),
        (
            GOOD | {"queue": {"route": [{"host": "x.y"}]}},
            ["queue.route[0].domains: is required, or senders, or accounts"],
        ),
        (
            GOOD | {"queue": {"route": [{"domains": ["a.b"], "source": ["192.0.2.1"]}]}},
            [
                "queue.route[0].name: is required without a host where there is a source, a proxy, a limit or a condition"
            ],
        ),
        (
            GOOD | {"queue": {"route": [{"name": "n", "senders": ["a.b"], "source": ["192.0.2.1", "192.0.2.2"]}]}},
            ["queue.route[0].source: two addresses of one family"],
        ),
        (
            GOOD
            | {
                "queue": {
                    "route": [
                        {"name": "n", "senders": ["a.b"], "source": ["192.0.2.1"]},
                        {"name": "N", "senders": ["b.b"], "source": ["192.0.2.2"]},
                    ]
                }
            },
            ["queue.route[1].name: the same name as queue.route[0], with another login, tls, source or limit"],
        ),
        (GOOD | {"queue": {"route": [{"name": "a.b", "domains": ["a.b"]}]}}, None),
        (GOOD | {"queue": {"route": [{"host": "x.y", "when_reply": "a("}]}}, None),
        (
            GOOD | {"queue": {"route": [{"after_attempts": 3}]}},
            [
                "queue.route[0].name: is required without a host where there is a source, a proxy, a limit or a condition"
            ],
        ),
        (
            GOOD | {"queue": {"smarthost": {"host": "x.y", "protocol": "lmtp", "port": 25}}},
            ["queue.smarthost.port: LMTP is never spoken on port 25; 24 is usual"],
        ),
        (
            GOOD | {"queue": {"route": [{"domains": ["a.b"], "socket": "/x"}]}},
            ['queue.route[0].protocol: should be "lmtp" with a socket'],
        ),
        (
            GOOD | {"queue": {"route": [{"domains": ["a.b"], "socket": "/x", "protocol": "lmtp", "tls": "none"}]}},
            ["queue.route[0].tls: not with a socket"],
        ),
        (
            GOOD | {"queue": {"smarthost": {"host": "x.y", "proxy": "proxy.example"}}},
            ["queue.smarthost.proxy: should be an IP address, with :port where it is not the usual one"],
        ),
        (
            GOOD | {"queue": {"smarthost": {"host": "x.y", "proxy": "10.0.0.1", "proxy_username": "a"}}},
            ["queue.smarthost.proxy_username: proxy_username and proxy_password_file belong together"],
        ),
        (
            GOOD | {"queue": {"smarthost": {"host": "x.y", "proxy": "10.0.0.1", "source": ["10.0.0.2"]}}},
            ["queue.smarthost.source: not with a proxy, which connects from its own address"],
        ),
        (
            GOOD | {"queue": {"route": [{"domains": ["a.b"], "proxy": "10.0.0.1:9050"}]}},
            [
                "queue.route[0].name: is required without a host where there is a source, a proxy, a limit or a condition"
            ],
        ),
        (GOOD | {"queue": {"route": [{"senders": ["a b@c.d"]}]}}, ["queue.route[0].senders[0]: not an address"]),
        (
            GOOD | {"queue": {"route": [{"domains": ["a.b"]}, {"domains": ["*"], "host": "x.y", "username": "a"}]}},
            ["queue.route[1].username: username and password_file belong together"],
        ),
        (with_listener(endpoint="tcp:-1"), ["listener[0].endpoint: the port should be a number from 0 to 65535"]),
        (with_listener(endpoint="tcp:100000"), ["listener[0].endpoint: the port should be a number from 0 to 65535"]),
        (GOOD | {"server": {**GOOD["server"], "hostname": "192.0.2.1"}}, None),
        (GOOD | {"server": {**GOOD["server"], "hostname": "[192.0.2.1]"}}, None),
        (GOOD | {"domain": [{"name": "192.0.2.1"}]}, ["domain[0].name: not a domain name, but an IP address"]),
        (
            GOOD | {"domain": [{"name": "localhost"}]},
            ["domain[0].name: not a domain of its own, but what every machine calls itself"],
        ),
        (GOOD | {"domain": [{"name": "[192.0.2.1]"}]}, ["domain[0].name: not a domain name, but an IP address"]),
        (GOOD | {"limits": {"recipients": True}}, None),
        (GOOD | {"imap": {"hide": ["IMAP4rev1"]}}, ["imap.hide[0]: IMAP4REV1 cannot be hidden"]),
        (
            GOOD | {"imap": {"client": [{"name": "x", "hide": ["A B"]}]}},
            ["imap.client[0].hide[0]: not the name of a capability"],
        ),
        (GOOD | {"imap": {"client": [{"name": "x", "hide": []}]}}, None),
        (GOOD | {"limits": {"message_size": 1.5}}, None),
    ],
)
def test_a_mistake_is_one_line_with_its_key(table, expected):
    found = mistakes(table)
    assert expected is None or sorted(found) == sorted(expected)
    assert len(found) == len(expected or [1])
    assert all("\n" not in line and ": " in line for line in found)


@pytest.mark.parametrize("protocol", ["imap", "pop3", "submission", "managesieve"])
def test_logins_without_tls_where_only_this_machine_connects(protocol):
    local = read(with_listener(protocol=protocol, plain_login=True, endpoint="tcp:143:interface=127.0.0.1"), Path("/"))
    assert local.listener[0].plain_login
    assert not read(with_listener(protocol=protocol, endpoint="tcp:143"), Path("/")).listener[0].plain_login


@pytest.mark.parametrize(
    ("endpoint", "answer"),
    [
        ("tcp:143:interface=127.0.0.1", True),
        ("tcp:port=143:interface=127.8.8.8:backlog=5", True),
        ("haproxy:tcp:143:interface=127.0.0.1", True),
        ("tcp6:143:interface=\\:\\:1", True),
        ("unix:/run/imap", True),
        ("tcp:143", False),
        ("tcp6:143", False),
        ("tcp:143:interface=", False),
        ("tcp:143:interface=0.0.0.0", False),
        ("tcp:143:interface=192.0.2.1", False),
        ("tcp6:143:interface=\\:\\:", False),
        ("tcp6:143:interface=\\:\\:ffff\\:192.0.2.1", False),
        ("tcp:143:interface=127.0.0.1:interface=0.0.0.0", False),
        ("tcp:143:interface=localhost", False),
        ("tcp:143:interface=127.0.0.1.example", False),
        ("systemd:domain=INET:name=imap", False),
    ],
)
def test_reached_locally(endpoint, answer):
    assert reached_locally(endpoint) is answer


@pytest.mark.parametrize(
    ("endpoint", "proxy_from", "wrong"),
    [
        ("haproxy:tcp:25", ["127.0.0.1"], ""),
        ("haproxy:unix:/run/smtp", [], ""),
        ("tcp:25", [], ""),
        ("haproxy:tcp:25", [], "needed with"),
        ("tcp:25", ["127.0.0.1"], "only with"),
    ],
)
def test_who_may_write_a_proxy_header_is_named(endpoint, proxy_from, wrong):
    table = with_listener(endpoint=endpoint, proxy_from=proxy_from)
    if not wrong:
        assert read(table, Path("/")).listener[0].endpoint == endpoint
        return
    [mistake] = mistakes(table)
    assert mistake.startswith(f"listener[0].proxy_from: {wrong}")


def test_the_same_port_twice():
    table = GOOD | {
        "listener": [{"protocol": "smtp", "endpoint": "tcp:25"}, {"protocol": "imap", "endpoint": "tcp6:25"}]
    }
    assert mistakes(table) == ["listener[1].endpoint: the same port as listener[0]"]


@pytest.mark.parametrize(
    ("one", "other", "answer"),
    [
        ("tcp:25", "tcp:25", True),
        ("tcp:25", "tcp:port=25", True),
        ("tcp:25", "haproxy:tcp:25", True),
        ("tcp:25", "tcp:26", False),
        ("tcp:0", "tcp:0", False),
        ("tcp:25:interface=127.0.0.1", "tcp:25", True),
        ("tcp:25:interface=127.0.0.1", "tcp:25:interface=127.0.0.2", False),
        ("tcp:25:interface=127.0.0.1", "tcp6:25", True),
        ("tcp:25:interface=127.0.0.1", "tcp6:25:interface=\\:\\:1", False),
        ("tcp:25", "tcp6:25:interface=\\:\\:1", False),
        ("unix:/a", "unix:/a", True),
        ("unix:/a", "unix:/b", False),
    ],
)
def test_overlapping(one, other, answer):
    assert overlapping(one, other) is answer
    assert overlapping(other, one) is answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("127.0.0.1", ("127.0.0.1", 53)),
        ("127.0.0.1:5353", ("127.0.0.1", 5353)),
        ("::1", ("::1", 53)),
        ("[::1]:5353", ("::1", 5353)),
    ],
)
def test_addresses_with_ports(text, answer):
    assert split_address(text, 53) == answer


@pytest.mark.parametrize("text", ["", "[::1", "[::1]5", "1.2.3.4:", "1.2.3.4:+5", "1.2.3.4:٥", "1.2.3.4:99999", "a:5"])
def test_no_addresses(text):
    with pytest.raises(ValueError):
        split_address(text, 53)


def test_a_file_written_on_windows_is_read(tmp_path):
    path = tmp_path / "windows.toml"
    lines = (
        "[server]",
        'hostname = "mail.example.org"',
        'data = "d"',
        "[[listener]]",
        'protocol = "smtp"',
        'endpoint = "tcp:0"',
    )
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    assert load(path).server.hostname == "mail.example.org"


def test_toml_mistakes_name_the_line(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text('[server]\nhostname = "x\n')
    with pytest.raises(ConfigurationError, match="line 2"):
        load(path)
    path.write_bytes(b"[server]\n\n# \xff\n")
    with pytest.raises(ConfigurationError, match="line 3: not UTF-8"):
        load(path)
    path.write_text("x = " + "[" * 100_000)
    with pytest.raises(ConfigurationError, match="not TOML"):
        load(path)
    path.write_text("#" * 1_100_000)
    with pytest.raises(ConfigurationError, match="larger"):
        load(path)
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        load(tmp_path / "absent.toml")


def test_certificates_are_looked_at_where_a_check_is_given():
    table = with_listener(tls="starttls") | {
        "tls": {"certificate": "c.pem", "key": "/k.pem", "name": [{"certificate": "d", "key": "e"}]}
    }
    seen = []

    def check(certificate, key):
        seen.append((str(certificate), str(key)))
        return [("key", "does not fit")]

    assert mistakes(table, checks=Checks(pair=check)) == ["tls.key: does not fit", "tls.name[0].key: does not fit"]
    assert seen == [("/etc/c.pem", "/k.pem"), ("/etc/d", "/etc/e")]


def test_authorities_of_clients_are_looked_at():
    table = GOOD | {"auth": {"client_ca": "ca.pem"}}
    check = Checks(authorities=lambda path: [f"{path}: holds nothing"])
    assert mistakes(table, checks=check) == ["auth.client_ca: /etc/ca.pem: holds nothing"]


OAUTH = {"issuer": "https://i.example", "audience": ["mail"]}
WAYS = "auth.oauth: one of keys_url, keys_file and introspection_url is needed, and one alone"
ASKING = "auth.oauth: introspection_url needs client_id and client_secret_file, and nothing else does"
SECRET = {"client_id": "us", "client_secret_file": "secret"}


@pytest.mark.parametrize(
    ("keys", "wrong"),
    [
        ({}, [WAYS]),
        ({"keys_url": "https://i.example/k", "keys_file": "k"}, [WAYS]),
        ({"introspection_url": "https://i.example/i"}, [ASKING]),
        ({"introspection_url": "https://i.example/i", "client_id": "us"}, [ASKING]),
        ({"keys_file": "k", **SECRET}, [ASKING]),
        ({"keys_file": "k", "audience": []}, ["auth.oauth.audience"]),
        ({"keys_file": "k", "algorithms": ["HS256"]}, ["auth.oauth.algorithms[0]"]),
        ({"keys_file": "k", "algorithms": ["none"]}, ["auth.oauth.algorithms[0]"]),
        ({"keys_url": "http://i.example/k"}, ["auth.oauth.keys_url"]),
        ({"keys_url": "https:///k"}, ["auth.oauth.keys_url"]),
        ({"keys_url": "https://a:b@i.example/k"}, ["auth.oauth.keys_url"]),
        ({"keys_url": "https://i.example:99999/k"}, ["auth.oauth.keys_url"]),
        ({"keys_url": "https://i.example/k\r\nX: y"}, ["auth.oauth.keys_url"]),
    ],
)
def test_tokens_need_one_way_and_what_belongs_to_it(keys, wrong):
    found = mistakes(GOOD | {"auth": {"oauth": OAUTH | keys}})
    assert len(found) == len(wrong) and all(one.startswith(start) for one, start in zip(found, wrong, strict=True))


def test_files_of_tokens_are_taken_from_the_directory_of_the_file():
    oauth = OAUTH | {"introspection_url": "https://i.example:8443/i?a=b"} | SECRET
    config = read(GOOD | {"auth": {"oauth": oauth, "client_ca": "/ca.pem"}}, Path("/etc/mailnode"))
    assert config.auth.oauth.client_secret_file == Path("/etc/mailnode/secret")
    assert config.auth.client_ca == Path("/ca.pem")


def test_the_demonstration_listens_on_this_machine_alone_and_sends_nothing_out():
    config = demo_config(Path("/d"), 100)
    assert all(one.endpoint.endswith(":interface=127.0.0.1") for one in config.listener)
    assert [one.endpoint.split(":")[1] for one in config.listener] == [
        str(port + 100) for port in (2525, 2587, 2465, 2143, 2993, 2110, 2995, 2190, 2080)
    ]
    assert not config.queue.outgoing
    assert all(not one.relay_from for one in config.listener)
    assert demo_listeners(100)[2] == {"protocol": "submission", "port": 2565, "tls": "implicit"}


def quantities(kind):
    """Every key of the schema that the documentation calls so, with the section's other required keys."""
    for name, field in Config.model_fields.items():
        for model in (field.annotation, *get_args(field.annotation)):
            if isinstance(model, type(Config)):
                for key, inner in model.model_fields.items():
                    if any(isinstance(note, Called) and note.name == kind for note in inner.metadata):
                        yield name, key


@pytest.mark.parametrize(("section", "key"), list(quantities("octets")))
def test_every_size_may_have_a_unit(section, key):
    given = GOOD.get(section, {})
    for text, octets in (("512K", 524_288), ("1 MB", 1_048_576), ("1MiB", 1_048_576), ("77b", 77), ("3kib", 3072)):
        config = read({**GOOD, section: {**given, key: text}}, Path("/etc"))
        assert getattr(getattr(config, section), key) == octets
    for text in ("50 megs", "MB", "1.5G", "-1K", "1e3K", "", "50", "9" * 16 + "K", "1  K", "\u0661K", "1K\n"):
        (mistake,) = mistakes({**GOOD, section: {**given, key: text}})
        assert mistake == (
            f"{section}.{key}: should be a number of octets, or with a unit in quotes: "
            f'"512K", "50MB", "1G", not {text!r}'
        )


@pytest.mark.parametrize(("section", "key"), list(quantities("seconds")))
def test_every_duration_may_have_a_unit(section, key):
    given = GOOD.get(section, {})
    for text, seconds in (("15m", 900.0), ("900s", 900.0), ("1 H", 3600.0)):
        config = read({**GOOD, section: {**given, key: text}}, Path("/etc"))
        assert getattr(getattr(config, section), key) == seconds
    (mistake,) = mistakes({**GOOD, section: {**given, key: "15 minutes"}})
    assert mistake == (
        f"{section}.{key}: should be a number of seconds, or with a unit in quotes: "
        '"30s", "5m", "2h", "7d", "1w", not \'15 minutes\''
    )


def test_units_are_bounded_like_numbers_and_stand_in_lists_too():
    config = read(GOOD | {"queue": {"retry": ["5m", 600, "1h"], "lifetime": "1w"}}, Path("/etc"))
    assert config.queue.retry == [300.0, 600.0, 3600.0] and config.queue.lifetime == 604_800
    assert mistakes(GOOD | {"limits": {"message_size": "2G"}}) == [
        "limits.message_size: should be less than or equal to 1073741824, not 2147483648"
    ]
    assert mistakes(GOOD | {"limits": {"recipients": "1K"}}) == ["limits.recipients: should be a valid integer"]


def test_quantities_are_found():
    assert ("limits", "message_size") in quantities("octets") and ("store", "inline_limit") in quantities("octets")
    assert {("server", "grace"), ("queue", "lifetime"), ("limits", "pop3_timeout")} <= set(quantities("seconds"))
