"""Messages as strange as they come, made by chance from a seed: what two servers are compared by."""

from __future__ import annotations

import base64
import random

_WORDS = ["hello", "meeting", "zebra", "Ärger", "report", "invoice", "naïve", "test", "list", "fwd", "re", "draft"]
_SUBJECTS = (
    "hello", "Re: hello", "re[2]: Hello", "Fwd: hello", "hello (fwd)", "[list] hello", "Re: [list] hello", "[fwd: hello]", "",
    " ", "=?utf-8?q?=C3=84rger_im_B=C3=BCro?=", "=?iso-8859-1?q?na=EFve?= test", "=?utf-8?b?w4RyZ2Vy?=\r\n =?utf-8?b?IMOWbA==?=",
    "=?x-none?q?a?=", "=?utf-8?q?broken", "a\r\n folded subject", "tab\tinside", 'quo"ted \\ subject', "x" * 900, "Re:", "(fwd)",
    "zebra", "Zebra 2", "123", "r\xe9sum\xe9 raw", "NIL", "a {5} b",
)  # fmt: skip
_ADDRESSES = (
    "alice@a.test", "Alice <alice@a.test>", '"Zed, A." <zed@a.test>', '"a \\"b\\" c" <q@a.test>', "bob@a.test (Bob B)",
    "=?utf-8?q?=C3=84nne?= <anne@a.test>", "friends: alice@a.test, Bob <bob@b.test>;", "undisclosed-recipients:;",
    "<@via.test,@other.test:carol@c.test>", "alice@a.test, bob@b.test,carol@c.test", "just words", "<>", "", "alice",
    "Alice <alice@a.test", "alice@a.test>", "a@b@c.test", '"unclosed <x@y.test>', "(comment) dave@a.test", "dave@[127.0.0.1]",
    "Dave\r\n <dave@a.test>", "x@y.test,", ",x@y.test", "a.b.c@d.test", "Dr. X <x@y.test>", "r\xe9 <r@y.test>",
    "g1: a@a.test;, g2: b@b.test;", '"" <empty@a.test>', "very long " * 20 + "<long@a.test>",
)  # fmt: skip
_DATES = (
    "Mon, 1 Jan 2024 00:00:00 +0000", "Sun, 31 Dec 2023 16:01:33 -0800", "1 Jan 2001 00:01:33 +0000", "Tue, 2 Jan 2024 12:00 EST",
    "2 Jan 24 12:00:00 GMT", "Wed, 3 Jan 2024 12:00:00 +0000 (comment)", "yesterday", "", "2024-01-05 10:00:00",
)  # fmt: skip
_TYPES = (
    "text/plain", "text/plain; charset=utf-8", 'text/plain; charset="iso-8859-1"; format=flowed', "TEXT/HTML; charset=us-ascii",
    "application/octet-stream", 'application/pdf; name="a b.pdf"', "image/png; name*=utf-8''%C3%A4.png",
    "application/x; name*0=ab; name*1=cd", "text", "text/", "/plain", "", "text/plain; charset", "text/plain; =x; a=b",
    "text/plain;charset=utf-8;;", 'text/plain; charset="unclosed', "text/plain (comment); charset=utf-8 (another)", "text / plain",
    "text/plain charset=utf-8", "audio/x-y", "text/plain; a=1; a=2", 'x/y; q="a\\"b\\\\c"', "garbage more garbage",
)  # fmt: skip
_ENCODINGS = ("7bit", "8bit", "base64", "quoted-printable", "BASE64", "x-strange", "", "base64 (comment)", '"base64"')
_DISPOSITIONS = (
    "inline", "attachment", 'attachment; filename="a b.txt"', "attachment; filename*=utf-8''%e2%82%ac.txt; size=5", "", "x y; z",
    "ATTACHMENT; FILENAME=a", "; filename=x",
)  # fmt: skip
_FIELDS = (
    ("Content-ID", ("<a@b>", "a@b", "")),
    ("Content-Description", ("what it is", "=?utf-8?q?=C3=84?=", "")),
    ("Content-MD5", ("Q2hlY2sgSW50ZWdyaXR5IQ==", "x y")),
    ("Content-Language", ("en", "en, de", "en, de (German), fr", "")),
    ("Content-Location", ("http://a.test/b", "http://a.test/\r\n b")),
)
_ODD_FIELDS = (
    "X-Nasty: a", "X-Nasty:", "x-nasty: b\r\n\tc", "X-Empty:   ", "no colon at all", "X Space: in the name",
    "X-Long: " + "y" * 1200,
)  # fmt: skip


