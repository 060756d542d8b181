"""Message bytes: staged, read in ranges, damaged, and swept."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest
import zstandard

from mailnode.errors import BlobDamaged, LimitReached, StoreUnavailable
from mailnode.net.no_reactor import CallingThread
from mailnode.store.blobs import codec
from mailnode.store.blobs import local as blobs_local
from mailnode.store.blobs.local import AT_ONCE, INLINE, KEPT, KEPT_TOGETHER, LocalBlobs
from mailnode.store.disk import directories
from mailnode.store.disk.data_lock import DataLock
from mailnode.store.disk.directories import make_directory
from mailnode.values.blob import BlobRef, StagedBlob

FRAME = codec.FRAME


def noise(size):
    """Octets that do not compress."""
    return os.urandom(size)


def all_files(blobs):
    return sorted(path for root in (blobs._incoming, blobs._files) for path in root.rglob("*") if path.is_file())


def write(loop, blobs, content, piece=10_000, limit=1 << 30):
    writer = blobs.writer(limit)

    async def run():
        for start in range(0, len(content), piece):
            await writer.write(content[start : start + piece])
        return await writer.finish()

    staged = loop.run(run())
    assert writer.size == len(content)
    return staged


SIZES = [0, 1, AT_ONCE, AT_ONCE + 1, INLINE, INLINE + 1, FRAME - 1, FRAME, FRAME + 1, 3 * FRAME, 3 * FRAME + 5]
LARGE = [KEPT - 1, KEPT, KEPT + 1, KEPT + 2 * FRAME]


@pytest.mark.parametrize("size", [*SIZES, *LARGE])
@pytest.mark.parametrize("way", ["put", "write", "write in large pieces", "write without room"])
def test_what_is_staged_is_read_back(files, loop, size, way):
    content = noise(size)
    if way == "put":
        staged = loop.run(files.put(content))
    else:
        if way == "write without room":
            files.reserve(KEPT_TOGETHER)
        staged = write(loop, files, content, 10_000 if way == "write" else 2 * FRAME)
    assert staged.ref.size == size
    assert loop.run(files.read_staged(staged)) == content
    edges = sorted({0, 1, FRAME - 1, FRAME, FRAME + 1, size // 2, max(size - 1, 0), size, size + 7})
    for start in edges:
        for length in (0, 1, 3, FRAME, None):
            end = None if length is None else start + length
            assert loop.run(files.read_staged(staged, start, length)) == content[start:end], (start, length)


def test_small_content_stays_out_of_files(blobs, loop):
    staged = write(loop, blobs, b"x" * 100_000)
    assert (staged.ref.place, staged.ref.encoding) == ("inline", "zstd")
    assert len(staged.data) < 1000
    plain = loop.run(blobs.put(noise(100)))
    assert (plain.ref.encoding, len(plain.data)) == ("plain", 100)


def test_content_may_be_encoded_by_somebody_else(blobs, files, loop):
    for store in (blobs, files):
        content = b"x" * 5000
        writer = store.writer(5000)
        loop.run(writer.write(content[:3000]))
        loop.run(writer.write(content[3000:]))
        assert writer.take() == content
        with pytest.raises(StoreUnavailable):
            loop.run(writer.write(b"more"))
        with pytest.raises(StoreUnavailable):
            writer.take()
        staged = loop.run(store.put(content, codec.encode(content)))
        assert loop.run(store.read(staged.ref, staged.data or None)) == content
        assert loop.run(store.put(content)).ref.digest == staged.ref.digest


def test_what_went_to_a_file_is_not_taken_back(files, loop):
    writer = files.writer(1 << 30)
    loop.run(writer.write(noise(KEPT + 1)))
    with pytest.raises(StoreUnavailable):
        writer.take()
    writer.abort()


def test_the_inline_threshold_is_a_setting(tmp_path, loop, clock):

    blobs = LocalBlobs(tmp_path / "b", CallingThread(), clock, inline=100)
    blobs.prepare()
    assert loop.run(blobs.put(noise(100))).ref.place == "inline"
    staged = loop.run(blobs.put(noise(101)))
    assert staged.ref.place == "file"
    assert loop.run(blobs.read_staged(staged, 99, 2)) != b""


def test_a_file_is_the_seekable_format_other_tools_read(files, loop, tmp_path):
    content = b"From: x\r\n" * 100_000
    staged = write(loop, files, content)
    program = shutil.which("zstd")
    if program is None:
        pytest.skip("zstd is not installed")
    path = files.path(staged.ref.blob_id)
    assert subprocess.run([program, "-dc", str(path)], capture_output=True, check=True).stdout == content


def test_the_limit_is_exact_and_leaves_nothing(files, loop):
    write(loop, files, noise(FRAME * 2), limit=FRAME * 2)
    kept = all_files(files)
    writer = files.writer(FRAME * 2)
    loop.run(writer.write(noise(FRAME * 2)))
    with pytest.raises(LimitReached):
        loop.run(writer.write(b"x"))
    assert all_files(files) == kept
    with pytest.raises(StoreUnavailable):
        loop.run(writer.write(b""))
    with pytest.raises(StoreUnavailable):
        loop.run(writer.finish())
    writer.abort()


@pytest.mark.parametrize("size", [10, FRAME, FRAME * 3 + 7, KEPT + FRAME + 1])
@pytest.mark.parametrize("step", [7_919, FRAME, FRAME + 1])
def test_what_was_written_so_far_is_read_by_offset_and_length(files, loop, size, step):
    content = noise(size)
    writer = files.writer(size)
    for start in range(0, size, step):
        loop.run(writer.write(content[start : start + step]))
    for offset, length in ((0, size), (0, 1), (size - 1, 5), (size, 5), (FRAME - 1, 2), (size // 2, 3 * FRAME), (3, 0)):
        assert loop.run(writer.read(offset, length)) == content[offset : offset + length], (offset, length)
    staged = loop.run(writer.finish())
    assert loop.run(files.read_staged(staged)) == content
    with pytest.raises(StoreUnavailable):
        loop.run(writer.read(0, 1))


def test_abort_leaves_nothing(files, loop):
    writer = files.writer(1 << 30)
    loop.run(writer.write(noise(KEPT + 1)))
    assert len(all_files(files)) == 1
    writer.abort()
    writer.abort()
    assert all_files(files) == []


@pytest.mark.parametrize("size", [AT_ONCE, AT_ONCE + 1, FRAME, FRAME + 1, KEPT, KEPT + 1])
def test_what_is_in_memory_is_looked_at_beside(files, loop, size):
    content = noise(size)
    writer = files.writer(1 << 30)
    loop.run(writer.write(content))
    staged, seen = loop.run(writer.finish_with(lambda content: (len(content), content[:1])))
    assert seen == ((size, content[:1]) if size <= KEPT else None)
    assert loop.run(files.read_staged(staged)) == content
    assert len(all_files(files)) == (size > INLINE)


def test_what_fails_beside_fails_all(files, loop):
    for size in (FRAME, FRAME + 1):
        writer = files.writer(1 << 30)
        loop.run(writer.write(noise(size)))
        with pytest.raises(ZeroDivisionError):
            loop.run(writer.finish_with(lambda content: 1 // 0))
    assert files.reserve(KEPT_TOGETHER)


def test_messages_in_memory_have_a_bound_together(files, loop):
    writers = [files.writer(1 << 30) for _ in range(KEPT_TOGETHER // KEPT + 2)]
    for _ in range(KEPT // FRAME):
        for writer in writers:
            loop.run(writer.write(noise(FRAME)))
    held = [sum(map(len, writer._pieces)) for writer in writers]
    without = [octets for octets in held if octets <= FRAME]
    assert len(all_files(files)) == len(without) > 0
    assert sum(held) <= KEPT_TOGETHER + len(writers) * FRAME
    for number, writer in enumerate(writers):
        if number % 2:
            loop.run(writer.finish())
        else:
            writer.abort()
    assert files.reserve(KEPT_TOGETHER)
    assert not files.reserve(1)


def test_what_is_durable_is_not_removed_by_giving_up_too_late(files, tmp_path):
    file = files.begin_file("a" * 20)
    digest = files.finish_file(file, b"x", "a" * 20)
    file.discard()
    assert files.path("a" * 20).exists()
    assert digest == hashlib.sha256(b"x").digest()


def test_abort_after_finish_keeps_the_blob(files, loop):
    content = noise(2 * FRAME)
    writer = files.writer(1 << 30)
    loop.run(writer.write(content))
    staged = loop.run(writer.finish())
    writer.abort()
    assert loop.run(files.read_staged(staged)) == content


def test_a_start_throws_away_what_was_not_finished(files, loop):
    writer = files.writer(1 << 30)
    loop.run(writer.write(noise(KEPT + 1)))
    assert len(all_files(files)) == 1
    staged = loop.run(files.put(noise(FRAME)))
    files.prepare()
    assert all_files(files) == [files.path(staged.ref.blob_id)]


@pytest.mark.parametrize("size", [FRAME // 2, 3 * FRAME, KEPT + FRAME])
@pytest.mark.parametrize("call", ["fsync", "rename", "open"])
def test_a_failing_disk_is_store_unavailable_and_leaves_nothing(files, loop, monkeypatch, call, size):
    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(StoreUnavailable):
        write(loop, files, noise(size))
    monkeypatch.undo()
    assert all_files(files) == []


def test_file_and_directory_are_synced_before_the_blob_is_acknowledged(files, loop, monkeypatch):
    calls = []
    fsync, rename = os.fsync, os.rename

    def recorded_fsync(descriptor):
        calls.append(("fsync", os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    def recorded_rename(source, target):
        calls.append(("rename", str(target)))
        rename(source, target)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "rename", recorded_rename)
    staged = write(loop, files, noise(2 * FRAME))
    path = files.path(staged.ref.blob_id)
    above = [("fsync", str(path.parent.parent)), ("fsync", str(files._files))]
    assert calls == [*above, ("rename", str(path)), ("fsync", str(path)), ("fsync", str(path.parent))]
    calls.clear()
    again = "0" * 18 + "x" + staged.ref.blob_id[-1:]
    monkeypatch.setattr(files, "new_id", lambda: again)
    write(loop, files, noise(2 * FRAME))
    assert len(calls) == 3  # the directories above are known now


@pytest.fixture
def synced(monkeypatch):
    """The directories and files that were synced, in order."""
    calls = []
    fsync = os.fsync

    def recorded(descriptor):
        calls.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", recorded)
    return calls


def test_every_directory_made_at_the_first_start_has_a_durable_name(tmp_path, loop, clock, synced):
    root = tmp_path / "srv" / "mail" / "blobs"
    blobs = LocalBlobs(root, CallingThread(), clock)
    blobs.prepare()
    assert {str(path) for path in (tmp_path, *root.parents[:2], root)} <= set(synced)
    assert synced.index(str(tmp_path)) < synced.index(str(tmp_path / "srv")) < synced.index(str(root.parent))
    synced.clear()
    blobs.prepare()  # who made them may have been killed before the sync
    assert {str(root.parent), str(root)} <= set(synced)


def test_the_data_directory_has_a_durable_name(tmp_path, synced):
    for _ in range(2):
        synced.clear()
        lock = DataLock(tmp_path / "srv" / "data")
        lock.acquire()
        lock.release()
        assert str(tmp_path / "srv") in synced
    assert str(tmp_path) not in synced


def test_a_directory_above_that_cannot_be_listed_is_no_trouble(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()

    def denied(path, *args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(directories, "sync_directory", denied)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    make_directory(tmp_path / "data")
    monkeypatch.setattr(os, "access", lambda path, mode: True)
    with pytest.raises(PermissionError):
        make_directory(tmp_path / "data")


# damage


@pytest.fixture
def staged(files, loop):
    return write(loop, files, noise(3 * FRAME))


def damage(files, staged, change):
    path = files.path(staged.ref.blob_id)
    content = bytearray(path.read_bytes())
    change(content)
    path.write_bytes(content)


def test_a_missing_file(files, loop, staged):
    files.path(staged.ref.blob_id).unlink()
    with pytest.raises(BlobDamaged):
        loop.run(files.read_staged(staged, 0, 1))


@pytest.mark.parametrize("left", [0, 3, 8, 16, 1000, -1, -20])
def test_a_short_file(files, loop, staged, left):
    damage(files, staged, lambda content: content.__delitem__(slice(left, None)))
    for offset in (0, FRAME, 3 * FRAME - 1):
        with pytest.raises(BlobDamaged):
            loop.run(files.read_staged(staged, offset, 1))


def hide(path, monkeypatch, trouble):
    """Make a blob's file one that cannot be read as it was written."""
    if isinstance(trouble, int):  # what only a kernel says, and to root seldom
        opened = os.open

        def refused(asked, *args, **kwargs):
            if str(asked) == str(path):
                raise OSError(trouble, os.strerror(trouble), str(path))
            return opened(asked, *args, **kwargs)

        monkeypatch.setattr(os, "open", refused)
        return
    content = path.read_bytes()
    path.unlink()
    if trouble == "a directory":
        path.mkdir()
    elif trouble == "a pipe":
        os.mkfifo(path)
    elif trouble == "short":
        path.write_bytes(content[:-1])
    elif trouble == "empty":
        path.touch()


