"""Messages as nobody should write them and somebody does: a few hundred, the same for the same seed.

Each is put together of headers, bodies and multiparts of which some are broken in one of the ways met in the field: fields
without an end, boundaries that are missing, repeated, nested in themselves or never closed, encodings that are not what they
say, charsets that are none, octets that are no text.
"""

from __future__ import annotations

from random import Random

CRLF = b"\r\n"

SUBJECTS = (
    b"Subject: plain",
    b"Subject:",
    b"Subject: folded\r\n over\r\n\tthree lines",
    b"Subject: =?utf-8?q?=C3=BC=00?= =?utf-8?b?4oKs?=",
    b"Subject: =?idna?q?xn--?= =?zlib?b?eJw=?= =?unicode_escape?q?=5Cud800?=",
    b"Subject: =?utf-8?b?4oK",
    b"Subject: caf\xe9 \xe2\x82\xac \xff\xfe",
    b'Subject: "quotes" and \\ and {5}',
    b"Subject: bare\rcr and bare\nlf",
    b"Subject: nul\0inside",
    b"Subject: one\r\nSubject: two",
    b"subject : space before the colon",
    b"Subject: " + b"x" * 1500,
    b" Subject: the first line is a continuation",
)
SENDERS = (
    b"From: Ann <ann@a.test>",
    b"From: ann@a.test (Ann)",
    b"From: undisclosed: ;",
    b"From: group: a@b.test, Bob <b@c.test>;, last@d.test",
    b"From: group: a@b.test",
    b"From: <@a.test,@b.test:c@d.test>",
    b'From: "Quoted \\" name" <"local part"@a.test>',
    b"From: =?utf-8?q?A=2C_B?= <a@b.test>",
    b"From:",
    b"From: no address at all",
    b"From: <>",
    b"From: a@b@c.test, ,, <d@e.test",
    b"From: \xe4\xf6 <\xfc@b.test>",
    b"From: a@b.test\r\nFrom: c@d.test",
    b"X-None: no author",
)
OTHERS = (
    b"To: a@b.test, c@d.test\r\nCc: e@f.test",
    b"To: " + b", ".join([b"u%d@x.test" % n for n in range(60)]),
    b"Date: Mon, 23 Nov 2026 10:00:00 +0100",
    b"Date: Fri, 31 Feb 99999 25:61:61 +9999",
    b"Date: yesterday",
    b"Message-ID: <a@b>\r\nIn-Reply-To: <c@d> <e@f>\r\nReferences: <c@d>\r\n <c@d> <broken",
    b"Message-ID: no brackets",
    b"MIME-Version: 9.9 (comment (nested",
    b"no colon here",
    b": empty name",
    b"X-" + b"y" * 300 + b": z",
    b"Content-Language: en,, de,\r\nContent-Location: http://x\r\n /y\r\nContent-MD5: nonsense==",
    b'Content-Disposition: attachment; filename="a\\"b.txt"; size=x',
    b"Content-Disposition: attachment; filename*0*=utf-8''%e2%82; filename*1*=%ac; filename*3=z",
    b'Content-Disposition: "inline"; filename',
    b"Content-ID: <>\r\nContent-Description: =?x?",
)
ENCODINGS = (
    b"",
    b"Content-Transfer-Encoding: 7bit",
    b"Content-Transfer-Encoding: base64",
    b"Content-Transfer-Encoding: quoted-printable",
    b"Content-Transfer-Encoding: 8-bit (comment)",
    b"Content-Transfer-Encoding: x-uuencode",
    b"Content-Transfer-Encoding:",
    b'Content-Transfer-Encoding: "base64"; x',
)
TYPES = (
    b"",
    b"Content-Type: text/plain; charset=utf-8",
    b'Content-Type: text/html; charset="zlib"',
    b"Content-Type: text/plain; charset=",
    b"Content-Type: text",
    b"Content-Type: /",
    b"Content-Type: text/plain; charset=us-ascii; charset=utf-8; name*=utf-16''%00",
    b'Content-Type: application/octet-stream; name="=?utf-8?q?=E2=82?="',
    b"Content-Type: image/\xff; a=(b",
    b"Content-Type: message/delivery-status",
    b"Content-Type: message/partial; number=1; total=0; id=x",
    b"Content-Type: message/global",
    b'Content-Type: TEXT/PLAIN (comment) ; CHARSET = "x',
)
BODIES = (
    b"",
    b"text\r\n",
    b"no end of line",
    b"\r\n\r\n\r\n",
    b"bare\nlf and\rcr\r\n",
    b"nul\0 and 8-bit \xff\xfe\r\n",
    b"\x1b]0;title\x07 \x9b31m in a terminal\x7f\r\n",
    b"VGhpcyBpcyBiYXNlNjQ=\r\n",
    b"VGhpcy!!BpcyBi\r\nYXNl=NjQ\r\n===",
    b"soft=\r\nbreak =E2=82=AC =zz =\r\n=",
    b"<html><body><p>a<script>b</script>&#xffffffff;&nbsp<a href='x'>c</body>",
    b"--\r\n--b\r\n--b--\r\nlooks like boundaries\r\n",
    b"From somebody\r\n.\r\n..\r\n",
    b"x" * 5000 + b"\r\n",
    b"\xef\xbb\xbfUTF-8 with a mark \xe2\x82",
)
BOUNDARIES = (b"b", b"b", b"bb", b"b--", b"'()+_,-./:=? x", b"", b"=_" + b"z" * 90, b"b ")

