"""A small file that is replaced whole or not at all."""

import os

import pytest

from mailnode.net.no_reactor import CallingThread, run_now
from mailnode.store.disk.kept_record import KeptRecord


@pytest.fixture
def record(tmp_path):
    return KeptRecord(tmp_path / "record", CallingThread())


def test_it_is_there_whole_and_for_its_owner_alone(record, tmp_path):
    assert run_now(record.read()) == b""
    for content in (b"one", b"another one"):
        run_now(record.write(content))
        assert run_now(record.read()) == content
    assert os.listdir(tmp_path) == ["record"] and (tmp_path / "record").stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_written_leaves_what_was_there(record, tmp_path, monkeypatch):
    run_now(record.write(b"one"))

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        run_now(record.write(b"two"))
    assert run_now(record.read()) == b"one"
    monkeypatch.undo()
    run_now(record.write(b"three"))  # whatever was left half-written
    assert run_now(record.read()) == b"three"