def test_files_that_were_all_moved_away_say_nothing_of_one(files, loop):
    ref = loop.run(files.put(noise(2 * FRAME))).ref
    told: list[str] = []
    files.tell_damaged = lambda blob_id, words: told.append(blob_id)
    path = files.path(ref.blob_id)
    folder = path.parents[2]
    away = folder.rename(folder.with_name("away"))
    with pytest.raises(BlobDamaged) as raised:
        loop.run(files.read(ref, None))
    assert raised.value.passing and told == []
    away.rename(folder)
    assert len(loop.run(files.read(ref, None))) == ref.size
    path.unlink()
    with pytest.raises(BlobDamaged) as raised:
        loop.run(files.read(ref, None))
    assert not raised.value.passing and told == [ref.blob_id]


TROUBLES = [errno.EACCES, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ELOOP]
TROUBLES += ["missing", "a directory", "a pipe", "short", "empty"]


@pytest.mark.parametrize("trouble", TROUBLES)
def test_whatever_keeps_a_file_from_being_read_one_message_is_damaged(files, loop, monkeypatch, trouble):
    contents = [noise(2 * FRAME) for _ in range(3)]
    refs = [loop.run(files.put(content)).ref for content in contents]
    path = files.path(refs[1].blob_id)
    hide(path, monkeypatch, trouble)
    for offset, length in ((0, None), (0, 10), (FRAME, 10)):
        with pytest.raises(BlobDamaged, match=str(path)):
            loop.run(files.read(refs[1], None, offset, length))
    found = loop.run(files.read_whole(refs))
    assert isinstance(found.pop(refs[1].blob_id), BlobDamaged)
    assert found == {refs[0].blob_id: contents[0], refs[2].blob_id: contents[2]}


