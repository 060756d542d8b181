"""``mailnode check`` of policies that ask programs: whether anybody is there, and what they are called."""

import os
import socket

import pytest
from click.testing import CliRunner

from mailnode.config import programs
from mailnode.config.checkup import User, present_user
from mailnode.ctl.main import main
from mailnode.values.program import ProgramEndpoint
from tests.free_ports import free_port
from tests.open_folder import open_folder

SPAMD = '[[policy]]\nname = "spamassassin"\noptions = {{ endpoint = "tcp:127.0.0.1:{}" }}\n'
CLAMD = '[[policy]]\nname = "clamav"\noptions = {{ endpoint = "unix:{}" }}\n'
MILTER = '[[policy]]\nname = "milter"\noptions = {{ endpoint = "unix:/run/{}"{} }}\n'


def check(folder, more, code=0):
    file = folder / "mailnode.toml"
    (folder / "data").mkdir(mode=0o700, exist_ok=True)
    file.write_text(
        '[server]\nhostname = "mx.a.example"\ndata = "data"\n[judgement]\nchecks = ["words"]\n'
        f'[[listener]]\nprotocol = "smtp"\nendpoint = "tcp:25"\n{more}'
    )
    done = CliRunner().invoke(main, ["--config", str(file), "check"])
    assert done.exit_code == code and "Traceback" not in done.output, done.output
    return done.stderr


def test_a_program_that_is_not_there_is_warned_of(tmp_path):
    port, left = free_port(), tmp_path / "left.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(left))
    for place in (left, tmp_path / "never.sock"):
        said = check(tmp_path, SPAMD.format(port) + CLAMD.format(place))
        first, second = said.splitlines()
        assert first.startswith(f"mailnode: warning: policy[0]: spamassassin: tcp:127.0.0.1:{port}: the user ")
        assert "reaches nobody there (Connection refused)" in first
        assert f"policy[1]: clamav: unix:{place}: " in second
    assert "(No such file or directory)" in second


def test_one_that_is_there_is_not(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as spamd, socket.socket(socket.AF_UNIX) as clamd:
        clamd.bind(str(tmp_path / "clamd.sock"))
        clamd.listen()
        spamd.settimeout(0)
        said = check(tmp_path, SPAMD.format(spamd.getsockname()[1]) + CLAMD.format(tmp_path / "clamd.sock"))
        assert said == ""
        spamd.accept()[0].close()  # it was tried
        assert check(tmp_path, "") == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look with another's rights")
def test_the_user_who_serves_must_be_let_to_the_socket():
    nobody = User("nobody", 65534, 65534)
    with open_folder("programs") as folder, socket.socket(socket.AF_UNIX) as clamd:
        place = ProgramEndpoint(f"{folder}/clamd.sock")
        clamd.bind(place.host)
        clamd.listen()
        os.chmod(place.host, 0o600)
        asked = [("policy[0]", "clamav", place)]
        (warning,) = programs.absent(nobody, asked)
        assert "the user nobody reaches nobody there (Permission denied)" in warning
        assert programs.absent(present_user(), asked) == []
        os.chmod(place.host, 0o666)
        assert programs.absent(nobody, asked) == []


def test_two_milters_must_be_told_apart(tmp_path):
    both = MILTER.format("a", "") + MILTER.format("b", "")
    said = check(tmp_path, both, code=1)
    assert said.count("milter: called: milter is the name of another policy too") == 2
    assert "policy[0]: " in said and "policy[1]: " in said
    check(tmp_path, MILTER.format("a", ', called = "a"') + MILTER.format("b", ', called = "b"'))
    assert "called: words is the name" in check(tmp_path, MILTER.format("a", ', called = "words"'), code=1)
