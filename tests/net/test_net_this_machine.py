"""What is seen of this machine, as it is."""

from __future__ import annotations

import asyncio
import os
import time

from mailnode.net import this_machine
from mailnode.net.aside import aside
from mailnode.net.this_machine import WRITES, ThisMachine

MACHINE = ThisMachine()


def seen(looking):
    return asyncio.run(looking)


def test_room_where_something_is_to_be_made(tmp_path):
    room = seen(MACHINE.space(str(tmp_path / "not" / "there" / "yet")))
    assert 0 < room.free <= room.total and room.kind
    assert seen(MACHINE.space("/proc/self")).kind == "proc"


def test_what_a_disk_takes_until_it_has_kept_something(tmp_path):
    took = seen(MACHINE.sync_seconds(str(tmp_path)))
    assert len(took) == WRITES and all(one > 0 for one in took) and not list(tmp_path.iterdir())
    assert seen(MACHINE.sync_seconds("/proc/self")) == []


def test_a_full_disk_is_told_as_one_that_cannot_be_written():
    if os.path.exists("/dev/full"):
        assert seen(MACHINE.sync_seconds("/dev/full")) == []


def test_memory(tmp_path, monkeypatch):
    found = seen(MACHINE.memory())
    assert 0 < found.available <= found.total
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("400000\n")
    monkeypatch.setattr(this_machine, "CGROUP", tmp_path)
    found = seen(MACHINE.memory())
    assert (found.total, found.available) == (1_000_000, 600_000)  # of the control group, which is smaller
    (tmp_path / "memory.max").write_text("max\n")
    assert seen(MACHINE.memory()).total > 1_000_000
    monkeypatch.setattr(this_machine, "MEMINFO", tmp_path / "none")
    assert seen(MACHINE.memory()) is None


def test_paths_and_users(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("")
    secret.chmod(0o640)
    state = seen(MACHINE.look_at(str(secret)))
    assert (state.kind, state.mode, state.uid) == ("file", 0o640, os.geteuid())
    assert seen(MACHINE.look_at(str(tmp_path))).kind == "directory"
    assert seen(MACHINE.look_at(str(tmp_path / "none"))).kind == ""
    number, name = seen(MACHINE.user())
    assert number == os.geteuid() and name == state.owner


def test_a_machine_without_systemd(tmp_path, monkeypatch):
    monkeypatch.setattr(this_machine, "SYSTEMD", tmp_path / "none")
    assert not seen(MACHINE.unit("mailnode.service")).managed


def test_what_systemd_says(tmp_path, monkeypatch):
    monkeypatch.setattr(this_machine, "SYSTEMD", tmp_path)
    says = tmp_path / "systemctl"
    says.write_text(
        "#!/bin/sh\necho LoadState=loaded\necho ActiveState=active\necho UnitFileState=enabled\necho Result=success\n"
    )
    says.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    state = seen(MACHINE.unit("mailnode.service"))
    assert (state.load, state.active, state.enabled, state.result) == ("loaded", "active", "enabled", "success")
    says.write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(this_machine, "SYSTEMCTL_SECONDS", 0.1)
    assert seen(MACHINE.unit("mailnode.service")).load == ""  # it does not answer


def test_the_clock_of_the_kernel():
    assert seen(MACHINE.clock_is_kept()) in (True, False, None)


def test_a_call_that_never_ends_holds_nobody_up():
    async def give_up():
        try:
            await asyncio.wait_for(aside(time.sleep, 30), 0.05)
        except TimeoutError:
            return True

    begun = time.monotonic()
    assert asyncio.run(give_up()) and time.monotonic() - begun < 5


def test_what_a_call_raises_comes_here():
    async def fail():
        try:
            await aside(int, "x")
        except ValueError:
            return True

    assert asyncio.run(fail())
