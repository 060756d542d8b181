"""Header text and charsets: RFC 2047 encoded words, decoded only by codecs on a list.

A charset name comes from a stranger. Python's codec registry also holds ``idna``, ``zlib``, ``rot13`` and
``unicode_escape``, which are slow, dangerous or not charsets; only names on the list ever reach it.
"""

from __future__ import annotations

import binascii
import re

_CODECS: dict[str, str] = {}


def _allow(codec: str, *names: str) -> None:
    for name in (codec, *names):
        _CODECS[name] = codec


_allow("utf-8", "utf8", "unicode-1-1-utf-8", "utf-8-mac", "cesu-8", "utf-8mb4")
_allow("ascii", "us-ascii", "ansi_x3.4-1968", "iso646-us", "646", "iso-ir-6", "ansi_x3.4-1986", "us")
_allow("utf-7", "unicode-1-1-utf-7")
_allow("utf-16", "utf16", "ucs-2", "iso-10646-ucs-2")
_allow("utf-16-le", "utf-16le")
_allow("utf-16-be", "utf-16be")
_allow("utf-32", "utf32")
_allow("utf-32-le", "utf-32le")
_allow("utf-32-be", "utf-32be")
# Everybody labels windows-1252 text as Latin-1; the difference is only in 0x80 to 0x9F.
_allow("cp1252", "windows-1252", "iso-8859-1", "iso8859-1", "latin1", "latin-1", "iso_8859-1", "8859-1", "x-ansi")
for _number in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16):
    _allow(f"iso8859-{_number}", f"iso-8859-{_number}", f"iso_8859-{_number}", f"8859-{_number}")
_allow("iso8859-2", "latin2")
_allow("cp1254", "iso-8859-9", "iso8859-9", "latin5", "windows-1254")
_allow("cp874", "iso-8859-11", "iso8859-11", "tis-620", "windows-874", "x-windows-874")
_allow("iso8859-8", "iso-8859-8-i", "iso-8859-8-e")
for _number in (1250, 1251, 1253, 1255, 1256, 1257, 1258):
    _allow(f"cp{_number}", f"windows-{_number}", f"win-{_number}", f"x-cp{_number}")
for _number in (437, 737, 775, 850, 852, 855, 857, 858, 860, 861, 862, 863, 864, 865, 866, 869):
    _allow(f"cp{_number}", f"ibm{_number}", str(_number))
_allow("koi8-r", "koi8r", "koi")
_allow("koi8-u", "koi8u")
_allow("gb18030", "gb2312", "gbk", "gb_2312-80", "cp936", "windows-936", "x-gbk", "euc-cn", "chinese", "gb-2312")
_allow("hz", "hz-gb-2312")
_allow("big5hkscs", "big5", "big5-hkscs", "big-5", "x-x-big5")
_allow("cp932", "shift_jis", "shift-jis", "sjis", "ms_kanji", "windows-31j", "x-sjis", "csshiftjis")
_allow("euc_jp", "euc-jp", "x-euc-jp", "ujis")
_allow("iso2022_jp_2", "iso-2022-jp", "iso-2022-jp-2", "csiso2022jp", "iso-2022-jp-1", "iso-2022-jp-ms")
_allow("iso2022_jp_3", "iso-2022-jp-3")
_allow("cp949", "euc-kr", "euckr", "ks_c_5601-1987", "ksc5601", "ks_c_5601", "korean", "windows-949", "uhc")
_allow("iso2022_kr", "iso-2022-kr")
_allow("johab")
_allow("mac-roman", "macintosh", "x-mac-roman")
_allow("mac-cyrillic", "x-mac-cyrillic")

# RFC 2047 2: "=?" charset ["*" language] "?" encoding "?" encoded-text "?=". No part can run past the next "?".
_WORD = re.compile(rb"=\?([^?\s*]{1,40})(?:\*[^?\s]{0,40})?\?([bBqQ])\?([^?]*)\?=")
_UNSAFE = re.compile("[\0\ud800-\udfff]")
NOT_BASE64 = bytes(octet for octet in range(256) if chr(octet) not in
                    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")  # fmt: skip
_HEX = re.compile(rb"=([0-9A-Fa-f]{2})")


def codec_for(charset: str) -> str | None:
    """Return the name of the codec for a MIME charset, or None when it is not on the list."""
    return _CODECS.get(charset.strip(" \"'").lower())


def clean(text: str) -> str:
    """Return text without NUL and lone surrogates: each becomes U+FFFD."""
    if text.isascii() and "\0" not in text:  # most of all mail: the pattern looks at each character
        return text
    return _UNSAFE.sub("\ufffd", text)


def decode_bytes(data: bytes, charset: str) -> str:
    """Decode text of a charset that a message names; never raises.

    An unknown or missing charset, and 8-bit text that calls itself ASCII, is tried as UTF-8 and read as Latin-1 otherwise.
    """
    if not charset and data.isascii() and b"\0" not in data:
        return data.decode("ascii")
    codec = codec_for(charset)
    if codec is None or codec == "ascii":
        try:
            return clean(data.decode("utf-8"))
        except UnicodeDecodeError:
            return clean(data.decode("latin-1"))
    try:
        return clean(data.decode(codec, "replace"))
    except (UnicodeError, ValueError):  # a few multi-byte codecs refuse input even with "replace"
        return clean(data.decode("latin-1"))


def decode_words(value: bytes) -> str:
    """Return an unfolded header body as text, encoded words decoded (RFC 2047 6), raw 8-bit read as UTF-8 or Latin-1.

    White space between two encoded words goes; neighbours of the same charset are decoded together, because many
    programs cut a character in two.
    """
    if b"=?" not in value:
        return decode_bytes(value, "")
    out: list[str] = []
    run: list[bytes] = []  # octets of neighbouring words of one charset
    charset = None
    position = 0
    for word in _WORD.finditer(value):
        between = value[position : word.start()]
        glued = charset is not None and not between.strip(b" \t")
        named = word[1].decode("ascii", "replace").lower()
        if run and not (glued and named == charset):
            out.append(decode_bytes(b"".join(run), charset or ""))
            run = []
        if between and not glued:
            out.append(decode_bytes(between, ""))
        run.append(_word_octets(word[2], word[3]))
        charset = named
        position = word.end()
    out.append(decode_bytes(b"".join(run), charset or ""))
    out.append(decode_bytes(value[position:], ""))
    return "".join(out)


def _word_octets(encoding: bytes, text: bytes) -> bytes:
    if encoding in b"bB":
        return lenient_base64(text)
    return _HEX.sub(lambda pair: binascii.unhexlify(pair[1]), text.replace(b"_", b" "))


def lenient_base64(data: bytes) -> bytes:
    """Decode base64, passing over every octet outside the alphabet and a last group that is too short; never raises.
    Text after padding is decoded as well: some programs join encoded pieces."""
    if b"=" in data.rstrip(b"= \t\r\n"):
        return b"".join(_base64_group(group) for group in data.split(b"=") if group)
    return _base64_group(data)


def _base64_group(data: bytes) -> bytes:
    letters = data.translate(None, NOT_BASE64)
    rest = len(letters) % 4
    if rest == 1:
        letters = letters[:-1]
    elif rest:
        letters += b"=" * (4 - rest)
    return binascii.a2b_base64(letters)