def test_damage_behind_the_first_piece_is_known_from_the_second_time_on(files, loop):
    content = noise(3 * FRAME)
    ref = loop.run(files.put(content)).ref
    path = files.path(ref.blob_id)
    whole = path.read_bytes()
    bad = bytearray(whole)
    bad[2 * FRAME + 1000] ^= 1  # incompressible: this is in the last frame
    path.write_bytes(bad)
    assert loop.run(files.read(ref, None, 0, FRAME)) == content[:FRAME]
    with pytest.raises(BlobDamaged):
        loop.run(files.read(ref, None, 2 * FRAME, FRAME))
    with pytest.raises(BlobDamaged):
        loop.run(files.read(ref, None, 0, FRAME))
    path.write_bytes(whole)  # put back from somewhere
    assert loop.run(files.read(ref, None, 0, FRAME)) == content[:FRAME]
    assert not files._suspects


def test_the_damaged_blobs_that_are_remembered_are_bounded(files, loop, monkeypatch):
    monkeypatch.setattr(blobs_local, "SUSPECTS", 3)
    refs = [BlobRef(f"nothing{number}", 3, "file", "zstd", b"") for number in range(5)]
    for ref in refs:
        with pytest.raises(BlobDamaged):
            loop.run(files.read(ref, None))
    assert list(files._suspects) == ["nothing2", "nothing3", "nothing4"]


