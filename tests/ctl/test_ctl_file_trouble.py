"""What is said of a person's own file that could not be read or written."""

import os
from pathlib import Path

from mailnode.ctl.parts import file_trouble

FILE = Path("/root/mail.tar")


def test_who_may_not_is_named_and_root_is_not_sent_to_root(monkeypatch):
    denied = PermissionError(13, "Permission denied", "/root/.mail.tar.part")
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    said = file_trouble(denied, FILE)
    assert said.startswith("/root/.mail.tar.part: Permission denied") and "nobody" in said and "root may" in said
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert file_trouble(denied, FILE) == "/root/.mail.tar.part: Permission denied"


def test_other_troubles_are_said_alone():
    assert file_trouble(OSError(28, "No space left on device"), FILE) == "/root/mail.tar: No space left on device"
