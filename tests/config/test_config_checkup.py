"""What a check says of the serving user's rights, and of what is seldom meant."""

import os
import pwd
import sys
from pathlib import Path

import pytest

from mailnode.config.checkup import User, check_up, present_user, serving_user, warnings
from mailnode.config.loader import read
from mailnode.errors import ConfigurationError
from tests.open_folder import open_folder


def config(data="/d", listeners=(), **sections):
    listener = [{"endpoint": f"tcp:{2500 + number}", **one} for number, one in enumerate(listeners)]
    listener = listener or [{"protocol": "smtp", "endpoint": "tcp:25"}]
    return read({"server": {"hostname": "mx.a.test", "data": data}, "listener": listener, **sections}, Path("/"))


# what is seldom meant


def test_an_ordinary_configuration_is_not_warned_of():
    assert (
        warnings(
            config(
                listeners=[
                    {"protocol": "smtp", "relay_from": ["10.0.0.0/8", "fd00::/8", "127.0.0.0/8", "203.0.112.7/32"]},
                    {"protocol": "imap", "tls": "starttls"},
                    {"protocol": "pop3", "plain_login": True, "endpoint": "tcp:110:interface=127.0.0.1"},
                    {"protocol": "lmtp"},
                    {"protocol": "http"},
                ],
                tls={"certificate": "/c", "key": "/k"},
            )
        )
        == []
    )


def test_a_listener_nobody_can_log_in_on():
    listeners = [{"protocol": protocol} for protocol in ("smtp", "submission", "imap", "pop3", "managesieve")]
    assert warnings(config(listeners=listeners)) == [
        f"listener[{index}]: nobody can log in there: it has neither TLS (tls) nor logins without it (plain_login)"
        for index in (1, 2, 3, 4)
    ]


def test_metrics_for_everybody():
    https = {"protocol": "http", "tls": "implicit", "endpoint": "tcp:443"}
    near = {**https, "endpoint": "tcp:443:interface=127.0.0.1"}
    tls = {"certificate": "/c", "key": "/k"}
    assert warnings(config(listeners=[{**https, "pages": ["mta-sts"]}], tls=tls)) == []
    assert warnings(config(listeners=[near], tls=tls)) == []
    (warning,) = warnings(config(listeners=[https], tls=tls))
    assert warning.startswith("listener[0].pages: ") and "/metrics" in warning


@pytest.mark.parametrize(
    ("network", "who"),
    [
        ("0.0.0.0/0", "everybody on the Internet"),
        ("::/0", "everybody on the Internet"),
        ("0.0.0.0/1", "clients with public addresses"),
        ("8.8.0.0/16", "clients with public addresses"),
        ("2a00::/16", "clients with public addresses"),
    ],
)
def test_an_open_relay(network, who):
    (warning,) = warnings(config(listeners=[{"protocol": "smtp", "relay_from": ["10.0.0.0/8", network]}]))
    assert warning.startswith(f"listener[0].relay_from: {network}: {who}: ") and "open relay" in warning
    (warning,) = warnings(config(listeners=[{"protocol": "smtp", "xclient_from": [network]}]))
    assert warning.startswith(f"listener[0].xclient_from: {network}: {who}: ")
    behind = {
        "protocol": "imap",
        "tls": "starttls",
        "endpoint": "haproxy:tcp:143",
        "proxy_from": ["10.0.0.1/32", network],
    }
    (warning,) = warnings(config(listeners=[behind], tls={"certificate": "/c", "key": "/k"}))
    assert warning.startswith(f"listener[0].proxy_from: {network}: {who}: ")


@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0", "8.8.0.0/16"])
def test_guesses_that_nothing_holds_up(network):
    (warning,) = warnings(config(auth={"no_throttle_for": ["10.0.0.0/8", network]}))
    assert warning.startswith(f"auth.no_throttle_for: {network}: ") and "guess passwords" in warning


@pytest.mark.parametrize(
    ("checks", "missing"),
    [
        (["dmarc"], "spf and dkim"),
        (["spf", "dmarc", "dkim"], "dkim"),
        (["dkim", "dmarc"], "spf"),
        (["spf", "dkim", "dmarc"], ""),
        ([], ""),
    ],
)
def test_a_check_without_those_it_stands_on(checks, missing):
    found = warnings(config(judgement={"checks": checks}))
    assert found == ([f"judgement.checks: dmarc has no effect without {missing} before it"] if missing else [])


def test_a_check_that_is_asked_twice():
    twice = [{"name": name} for name in ("spf", "milter", "spf", "milter")]
    (warning,) = warnings(config(policy=twice))
    assert warning.startswith("policy[2]: spf ")


@pytest.mark.parametrize(
    ("junk_at", "refuse_at", "warned"), [(5, 15, False), (10, 10, True), (10, 5, True), (10, 0, False), (0, 5, False)]
)
def test_a_score_for_junk_that_nothing_reaches(junk_at, refuse_at, warned):
    found = warnings(config(judgement={"junk_at": junk_at, "refuse_at": refuse_at}))
    assert [text.partition(":")[0] for text in found] == ["judgement.junk_at"] * warned