def test_a_flipped_bit_is_seen_in_its_frame_and_in_the_whole(files, loop, staged):
    damage(files, staged, lambda content: content.__setitem__(FRAME + 1000, content[FRAME + 1000] ^ 1))
    assert len(loop.run(files.read_staged(staged, 0, FRAME))) == FRAME
    with pytest.raises(BlobDamaged):
        loop.run(files.read_staged(staged, FRAME + 10, 1))
    with pytest.raises(BlobDamaged):
        loop.run(files.read_staged(staged))


@pytest.mark.parametrize("place", range(1, 42))
def test_any_damage_of_the_seek_table_is_seen(files, loop, staged, place):
    path = files.path(staged.ref.blob_id)
    good = path.read_bytes()
    content = loop.run(files.read_staged(staged))
    damage(files, staged, lambda content: content.__setitem__(-place, content[-place] ^ 0x55))
    try:
        assert loop.run(files.read_staged(staged)) == content  # the descriptor and the magic before say nothing to us
    except BlobDamaged:
        pass
    path.write_bytes(good)


def test_the_bytes_of_another_message_are_never_given(files, loop, staged):
    other = write(loop, files, noise(3 * FRAME))
    shutil.copy(files.path(other.ref.blob_id), files.path(staged.ref.blob_id))
    with pytest.raises(BlobDamaged):
        loop.run(files.read_staged(staged))


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: b"", lambda data: data[:-1] + b"\x00"])
@pytest.mark.parametrize("content", [b"x" * 5000, bytes(range(1, 256))])
def test_damaged_inline_content(blobs, loop, content, change):
    good = loop.run(blobs.put(content))
    with pytest.raises(BlobDamaged):
        loop.run(blobs.read_staged(StagedBlob(good.ref, change(good.data)), 0, 1))


