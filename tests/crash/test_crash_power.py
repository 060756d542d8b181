"""Power cuts: what was synced stands, of the rest any part, and the server holds what it acknowledged on all that.

``python -m tests.crash --power`` cuts more often.
"""

import random
import subprocess
import sys

import pytest

from tests.crash.disk import BLOCK, Disk
from tests.crash.power import PowerCuts
from tests.crash.server import Lost
from tests.crash.trace import Event, command, events
from tests.end_to_end.servers import program

WRITES = """
import os
here = os.getcwd() + "/"
def names(path):
    folder = os.open(path, os.O_RDONLY); os.fsync(folder); os.close(folder)
os.mkdir(here + "in"); os.mkdir(here + "made")
one = os.open("in/one", os.O_RDWR | os.O_CREAT)
os.write(one, b"abc"); os.writev(one, [b"de", b"f"]); os.pwrite(one, b"X" * 9000, 4000); os.lseek(one, 2, 0); os.write(one, b"!")
os.ftruncate(one, 12000); os.fsync(one); os.rename(here + "in/one", here + "made/two"); names("made")
with open("old", "r+b") as old:
    old.seek(3); old.write(b" and more")
open("cut", "wb").write(b"anew")
os.link(here + "old", here + "linked"); os.unlink(here + "gone"); os.write(one, b"?")
"""


class Kept:
    """What a folder holds, by name."""

    def __init__(self, folder):
        self.files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        self.folders = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_dir()}


@pytest.fixture
def recorded(tmp_path):
    """A disk on which a program wrote, its beginning, and what is really there."""
    program("strace")
    folder, before = tmp_path / "folder", tmp_path / "before"
    for one in (folder, before):
        one.mkdir()
        for name in ("old", "cut", "gone"):
            (one / name).write_bytes(name.encode())
    subprocess.run(command(tmp_path / "trace", [sys.executable, "-c", WRITES]), cwd=folder, check=True)
    disk = Disk(before, folder)
    for event in events(tmp_path / "trace", folder):
        disk.apply(event)
    return disk, tmp_path


def left(disk, to, kind):
    disk.write(to, random.Random(1), kind)
    return Kept(to)


def test_everything_that_a_program_does_to_files_is_read(recorded):
    disk, folder = recorded
    again = left(disk, folder / "all", "all")
    really = Kept(folder / "folder")
    assert again.files == really.files and again.folders == really.folders
    assert len(again.files["made/two"]) == 12000 and set(again.files) == {"old", "cut", "linked", "made/two"}


def test_what_was_not_synced_is_lost(recorded):
    disk, folder = recorded
    lost = left(disk, folder / "none", "none")
    assert lost.files == {"old": b"old", "cut": b"cut", "gone": b"gone"}, "nobody synced the folder above"


def disk_with(tmp_path, *happened):
    (tmp_path / "before").mkdir()
    (tmp_path / "before" / "f").write_bytes(b"0" * 3 * BLOCK)
    disk = Disk(tmp_path / "before", tmp_path / "data")
    for number, (kind, name, rest) in enumerate(happened):
        disk.apply(Event(kind, str(tmp_path / "data" / name), rest.pop("began", number), number, 0.0, **rest))
    return disk


def test_a_sync_holds_what_was_written_before_it_began(tmp_path):
    disk = disk_with(
        tmp_path,
        ("write", "f", {"offset": 0, "data": b"1"}),
        ("write", "f", {"offset": 1, "data": b"2"}),
        ("sync", "f", {"began": 1}),
    )
    assert left(disk, tmp_path / "none", "none").files["f"][:3] == b"100"


def test_any_block_of_a_write_may_be_there_without_the_others(tmp_path):
    disk = disk_with(tmp_path, ("write", "f", {"offset": 100, "data": b"1" * 2 * BLOCK}))
    found = set()
    for seed in range(64):
        to = tmp_path / str(seed)
        disk.write(to, random.Random(seed), "any")
        octets = (to / "f").read_bytes()
        found.add((octets[100:101], octets[BLOCK : BLOCK + 1], octets[2 * BLOCK : 2 * BLOCK + 1]))
        assert octets[:100] == b"0" * 100 and len(octets) == 3 * BLOCK
    assert len(found) == 8


def test_a_renamed_file_may_have_both_names_or_none(tmp_path):
    disk = disk_with(tmp_path, ("rename", "f", {"other": str(tmp_path / "data" / "g")}))
    found = set()
    for seed in range(64):
        disk.write(tmp_path / str(seed), random.Random(seed), "any")
        found.add(frozenset(Kept(tmp_path / str(seed)).files))
    assert found == {frozenset(names) for names in ("", "f", "g", "fg")}


def test_a_server_holds_what_it_acknowledged_and_one_that_leaves_a_sync_out_is_found(tmp_path):
    power = PowerCuts(tmp_path, seed=2)
    try:
        power.record(40)
        power.cut(4)
        assert power.cuts == 4
        with pytest.raises(Lost, match=r"is lost|cannot be read|never went on"):
            power.cut_at([power.events], forget=lambda event: event.path.endswith("-wal"), left="none")
    finally:
        power.close()
