"""The command: what it is told, how it ends, with whose rights it works."""

import errno
import json
import os
import pwd
import signal
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from mailnode.admin.operations import OperationFailed, Reason
from mailnode.config.checkup import User, as_user
from mailnode.ctl import setting_up
from mailnode.ctl.main import main
from mailnode.setup.progress import alone


@pytest.fixture
def setup(tmp_path):
    def run(*words, answers=None, code=None, address="you@example.org"):
        file = tmp_path / "answers.toml"
        file.write_text("".join(f'{name} = "{value}"\n' for name, value in (answers or {}).items()))
        place = ["--config", str(tmp_path / "etc/mailnode.toml"), "--data", str(tmp_path / "data")]
        done = CliRunner().invoke(main, [*place, "setup", address, "--answers", str(file), *words])
        assert code is None or done.exit_code == code, done.output
        return done

    run.folder = tmp_path
    return run


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("you", "no @"),
        ("you@localhost", "what every machine"),
        ("you@192.0.2.1", "IP address"),
        (".@example.org", "dot"),
    ],
)
def test_an_address_that_cannot_be_set_up(setup, address, words):
    assert words in setup("--dry-run", code=2, address=address).stderr


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"hostname": "mail"}, "the answer hostname: mail: should be a full host name"),
        ({"addresses": "here"}, "the answer addresses: here: no IP address"),
        ({"nonsense": "x"}, "nonsense: no such question"),
    ],
)
def test_wrong_answers_are_said_and_nothing_is_made(setup, monkeypatch, answers, words):
    monkeypatch.setattr(setting_up, "MachineChecks", lambda *args: lambda asked: ())
    given = {"hostname": "mail.example.org", "addresses": "198.51.100.7", "direct": "yes"} | answers
    done = setup("--dry-run", answers=given, code=1)
    assert words in done.output
    assert sorted(path.name for path in setup.folder.iterdir()) == ["answers.toml"]


def test_json_has_every_item_and_no_secret(setup, monkeypatch):
    monkeypatch.setattr(setting_up, "MachineChecks", lambda *args: lambda asked: ())
    done = setup("--dry-run", "--json", answers={"password": "not to be seen"})
    items = json.loads(done.stdout)
    assert {"name", "state", "seen", "mend", "explained"} == set(items[0])
    assert "not to be seen" not in done.output


def test_a_second_one_is_turned_away(setup):
    with alone(setup.folder / "etc/setup.lock"):
        assert "another setup is at work" in setup(code=5).stderr


def test_progress_that_is_broken_is_said(setup):
    (setup.folder / "etc").mkdir()
    (setup.folder / "etc/setup.json").write_text("{")
    assert "setup.json cannot be read" in setup(code=5).stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may choose who serves")
def test_a_user_that_is_still_to_be_made_is_no_end_of_it(setup, monkeypatch):
    monkeypatch.setattr(setting_up, "MachineChecks", lambda *args: lambda asked: ())
    given = {"hostname": "mail.example.org", "addresses": "198.51.100.7", "user": "nobody-made-this-one"}
    items = {item["name"]: item for item in json.loads(setup("--dry-run", "--json", answers=given, code=1).stdout)}
    assert items["system-user"]["state"] == "to do" and "nobody-made-this-one" in items["system-user"]["seen"]


def test_standard_input_may_be_closed(setup, monkeypatch):
    monkeypatch.setattr(setting_up, "MachineChecks", lambda *args: lambda asked: ())
    assert not setting_up._is_terminal(None)
    words = [
        sys.executable,
        "-m",
        "mailnode.ctl.main",
        "--config",
        str(setup.folder / "e/m.toml"),
        "setup",
        "--dry-run",
    ]
    command = [sys.executable, "-c", "import os, sys; os.close(0); os.execv(sys.argv[1], sys.argv[1:])", *words]
    done = subprocess.run([*command, "you@example.org"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "to be settled" in done.stdout, done


def test_paths_with_control_characters_are_refused(setup):
    done = CliRunner().invoke(main, ["--data", "/srv/a\nb", "setup", "--dry-run", "you@example.org"])
    assert done.exit_code == 2 and "control characters" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_each_signal_that_ends_it_ends_it_in_order(setup, monkeypatch, number):
    """What was begun is taken back, as after Ctrl-C, and the next run is not kept away."""
    ended = []

    def interrupted(*args, **more):
        try:
            os.kill(os.getpid(), number)
            time.sleep(30)
        finally:
            ended.append("taken back")
        yield

    before = signal.getsignal(number)
    monkeypatch.setattr(setting_up, "go_through", interrupted)
    done = setup(code=128 + number)
    assert ended == ["taken back"] and "the same command goes on" in done.stderr
    assert signal.getsignal(number) == before
    with alone(setup.folder / "etc/setup.lock"):
        pass


@pytest.mark.parametrize(
    ("code", "words"), [(errno.EROFS, "--config FILE"), (errno.ENOSPC, "df -h"), (errno.EACCES, "as root")]
)
def test_files_that_cannot_be_written_are_told_with_what_mends_it(setup, monkeypatch, code, words):
    def fails(path):
        raise OSError(code, os.strerror(code), str(path))

    monkeypatch.setattr(setting_up, "alone", fails)
    done = setup(code=1)
    assert words in done.stderr and os.strerror(code) in done.stderr and "setup.lock" in done.stderr


def test_a_reader_that_has_gone_is_no_trouble_with_files(setup, monkeypatch):
    def gone(*args, **more):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")
        yield

    monkeypatch.setattr(setting_up, "go_through", gone)
    assert "root" not in setup(code=1).stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root works with others' rights")
def test_operations_have_the_rights_of_who_serves(setup):
    entry = pwd.getpwnam("nobody")
    user = User("nobody", entry.pw_uid, entry.pw_gid)
    places = setting_up.SetupPlaces(setup.folder / "no.toml", setup.folder / "data", setup.folder)
    with pytest.raises(OperationFailed) as told:
        setting_up._operate(places, user, "nonsense", {})
    assert told.value.reason is Reason.FAILED
    assert as_user(user, lambda: [os.geteuid()]) == [entry.pw_uid]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root works with others' rights")
def test_ctrl_c_does_not_end_what_is_done_with_others_rights():
    entry = pwd.getpwnam("nobody")

    def work():
        os.kill(os.getpid(), signal.SIGINT)
        return ["done all the same"]

    assert as_user(User("nobody", entry.pw_uid, entry.pw_gid), work) == ["done all the same"]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