class Maker:
    """Makes one message after another."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._ids: list[str] = []
        self._boundaries = 0

    def messages(self, count: int) -> list[bytes]:
        """Return so many."""
        return [self._message(number) for number in range(count)]

    def _some(self, share: float) -> bool:
        return self._chance.random() < share

    def _message(self, number: int) -> bytes:
        fields = self._header(number)
        content_fields, body = self._entity(3, top=True)
        self._chance.shuffle(fields)
        text = "".join(f"{field}\r\n" for field in fields + content_fields)
        whole = (text + "\r\n" + body) if not self._some(0.02) else text
        return whole.encode("latin-1")

    def _header(self, number: int) -> list[str]:
        chance, fields = self._chance, []
        for name, share in (("From", 0.95), ("To", 0.8), ("Cc", 0.4), ("Bcc", 0.1), ("Sender", 0.2), ("Reply-To", 0.3)):
            for _ in range(2 if self._some(0.04) else 1):
                if self._some(share):
                    fields.append(f"{name}: {chance.choice(_ADDRESSES)}")
        if self._some(0.9):
            subject = chance.choice(_SUBJECTS).encode("utf-8").decode("latin-1")
            fields.append(f"{chance.choice(['Subject', 'SUBJECT', 'subject', 'Subject '])}: {subject}")
        if self._some(0.9):
            fields.append(f"Date: {chance.choice(_DATES)}")
        if self._some(0.9):
            self._ids.append(f"<{number}.{chance.randrange(10**6)}@x.test>")
            fields.append(f"Message-ID: {self._ids[-1]}")
        near = chance.choices(self._ids[-10:] or ["<none@x.test>"], k=chance.choice([0, 0, 1, 2, 4]))
        if near:
            fields.append(f"{chance.choice(['References', 'References', 'In-Reply-To'])}: " + "\r\n ".join(near))
        fields += chance.choices(_ODD_FIELDS, k=chance.choice([0, 0, 1, 3]))
        return fields

    def _entity(self, depth: int, *, top: bool = False) -> tuple[list[str], str]:
        """Return the content fields of a part, or a message, and its body."""
        kind = self._chance.random()
        if depth and kind < (0.45 if top else 0.2):
            return self._multipart(depth)
        if depth and kind < (0.55 if top else 0.35):
            return self._inner(depth)
        return self._leaf(top)

    def _extras(self) -> list[str]:
        fields = [f"{name}: {self._chance.choice(values)}" for name, values in _FIELDS if self._some(0.15)]
        if self._some(0.4):
            fields.append(f"Content-Disposition: {self._chance.choice(_DISPOSITIONS)}")
        return fields

    def _leaf(self, top: bool) -> tuple[list[str], str]:
        chance, fields = self._chance, self._extras()
        if self._some(0.85):
            fields.append(f"{chance.choice(['Content-Type', 'content-type'])}: {chance.choice(_TYPES)}")
        text = "\r\n".join(
            " ".join(chance.choices(_WORDS, k=chance.randint(0, 9))) for _ in range(chance.randint(0, 6))
        )
        octets = text.encode(chance.choice(["utf-8", "latin-1"]))
        if self._some(0.6):
            encoding = chance.choice(_ENCODINGS)
            fields.append(f"Content-Transfer-Encoding: {encoding}")
            if "64" in encoding and self._some(0.8):
                octets = base64.encodebytes(octets).replace(b"\n", b"\r\n")
        if top:
            fields.insert(0, "MIME-Version: 1.0")
        return fields, octets.decode("latin-1") + "\r\n" * chance.choice([0, 1, 1, 1, 2])

    def _multipart(self, depth: int) -> tuple[list[str], str]:
        chance = self._chance
        self._boundaries += 1
        boundary = chance.choice(["b{}", "=_{}", "a b{}", "b", "{}" + "z" * 66, "'{}'", "b{}--"]).format(
            self._boundaries
        )
        kind = chance.choice(["mixed", "alternative", "related", "digest", "x-own", "signed", "MIXED"])
        told = chance.choice(
            [f'boundary="{boundary}"', f'BOUNDARY="{boundary}"; type="text/html"', f'charset=x; boundary="{boundary}"']
        )
        if self._some(0.04):
            told = chance.choice(["", "boundary", 'boundary=""', "boundary=other"])
        fields = [*self._extras(), f"Content-Type: multipart/{kind}; {told}"]
        lines = [chance.choice(["", "", "preamble\r\n", "--\r\n"])]
        for _ in range(chance.choice([0, 1, 1, 2, 2, 3])):
            part_fields, body = self._entity(depth - 1)
            lines.append(f"--{boundary}{chance.choice(['', '', '', ' ', chr(9)])}\r\n")
            lines += [f"{field}\r\n" for field in part_fields]
            lines.append(f"\r\n{body}\r\n" if not self._some(0.03) else "\r\n")
        if self._some(0.9):
            lines.append(
                f"--{boundary}--{chance.choice(['', chr(13) + chr(10), chr(13) + chr(10) + 'epilogue' + chr(13) + chr(10)])}"
            )
        return fields, "".join(lines)

    def _inner(self, depth: int) -> tuple[list[str], str]:
        """A message inside."""
        fields = [*self._extras(), "Content-Type: message/rfc822"]
        inner_fields, body = self._entity(depth - 1)
        header = self._header(self._chance.randrange(10**6))
        return fields, "".join(f"{field}\r\n" for field in header + inner_fields) + "\r\n" + body
