"""The disk that the data directory is on."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from mailnode.checks.row import Check, Surroundings, done, failed, skipped, to_do
from mailnode.values.item import Item

SPACE, KIND, SYNC = "disk-space", "disk-kind", "disk-sync"
MIB = 2**20
FULL, FILLING = 0.02, 0.10  # shares that are free
LEAST, LITTLE = 256 * MIB, 1024 * MIB  # octets that are free
FEW_FILES = 0.05  # share of files that may still be made
STALLED, SLOW, UNBELIEVABLE = 1.0, 0.1, 0.000_015  # seconds for a small write until it is kept

_REMOTE = ("nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "ceph", "glusterfs")
_VOLATILE = ("tmpfs", "ramfs")
_NO_DATA = "no data directory is known"


async def _space(world: Surroundings) -> Sequence[Item]:
    if not world.facts.data:
        return [skipped(SPACE, _NO_DATA)]
    room = await world.machine.space(world.facts.data)
    if room is None:
        return [skipped(SPACE, "it cannot be seen")]
    seen = f"{room.free // MIB} MiB of {room.total // MIB} MiB are free"
    mend = f"Make room, or give it more: du -xh --max-depth=2 {world.facts.data} | sort -h | tail"
    if room.free < LEAST or room.free < room.total * FULL:
        return [failed(SPACE, seen, mend)]
    if room.files and room.files_free < room.files * FEW_FILES:
        return [to_do(SPACE, f"{room.files_free} of {room.files} files may still be made", mend)]
    if room.free < LITTLE or room.free < room.total * FILLING:
        return [to_do(SPACE, seen, mend)]
    return [done(SPACE, seen)]


async def _kind(world: Surroundings) -> Sequence[Item]:
    room = await world.machine.space(world.facts.data) if world.facts.data else None
    if room is None or not room.kind:
        return [skipped(KIND, "it cannot be seen")]
    move = "Put it on a disk of this machine: [server] data"
    if room.kind in _REMOTE:
        return [failed(KIND, f"{room.kind} is on another machine, and its locks cannot be relied on", move)]
    if room.kind in _VOLATILE:
        return [failed(KIND, f"{room.kind} is memory: all mail is gone after the next start", move)]
    if room.kind == "overlay":
        return [to_do(KIND, "it is within a container, and goes with it", "Mount a volume of the host there.")]
    return [done(KIND, room.kind)]


async def _sync(world: Surroundings) -> Sequence[Item]:
    if not world.facts.data:
        return [skipped(SYNC, _NO_DATA)]
    took = await world.machine.sync_seconds(world.facts.data)
    if not took:
        mend = f"See who owns it and whether it is full: ls -ld {world.facts.data}; df {world.facts.data}"
        return [failed(SYNC, "nothing could be written there", mend)]
    middle = median(took)
    seen = f"a small write is kept after {middle * 1000:.2f} ms"
    other = "Use another disk, or ask who runs the machine what it is."
    if middle > STALLED:
        return [failed(SYNC, seen, other)]
    if middle > SLOW:
        return [to_do(SYNC, seen, other)]
    if middle < UNBELIEVABLE:
        return [to_do(SYNC, f"{seen}, which no disk can: mail that was acknowledged may be lost in a power cut", other)]
    return [done(SYNC, seen)]


CHECKS = (
    Check(
        name=SPACE,
        about="There is room on the disk of the data directory",
        why="On a full disk no mail is taken: other servers try again for some days, then give up. Nothing that was acknowledged is"
        " lost.",
        look=_space,
    ),
    Check(
        name=KIND,
        about="The data directory is on a disk of this machine",
        why="The store relies on locks and on what was synced being there after a power cut.",
        look=_kind,
    ),
    Check(
        name=SYNC,
        about="The disk keeps what it is told to keep, in bearable time",
        why="Each message waits until the disk says that it has it. One that says so at once lies, and loses mail in a power cut;"
        " one that lies and takes its time cannot be told from one that does not.",
        look=_sync,
    ),
)
