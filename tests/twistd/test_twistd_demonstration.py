"""The embedded default as a process: what it prints, who may log in, what leaves the machine, what commands see."""

import imaplib
import json
import poplib
import re
import smtplib
import ssl
import stat

import pytest
from twistd_process import PATIENCE, Server, command, free_offset, get, health

from tests.free_ports import DEMONSTRATION


def trusting():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("demonstration")


@pytest.fixture(scope="module")
def offset():
    return free_offset()


@pytest.fixture(scope="module")
def server(folder, offset):
    with Server(folder, "--port-offset", offset, options=("--pidfile=twistd.pid",)) as server:  # as without the option
        server.wait_line("Ctrl-C ends it.")
        yield server
        assert len(server.lines) <= 24  # nothing came behind the screen, whatever the tests did


@pytest.fixture(scope="module")
def shown(server, folder):
    code, out, err = command(folder, "demo", "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


def log(folder):
    """What the demonstration has logged."""
    return (folder / "mailnode-data/mailnode.log").read_text()


@pytest.fixture
def password(shown):
    return {entry["address"]: entry["password"] for entry in shown["accounts"]}


def test_the_json_has_exactly_the_promised_shape(shown, offset):
    assert set(shown) == {"accounts", "listeners"}
    assert [set(entry) for entry in shown["accounts"]] == [{"address", "password"}] * 2
    assert [entry["address"] for entry in shown["accounts"]] == ["alice@mailnode.test", "bob@mailnode.test"]
    assert [set(entry) for entry in shown["listeners"]] == [{"protocol", "port", "tls"}] * len(DEMONSTRATION)
    assert [entry["port"] - offset for entry in shown["listeners"]] == list(DEMONSTRATION)


def test_all_that_it_leaves_is_its_data_directory(server, folder):
    assert [path.name for path in folder.iterdir()] == ["mailnode-data"]


def test_the_screen_fits_and_tells_all(server, shown, password, folder):
    screen = list(server.lines)
    assert len(screen) <= 24
    assert screen[0].startswith("mailnode runs") and screen[-1].endswith("Ctrl-C ends it.")
    text = "\n".join(screen)
    for entry in shown["listeners"]:
        assert f"127.0.0.1:{entry['port']}" in text
    for address, secret in password.items():
        assert re.search(rf"{address}\s+{secret}", text)
    assert f"Its log is {folder}/mailnode-data/mailnode.log." in text
    assert command(folder, "demo")[1].splitlines() == screen


def test_the_passwords_are_random_and_readable_by_the_owner_alone(folder, password):
    data = folder / "mailnode-data"
    assert len(set(password.values())) == 2
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    for name in ("demo.json", "mailnode.log", "key.pem", "secret", "control.sock", "directory.db"):
        assert stat.S_IMODE((data / name).stat().st_mode) & 0o077 == 0, name


def test_a_message_goes_from_submission_to_imap_and_pop3(offset, password):
    alice, bob = "alice@mailnode.test", "bob@mailnode.test"
    with smtplib.SMTP("127.0.0.1", 2587 + offset, timeout=30) as client:
        client.starttls(context=trusting())
        client.login(alice, password[alice])
        client.sendmail(alice, [bob], f"From: {alice}\r\nTo: {bob}\r\nSubject: first\r\n\r\nHello\r\n")
    with imaplib.IMAP4_SSL("127.0.0.1", 2993 + offset, ssl_context=trusting(), timeout=30) as client:
        client.login(bob, password[bob])
        client.select()
        assert client.search(None, "SUBJECT", "first")[1][0]
    client = poplib.POP3_SSL("127.0.0.1", 2995 + offset, context=trusting(), timeout=30)
    client.user(bob)
    client.pass_(password[bob])
    assert client.stat()[0] >= 1
    client.quit()


@pytest.mark.parametrize("port", [2525, 2587])
def test_nothing_escapes_to_other_domains(offset, password, port):
    alice = "alice@mailnode.test"
    with smtplib.SMTP("127.0.0.1", port + offset, timeout=30) as client:
        client.ehlo()
        if port == 2587:
            client.starttls(context=trusting())
            client.login(alice, password[alice])
        client.mail(alice)
        code, text = client.rcpt("someone@example.org")
        assert 500 <= code < 600 and text.startswith(b"5.7.")


def test_health_and_metrics(server, offset):
    assert health(2080 + offset)[0] == 200
    status, body = get(2080 + offset, "/metrics")
    assert status == 200 and b"mailnode_sessions_opened_total" in body
    assert get(2080 + offset, "/")[0] == 404
    assert get(2080 + offset, "/health/x")[0] == 404


def test_a_pause_is_told_by_the_status_until_it_ends(server, folder):
    assert command(folder, "queue", "pause", "far.test")[0] == 0
    assert command(folder, "queue", "pause")[0] == 0
    status = command(folder, "status")[1]
    assert "! far.test: paused since" in status and "! the whole queue: paused since" in status
    for destination in (["far.test"], []):
        assert command(folder, "queue", "resume", *destination)[0] == 0
    assert "paused" not in command(folder, "status")[1]
    assert "recipients: 0" in command(folder, "queue", "summary")[1]


def test_commands_go_through_the_control_socket(server, folder, offset):
    assert (
        command(folder, "account", "add", "carol@mailnode.test", "--password-stdin", stdin="first of these\n")[0] == 0
    )
    with imaplib.IMAP4_SSL("127.0.0.1", 2993 + offset, ssl_context=trusting(), timeout=30) as live:
        live.login("carol@mailnode.test", "first of these")
        assert (
            command(
                folder, "account", "password", "carol@mailnode.test", "--password-stdin", stdin="second of these\n"
            )[0]
            == 0
        )
        with pytest.raises((imaplib.IMAP4.abort, OSError)):
            for _ in range(100):
                live.noop()
    client = imaplib.IMAP4_SSL("127.0.0.1", 2993 + offset, ssl_context=trusting(), timeout=30)
    with pytest.raises(imaplib.IMAP4.error):
        client.login("carol@mailnode.test", "first of these")
    client.login("carol@mailnode.test", "second of these")
    assert command(folder, "account", "remove", "carol@mailnode.test", "--yes")[0] == 0
    with pytest.raises((imaplib.IMAP4.abort, OSError)):
        for _ in range(100):
            client.noop()
    assert command(folder, "account", "show", "carol@mailnode.test")[0] == 3
    assert any("admin.command" in line and "account.remove" in line for line in log(folder).splitlines())


def test_a_port_in_use_is_said_and_nothing_is_left_half_started(server, tmp_path, offset):
    with Server(tmp_path, "--port-offset", offset) as second:
        assert second.process.wait(PATIENCE) == 1
        second._reader.join(10)
    text = "\n".join(second.lines)
    assert f"listener[0].endpoint: tcp:{2525 + offset}:interface=127.0.0.1: Address already in use" in text
    assert "listener[7].endpoint" in text  # every one of them
    assert second.lines[-1].endswith("--port-offset N (after the word mailnode) adds N to every port")
    assert "Traceback" not in text
    assert not list((tmp_path / "mailnode-data").glob("*.db"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--port-offset", 62541), "--port-offset: 62541: leads beyond the last port; at most 62540"),
        (
            ("--data", "a-file/data"),
            "{folder}/a-file: cannot be written: Not a directory; --data DIR (after the word mailnode) names another place",
        ),
    ],
)
def test_a_start_that_cannot_be_says_what_to_do(tmp_path, arguments, words):
    (tmp_path / "a-file").write_text("")
    with Server(tmp_path, *arguments) as server:
        assert server.process.wait(PATIENCE) == 1
        server._reader.join(10)
    assert server.lines == [f"mailnode: {words.format(folder=tmp_path)}"]


def test_a_check_before_the_first_start_finds_nothing_wrong(tmp_path):
    with Server(tmp_path, "--check") as server:
        assert server.process.wait(PATIENCE) == 0
        server._reader.join(10)
    assert server.lines == ["the embedded default: no mistakes"]
    assert list(tmp_path.iterdir()) == []


def test_a_second_server_on_the_same_data_is_refused(server, folder):
    with Server(folder, "--port-offset", free_offset()) as second:
        assert second.process.wait(PATIENCE) == 1
        second._reader.join(10)
    text = "\n".join(second.lines)
    assert "another server is running on this data directory" in text and str(folder) in text
    assert "Traceback" not in text


def test_it_ends_at_sigterm_and_commands_then_work_on_the_store(server, folder, offset, shown):
    """The last one: ends the server of this module."""
    idle = imaplib.IMAP4("127.0.0.1", 2143 + offset, timeout=30)
    assert server.end() == 0
    assert idle.readline().startswith(b"* BYE ")
    idle.shutdown()
    assert "server.stop reason=SIGTERM" in log(folder)
    assert not (folder / "mailnode-data/control.sock").exists()
    assert [a["address"] for a in json.loads(command(folder, "account", "list", "--json")[1])] == [
        "alice@mailnode.test",
        "bob@mailnode.test",
    ]
    assert command(folder, "alias", "add", "info@mailnode.test", "bob@mailnode.test")[0] == 0
    code, _, err = command(folder, "reload")
    assert code == 4 and "no server is running" in err
    with Server(folder, "--port-offset", offset) as again:
        again.wait_line("Ctrl-C ends it.")
        assert json.loads(command(folder, "demo", "--json")[1]) == shown
        assert "info@mailnode.test" in command(folder, "alias", "list")[1]
        assert again.end() == 0
