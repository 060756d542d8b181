"""Seeded messages: every one unique, compressible to about half, some with an attachment."""

from __future__ import annotations

import base64
import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

_CONSONANTS, _VOWELS = "bcdfghjklmnprstvwz", "aeiou"
_START = datetime(2020, 1, 1, tzinfo=UTC)


class Messages:
    """An endless, reproducible supply of messages."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)
        chance = self._random
        self._words = [
            "".join(chance.choice(_CONSONANTS) + chance.choice(_VOWELS) for _ in range(chance.randint(1, 4)))
            for _ in range(5000)
        ]
        self._number = 0
        # Ready pieces of text: composing must cost the load's process little.
        self._paragraphs = [self._paragraph(12) for _ in range(400)]
        self._noise = chance.randbytes(1 << 20)

    def _paragraph(self, words: int) -> str:
        return " ".join(self._random.choices(self._words, k=words))

    def message(self, size: int, to: str = "bob@a.test") -> bytes:
        """Return one message of about ``size`` octets, CRLF throughout."""
        self._number += 1
        number, chance = self._number, self._random
        sender = f"{self._words[number % 5000]}@{self._words[number % 977]}.test"
        when = format_datetime(_START + timedelta(seconds=number * 61))
        subject = ("Re: " if number % 3 == 0 else "") + self._paragraph(5)
        header = (
            f"From: {self._words[number % 733].title()} <{sender}>\r\nTo: Bob <{to}>\r\nSubject: {subject} {number}\r\n"
            f"Date: {when}\r\nMessage-ID: <{number}.{chance.getrandbits(64):x}@side.test>\r\nMIME-Version: 1.0\r\n"
            f"X-Mailer: load\r\nReferences: <{max(1, number - number % 5)}.thread@side.test>\r\n"
        )
        if size >= 16_384 or number % 4 == 0:
            return (header + self._multipart(size - len(header), number)).encode()
        return (header + "Content-Type: text/plain; charset=utf-8\r\n\r\n" + self._text(size - len(header))).encode()

    def _text(self, size: int) -> str:
        lines: list[str] = []
        length = 0
        while length < size - 60:
            line = self._random.choice(self._paragraphs)
            # Half of it words, half of it noise: compressible to about half.
            start = self._random.randrange(len(self._noise) - 60)
            line = line[:40] + " " + base64.b64encode(self._noise[start : start + 24]).decode() + "\r\n"
            lines.append(line)
            length += len(line)
        return "".join(lines)

    def _multipart(self, size: int, number: int) -> str:
        text = self._text(max(200, size // 8))
        octets = max(100, (size - len(text) - 500) * 3 // 4)
        start = self._random.randrange(4096)
        noise = (self._noise[start:] * (octets // len(self._noise) + 2))[: octets // 2]
        encoded = base64.encodebytes(noise + b"\0" * (octets - len(noise))).replace(b"\n", b"\r\n").decode()
        boundary = f"b{number}"
        return (
            f'Content-Type: multipart/mixed; boundary="{boundary}"\r\n\r\n--{boundary}\r\n'
            f"Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n--{boundary}\r\n"
            f'Content-Type: application/octet-stream; name="file{number}.bin"\r\nContent-Transfer-Encoding: base64\r\n'
            f'Content-Disposition: attachment; filename="file{number}.bin"\r\n\r\n{encoded}\r\n--{boundary}--\r\n'
        )
