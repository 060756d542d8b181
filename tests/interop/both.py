"""A mailnode and Debian's Dovecot, each with a session."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.peers import Dovecot
from tests.end_to_end.servers import PASSWORD, STRICT, MailNode, program
from tests.interop.compare import Pair
from tests.open_folder import open_folder
from tests.stress.client import Client

USER = "nasty@a.test"


class Asking(Client):
    """A client that has no patience with refusals."""

    def ask(self, command: bytes) -> list[bytes]:
        """Return the untagged responses."""
        *lines, answer = self.responses(self.send(command))
        assert answer.startswith(b"OK"), (command[:200], answer)
        return lines


@contextlib.contextmanager
def both(folder: Path, messages: list[bytes]) -> Iterator[Pair]:
    """Start both and load the messages."""
    program("dovecot")
    if os.getuid() != 0:
        (pytest.fail if STRICT else pytest.skip)("Dovecot starts as root only")
    with contextlib.ExitStack() as ending:
        node = MailNode(folder / "node")
        ending.callback(node.stop)
        node.password = PASSWORD
        node.start().add_account(USER)
        opened = Path(ending.enter_context(open_folder("dovecot")))
        dovecot = Dovecot(opened / "dovecot", node.folder / "cert.pem", node.folder / "key.pem")
        dovecot.ca = node.ca
        ending.callback(dovecot.stop)
        dovecot.start()
        pair = Pair(Asking(node, USER), Asking(dovecot, USER), messages)
        pair.load()
        yield pair
