"""What the server may do on its machine, and what others may read of it."""

from __future__ import annotations

import base64
import os
import shutil
import smtplib
import stat
import subprocess
from pathlib import Path

import pytest
from forked import MAILNODE
from servers import STRICT, MailNode, Process, program

from tests.open_folder import open_folder
from tests.processes import PATIENCE

NOBODY = 65534


class Unprivileged(MailNode):
    """Started by an ordinary user, with the umask that hides nothing."""

    def start(self) -> MailNode:
        """Start and wait until every listener accepts."""
        for path in (self.folder, *self.folder.rglob("*")):
            shutil.chown(path, NOBODY, NOBODY)
        command = as_nobody(self.twistd("--config", str(self.config)))
        self.process = Process(command, cwd=self.folder, env=self._env)
        self.process.wait_ready("server.start")
        return self


def as_nobody(command: list[str]) -> list[str]:
    """Return a command line that runs another as that user, without any capability."""
    before = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs"]
    before += ["--inh-caps=-all", "--bounding-set=-all", "--pdeathsig=KILL", "sh", "-c", 'umask 0; exec "$@"', "sh"]
    return [*before, *command]


@pytest.fixture
def node():
    program("setpriv")
    if os.getuid() != 0:
        (pytest.fail if STRICT else pytest.skip)("only root becomes another user")
    with open_folder("privilege") as folder:
        node = Unprivileged(Path(folder) / "node")
        node.config.write_text(node.config.read_text().replace("[server]\n", "[server]\nworkers = 2\n"))
        yield node.start()
        node.stop()


def others_may(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode) & 0o077


def test_an_ordinary_user_serves_and_its_data_are_its_own(node):
    """Small and large messages, databases, the control socket: whatever the umask was."""
    node.add_account("alice@a.test")
    for size in (1000, 400_000):
        with smtplib.SMTP("127.0.0.1", node.ports["smtp"]) as client:
            client.sendmail(
                "",
                ["alice@a.test"],
                b"Subject: x\r\n\r\n" + base64.encodebytes(os.urandom(size)).replace(b"\n", b"\r\n"),
            )
    found = [path for path in node.data.rglob("*") if not path.is_symlink()]
    kinds = {stat.S_IFMT(path.lstat().st_mode) for path in found}
    assert {stat.S_IFREG, stat.S_IFDIR, stat.S_IFSOCK} <= kinds
    assert any(path.name.endswith("-wal") for path in found)
    assert any(path.stat().st_size > 300_000 for path in found if "blobs" in path.parts)
    assert others_may(node.data) == 0
    assert [path for path in found if others_may(path)] == []
    assert {path.lstat().st_uid for path in found} == {NOBODY}


def test_a_backup_is_its_owners_alone(node):
    """Made by the command, of small and large messages, where the umask hides nothing."""
    node.add_account("alice@a.test")
    with smtplib.SMTP("127.0.0.1", node.ports["smtp"]) as client:
        client.sendmail(
            "",
            ["alice@a.test"],
            b"Subject: x\r\n\r\n" + base64.encodebytes(os.urandom(400_000)).replace(b"\n", b"\r\n"),
        )
    kept = node.folder / "kept"
    command = as_nobody([*MAILNODE, "--config", str(node.config), "backup", str(kept)])
    subprocess.run(command, cwd=node.folder, env=node._env, check=True, timeout=PATIENCE)
    found = [kept, *kept.rglob("*")]
    assert any(path.stat().st_size > 300_000 for path in found)
    assert [path for path in found if others_may(path)] == []
