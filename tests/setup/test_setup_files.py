"""Files are written whole or not at all, with a copy beside what was there."""

import os
import stat

import pytest

from mailnode.setup import files
from mailnode.setup.progress import Progress, alone
from mailnode.setup.trouble import SetupTrouble


def test_a_file_is_written_with_its_mode(tmp_path):
    path = tmp_path / "file"
    assert files.write(path, b"content", 0o640) == files.digest(path)
    assert path.read_bytes() == b"content" and stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("call", ["fsync", "fchmod", "open"])
def test_what_cannot_be_written_leaves_what_was_there(tmp_path, monkeypatch, call):
    path = tmp_path / "file"
    path.write_bytes(b"before")

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, call, full)
    with pytest.raises(OSError, match="No space"):
        files.write(path, b"after", 0o600)
    monkeypatch.undo()
    assert path.read_bytes() == b"before" and os.listdir(tmp_path) == ["file"]


def test_an_interrupt_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"before")

    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        files.write(path, b"after", 0o600)
    assert path.read_bytes() == b"before" and os.listdir(tmp_path) == ["file"]


def test_what_an_ended_run_left_is_in_nobody_s_way(tmp_path):
    (tmp_path / ".file.new").write_bytes(b"half")
    files.write(tmp_path / "file", b"whole", 0o600)
    assert os.listdir(tmp_path) == ["file"]


def test_copies_have_the_date_and_never_the_same_name(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"first")
    path.chmod(0o640)
    one = files.copy_beside(path, 1_790_000_000.0)
    path.write_bytes(b"second")
    other = files.copy_beside(path, 1_790_000_000.0)
    assert one.name == "file.2026-09-21T141320Z" and other.name == "file.2026-09-21T141320Z-2"
    assert (one.read_bytes(), other.read_bytes()) == (b"first", b"second")
    assert stat.S_IMODE(one.stat().st_mode) == 0o640


def test_a_file_that_differs_is_copied_and_one_that_does_not_is_not(world):
    around, path = world.around(), world.places.config
    around.write(path, "one\n", 0o644)
    around.write(path, "one\n", 0o644)
    assert [found.name for found in path.parent.glob("mailnode.toml*")] == ["mailnode.toml"]
    around.write(path, "two\n", 0o644)
    [copy] = path.parent.glob("mailnode.toml.*")
    assert copy.read_text() == "one\n" and path.read_text() == "two\n"


def test_progress_is_there_at_the_next_run(tmp_path):
    path = tmp_path / "setup.json"
    Progress(path).remember("answers", "hostname", "mail.example.org")
    assert Progress(path).value("answers", "hostname") == "mail.example.org"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    Progress(path, keeps=False).remember("answers", "hostname", "other.example.org")
    assert Progress(path).value("answers", "hostname") == "mail.example.org"


@pytest.mark.parametrize("content", ["{", "\xff", "[" * 100_000])
def test_progress_that_cannot_be_read_is_told(tmp_path, content):
    path = tmp_path / "setup.json"
    path.write_text(content)
    with pytest.raises(SetupTrouble) as told:
        Progress(path)
    assert f"mv {path}" in told.value.mend


def test_two_setups_do_not_run_at_once(tmp_path):
    with (
        alone(tmp_path / "etc/setup.lock"),
        pytest.raises(SetupTrouble, match=f"process {os.getpid()}"),
        alone(tmp_path / "etc/setup.lock"),
    ):
        raise AssertionError
    with alone(tmp_path / "etc/setup.lock"):
        pass