# Too short to be drawn often, and each was told wrongly once or nearly.
ALWAYS = (
    b"C",
    b":",
    b"\r\n",
    b"\n",
    b"\0",
    b"From: x",
    b"To: a@b.test\r\n",
    b"X-Only: no empty line\r\n",
    b"\r\n\r\n",
    b"\xff",
)


class Nasty:
    """Draws messages. One seed, one sequence, whatever the version of Python."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def one(self, choices: tuple[bytes, ...]) -> bytes:
        """Draw one of some."""
        return choices[int(self._random.random() * len(choices))]

    def chance(self, of: float) -> bool:
        """Whether something happens."""
        return self._random.random() < of

    def message(self, depth: int = 0) -> bytes:
        """Draw a message."""
        fields = [self.one(SUBJECTS), self.one(SENDERS)]
        fields += [self.one(OTHERS) for _ in range(int(self._random.random() * 5))]
        if self.chance(0.1):
            fields = []
        return self._entity(fields, depth)

    def _entity(self, fields: list[bytes], depth: int) -> bytes:
        """Draw content for a header; the end of the header may be missing."""
        kind = self._random.random()
        if depth < 5 and kind < 0.55 - 0.08 * depth:
            content_type, body = self._multipart(depth)
        elif depth < 5 and kind < 0.7 - 0.08 * depth:
            content_type, body = b"Content-Type: message/rfc822", self.message(depth + 1)
        else:
            content_type, body = self.one(TYPES), self.one(BODIES) + self.one(BODIES)
        fields = [field for field in (*fields, self.one(ENCODINGS), content_type) if field]
        if self.chance(0.15):
            fields.reverse()
        end = CRLF + CRLF
        if self.chance(0.06):
            end = self.one((b"", b"\r\n", b"\n\n", b"\r\n \r\n", b"\r\n\r\n\r\n"))
        header = CRLF.join(fields)
        return header + (end if header else CRLF) + body

    def _multipart(self, depth: int) -> tuple[bytes, bytes]:
        boundary = self.one(BOUNDARIES)
        subtype = self.one((b"mixed", b"alternative", b"digest", b"related", b"signed", b"x-unknown", b"report"))
        written = self.one((b'; boundary="%b"', b"; boundary=%b", b";boundary*0=%b", b'; x=y; boundary="%b', b"")) + b""
        content_type = b"Content-Type: multipart/" + subtype + (written % boundary if b"%b" in written else written)
        lines = [self.one((b"", b"preamble\r\n", b"\r\n", b"--bb\r\n"))]
        for _ in range(int(self._random.random() * 4)):
            space = self.one((b"", b"", b"", b" ", b"\t \t", b"x"))
            lines.append(b"--" + boundary + space + CRLF)
            lines.append(self._entity([self.one(OTHERS)] if self.chance(0.4) else [], depth + 1))
            lines.append(self.one((CRLF, CRLF, CRLF, b"", b"\n")))
        if self.chance(0.8):
            lines.append(b"--" + boundary + self.one((b"--\r\n", b"--", b"-- \r\nepilogue", b"--x\r\n", b"-\r\n")))
        return content_type, b"".join(lines)


def messages(seed: int, count: int) -> list[bytes]:
    """Return so many messages, none of them empty: those above, then drawn ones, of which every eighth is cut off somewhere."""
    nasty = Nasty(seed)
    made = list(ALWAYS)
    for number in range(count - len(ALWAYS)):
        message = nasty.message()
        if number % 8 == 7:
            message = message[: int(nasty._random.random() * len(message))]
        made.append(message or b"\r\n")
    return made
