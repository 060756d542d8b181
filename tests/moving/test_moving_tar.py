"""Mail of a tar moves in: of tars that others wrote, cut, damaged and odd ones."""

import gzip
import io
import tarfile

import pytest
from account_support import ARRIVED, run

from mailnode.moving.tar_blocks import BLOCK, BadTar, extended, header

MAIL = b"Message-ID: <1@side.test>\r\nSubject: one\r\n\r\nhello\r\n"
FORMATS = {"pax": tarfile.PAX_FORMAT, "gnu": tarfile.GNU_FORMAT, "ustar": tarfile.USTAR_FORMAT}
LONG = "/".join(["a level with many letters"] * 5)  # beyond what a header itself has place for


def packed(files, form=tarfile.PAX_FORMAT):
    """Return a tar with these files, by name, and other things beside them."""
    into = io.BytesIO()
    with tarfile.open(fileobj=into, mode="w", format=form) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(content), ARRIVED
            tar.addfile(member, io.BytesIO(content))
        for kind in (tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE):
            other = tarfile.TarInfo(f"other/{kind!r}.eml")
            other.type, other.linkname = kind, "/etc/passwd"
            tar.addfile(other)
    return into.getvalue()


def write(tmp_path, content):
    (tmp_path / "mail.tar").write_bytes(content)
    return str(tmp_path / "mail.tar")


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_files_of_every_form_come_with_folders_and_dates(alice, tmp_path, form):
    files = {
        "./INBOX/1.eml": MAIL,
        "top.eml": MAIL + b"more\r\n",
        "INBOX/notes.txt": b"no mail",
        f"{LONG}/1.eml": MAIL,
        "e/..eml": b"E: 1\n\n",
    }
    told = alice.bring("tar", write(tmp_path, packed(files, form)))
    assert (told["complete"], told["brought"], told["failed"]) == (True, 4, 0)
    assert alice.contents() == [(MAIL, frozenset(), ARRIVED), (MAIL + b"more\r\n", frozenset(), ARRIVED)]
    assert alice.contents(LONG) == [(MAIL, frozenset(), ARRIVED)]
    assert not any(name.startswith("other") for name in alice.names())
    assert alice.bring("tar", str(tmp_path / "mail.tar"))["present"] == 4


@pytest.mark.parametrize(
    ("damaged", "words"),
    [
        (lambda tar: tar[: BLOCK + 10], "cut within INBOX/1.eml"),
        (lambda tar: tar[:BLOCK] + MAIL, "cut within INBOX/1.eml"),
        (lambda tar: b"x" + tar[1:], "checksum"),
        (lambda tar: tar[:100], "no tar, or cut"),
        (lambda tar: b"", "no message in it"),
        (lambda tar: b"\0" * 10_240, "no message in it"),
        (lambda tar: gzip.compress(tar)[:-20], "gzip cannot read it"),
        (lambda tar: gzip.compress(tar)[:40] + b"x" * 100, "gzip cannot read it"),
    ],
    ids=["content", "padding", "header", "short", "empty", "nothing", "gzip-cut", "gzip-damaged"],
)
def test_what_is_cut_or_damaged_is_told_and_nothing_of_it_comes(alice, tmp_path, damaged, words):
    told = alice.bring("tar", write(tmp_path, damaged(packed({"INBOX/1.eml": MAIL}))), code=1)
    assert words in told["stopped"] and not told["complete"] and told["brought"] == 0
    assert alice.contents() == []


def test_a_link_to_a_tar_is_not_followed(alice, tmp_path):
    write(tmp_path, packed({"INBOX/1.eml": MAIL}))
    (tmp_path / "link.tar").symlink_to(tmp_path / "mail.tar")
    assert alice.bring("tar", str(tmp_path / "link.tar"), code=1)["brought"] == 0


def test_the_words_for_people(alice, tmp_path):
    said = run(alice.data, "import", "tar", write(tmp_path, packed({"INBOX/1.eml": MAIL})), alice.address)
    assert "1 messages came" in said


def block(size=b"00000000005\0"):
    """Return a header block, with a checksum that is right."""
    made = bytearray(tarfile.TarInfo("INBOX/1.eml").tobuf(tarfile.USTAR_FORMAT))
    made[124:136] = size
    made[148:156] = b" " * 8
    made[148:156] = b"%06o\0 " % sum(made)
    return bytes(made)


def test_numbers_are_octal_or_large_and_nothing_else():
    assert header(block()).size == 5 and header(block(b"\0" * 12)).size == 0
    assert header(block(b"\x80" + b"\0" * 6 + b"\x01\0\0\0\0")).size == 2**32
    for size in (b"\xff" * 12, b"0000000-0005", b"000000000018", b"1_0         "):
        with pytest.raises(BadTar):
            header(block(size))


@pytest.mark.parametrize("data", [b"x", b"0 a=b\n", b"3 a=b\n", b"7 a=b\n", b"-6 a=b\n", b"6 a=bx", b"99999999 a=b\n"])
def test_an_extended_header_that_lies_about_its_lines_is_damaged(data):
    assert extended(b"6 a=b\n6 a=c\n") == {b"a": b"c"}
    with pytest.raises(BadTar):
        extended(data)