# rights

NOBODY = pwd.getpwnam("nobody")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can look with other users' eyes")


@pytest.fixture
def place():
    """A data directory that belongs to nobody, with a key and a file of a database."""
    with open_folder("checkup") as folder:
        made = Path(folder)
        (made / "data").mkdir()
        for name in ("mailnode.toml", "cert.pem", "key.pem", "log", "password", "data/mail-03.db"):
            (made / name).write_text("x")
            (made / name).chmod(0o600)
        yield made


def own(place, *names):
    for name in names:
        os.chown(place / name, NOBODY.pw_uid, NOBODY.pw_gid)


def everything(place):
    return config(
        place / "data",
        tls={"certificate": place / "cert.pem", "key": place / "key.pem"},
        queue={"smarthost": {"host": "a.test", "username": "u", "password_file": place / "password"}},
    )


def looked(place, user):
    try:
        return [], check_up(everything(place), user, place / "mailnode.toml", place / "log")
    except ConfigurationError as error:
        return error.mistakes, []


def test_the_present_user_can_do_what_it_can(place):
    assert looked(place, present_user()) == ([], [])
    assert check_up(config(place / "later" / "data"), present_user()) == []


@as_root
def test_every_file_the_user_cannot_use_is_a_mistake(place):
    mistakes, _ = looked(place, User("nobody", NOBODY.pw_uid, NOBODY.pw_gid))
    assert [mistake.split(": ")[:2] for mistake in mistakes] == [
        ["server.data", f"{place}/data"],
        ["server.data", f"{place}/data/mail-03.db"],
        ["queue.smarthost.password_file", f"{place}/password"],
        ["tls.certificate", f"{place}/cert.pem"],
        ["tls.key", f"{place}/key.pem"],
        [f"{place}/mailnode.toml", "cannot be read by the user nobody"],
        ["log", f"{place}/log"],
    ][: len(mistakes)] and len(mistakes) in (6, 7)
    own(place, "data", "data/mail-03.db", "password", "cert.pem", "key.pem", "mailnode.toml", "log")
    assert looked(place, User("nobody", NOBODY.pw_uid, NOBODY.pw_gid)) == ([], [])
    assert os.geteuid() == 0


@as_root
def test_what_root_opens_at_the_start_is_a_warning(place):
    own(place, "data", "data/mail-03.db", "password")
    mistakes, warned = looked(place, User("nobody", NOBODY.pw_uid, NOBODY.pw_gid, starts_as_root=True))
    assert mistakes == []
    assert [text.partition(";")[2] for text in warned] == [
        " read by root at the start, but renewed ones will not be taken over",
        " read by root at the start, but renewed ones will not be taken over",
        " read by root at the start, but a reload will not work",
        " opened by root at the start, but not again after it was rotated",
    ]


@as_root
def test_a_file_that_a_command_of_root_left_behind_is_named(place):
    own(place, "data", "password", "cert.pem", "key.pem", "mailnode.toml", "log")
    mistakes, _ = looked(place, User("nobody", NOBODY.pw_uid, NOBODY.pw_gid))
    assert mistakes == [f"server.data: {place}/data/mail-03.db: cannot be read and written by the user nobody"]


@as_root
def test_a_directory_that_cannot_be_made(place):
    user = User("nobody", NOBODY.pw_uid, NOBODY.pw_gid)
    with pytest.raises(ConfigurationError, match=r"cannot be made in .* by the user nobody"):
        check_up(config(place / "new" / "data"), user)


@as_root
def test_another_number_of_partitions_than_the_data_has(tmp_path):
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    assert check_up(config(str(data)), present_user()) == []
    for number in (0, 1):
        (data / f"mail-0{number}.db").touch(mode=0o600)
        (data / f"mail-0{number}.db-wal").touch(mode=0o600)
    with pytest.raises(ConfigurationError) as caught:
        check_up(config(str(data)), present_user())
    assert caught.value.mistakes == ["server.partitions: the data was laid out with 2, which cannot be changed to 4"]
    (data / "mail-03.db").touch(mode=0o600)  # a lost one in between is another matter
    assert check_up(config(str(data)), present_user()) == []


def test_a_database_without_its_driver(place, monkeypatch):
    data = place / "data"
    postgres = config(str(data), store={"url": "postgresql://mailnode@/mailnode"})
    assert check_up(postgres, present_user()) == []
    monkeypatch.setitem(sys.modules, "psycopg_pool", None)  # its import fails
    with pytest.raises(ConfigurationError, match=r"store[.]url: PostgreSQL needs mailnode\[postgres\]: .*psycopg_pool"):
        check_up(postgres, present_user())
    assert check_up(config(str(data)), present_user()) == []


def test_who_serves(place):
    assert serving_user(config("/nonexistent")) == present_user() == serving_user(config(place / "data"))
    own(place, "data")
    assert serving_user(config(place / "data")).name == "nobody"
    assert serving_user(config(place / "data"), "daemon").name == "daemon"
    with pytest.raises(ConfigurationError, match="nobody-of-that-name: no such user"):
        serving_user(config(), "nobody-of-that-name")