def inline(content, size=None):
    """What says where ``content`` is, or claims that it has ``size`` octets."""
    return BlobRef("i" * 20, len(content) if size is None else size, "inline", "zstd", hashlib.sha256(content).digest())


def test_what_earlier_versions_stored_is_read():
    frame = bytes.fromhex("28b52ffd644802e50000a846726f6d3a2061406578616d706c652e6f72670d0a010061623599a4630ad6")
    content = b"From: a@example.org\r\n" * 40
    assert codec.decode_small(inline(content), frame) == content


@pytest.mark.parametrize("says_its_size", [True, False])
def test_a_frame_with_more_than_the_known_size_is_refused_before_memory_is_taken(says_its_size):
    content = bytes(32 << 20)
    frame = zstandard.ZstdCompressor(write_content_size=says_its_size).compress(content)
    tracemalloc.start()
    try:
        with pytest.raises(BlobDamaged):
            codec.decode_small(inline(content, 5000), frame)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_frame_that_claims_a_terabyte_is_refused():
    magic, one_segment_with_eight_octets_of_size = b"\x28\xb5\x2f\xfd", b"\xe0"
    frame = magic + one_segment_with_eight_octets_of_size + (1 << 40).to_bytes(8, "little") + b"\x01\x00\x00"
    with pytest.raises(BlobDamaged):
        codec.decode_small(inline(b"", 5000), frame)


def test_content_longer_than_a_frame_of_a_file_may_be_inline():
    content = b"x" * (20 << 20)
    encoding, stored = codec.encode_small(content)
    assert encoding == "zstd"
    assert codec.decode_small(inline(content), stored) == content


def test_threads_do_not_share_contexts():
    contents = [os.urandom(500) * 40 + bytes([number]) for number in range(16)]

    def there_and_back(content):
        for _ in range(50):
            _, stored = codec.encode_small(content)
            assert codec.decode_small(inline(content), stored) == content
        return id(codec._thread.decompressor)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(there_and_back, contents))
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(there_and_back, contents[0]).result()
        assert other != there_and_back(contents[0])


def test_a_missing_inline_row(store, loop):
    ref = BlobRef("0" * 20, 5, "inline", "plain", b"x" * 32)
    with pytest.raises(BlobDamaged):
        loop.run(store.account("ann").open(1).read(ref))
