"""A file that names many accounts, a line each: read, with all that is wrong in it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mailnode.errors import BadAddress
from mailnode.values import units
from mailnode.values.address import Address, parse_address

COLUMNS = ("address", "password", "hash", "quota", "quota_messages", "role", "aliases")
MAX_OCTETS = 16_777_216
MAX_LINES = 20_000
MAX_FIELD = 4_000  # characters
MAX_ALIASES = 50  # of one account


class WrongLine(Exception):
    """A line that cannot be taken; the text says why, without a password or hash."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(f"line {line}: {text}")
        self.line = line


@dataclass(frozen=True, slots=True)
class AccountLine:
    """One account. One of ``password`` and ``hash`` is "". Quotas: octets and messages, 0 is none."""

    line: int
    address: Address
    password: str
    hash: str
    quota: int
    quota_messages: int
    role: str
    aliases: tuple[Address, ...]


def read_accounts(octets: bytes) -> tuple[list[AccountLine], list[WrongLine]]:
    """Return what a file says, and what is wrong with it, both in the order of its lines."""
    found: list[AccountLine] = []
    wrong: list[WrongLine] = []
    try:
        for number, names, row in _rows(octets):
            try:
                found.append(_account(number, _fields(number, names, row)))
            except WrongLine as error:
                wrong.append(error)
    except WrongLine as error:  # behind it nothing can be read
        wrong.append(error)
    return found, wrong + _twice(found)


def _rows(octets: bytes) -> Iterator[tuple[int, Sequence[str], Sequence[str]]]:
    """Yield the number of each line, the columns and what stands there.

    :raises WrongLine: the file cannot be read on from there.
    """
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise WrongLine(octets.count(b"\n", 0, error.start) + 1, "not UTF-8") from None
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if ";" in first else ",", strict=True)
    names: list[str] = []
    before = 0
    try:
        for row in reader:
            number, before = before + 1, reader.line_num
            if reader.line_num > MAX_LINES:
                raise WrongLine(number, f"more than {MAX_LINES} lines")
            if not any(field.strip() for field in row):
                continue
            if not names:
                names = _names(number, row)
            else:
                yield number, names, row
    except csv.Error:
        raise WrongLine(
            before + 1, f"quotation marks that do not fit, or a field of more than {MAX_FIELD} characters"
        ) from None
    if not names:
        raise WrongLine(1, f"should name the columns: {', '.join(COLUMNS)}")


def _fields(number: int, names: Sequence[str], row: Sequence[str]) -> Mapping[str, str]:
    """:raises WrongLine:"""
    if len(row) != len(names):
        raise WrongLine(number, f"{len(row)} fields, where the first line names {len(names)} columns")
    return dict(zip(names, row, strict=True))


def _names(number: int, row: Sequence[str]) -> list[str]:
    names = [field.strip().lower() for field in row]
    unknown = [name for name in names if name not in COLUMNS]
    if unknown:
        raise WrongLine(number, f"no such column: {unknown[0][:50]!r}; there are {', '.join(COLUMNS)}")
    if len(set(names)) != len(names):
        raise WrongLine(number, "a column stands there twice")
    if "address" not in names or not {"password", "hash"} & set(names):
        raise WrongLine(number, "should have the columns address, and password or hash")
    return names


def _account(number: int, fields: Mapping[str, str]) -> AccountLine:
    """:raises WrongLine:"""
    if any(len(field) > MAX_FIELD for field in fields.values()):
        raise WrongLine(number, f"a field of more than {MAX_FIELD} characters")
    address = _address(number, fields["address"])
    password, hash = fields.get("password", ""), fields.get("hash", "").strip()
    if bool(password) == bool(hash):
        raise WrongLine(number, f"{address}: should have a password or a hash, one of both")
    role = fields.get("role", "").strip() or "user"
    if role not in ("user", "admin"):
        raise WrongLine(number, f"{address}: role should be user or admin")
    aliases = tuple(_address(number, text) for text in fields.get("aliases", "").split())
    if len(aliases) > MAX_ALIASES:
        raise WrongLine(number, f"{address}: more than {MAX_ALIASES} aliases")
    quota = _number(number, f"{address}: quota", fields.get("quota", ""), octets=True)
    messages = _number(number, f"{address}: quota_messages", fields.get("quota_messages", ""))
    return AccountLine(number, address, password, hash, quota, messages, role, aliases)


def _address(number: int, text: str) -> Address:
    try:
        return parse_address(text.strip())
    except BadAddress as error:
        raise WrongLine(number, f"{text.strip()[:100]!r}: not an address ({error})") from None


def _number(number: int, what: str, text: str, *, octets: bool = False) -> int:
    text = text.strip()
    if not text:
        return 0
    if text.isascii() and text.isdecimal() and len(text) < 19:
        return int(text)
    if octets:
        try:
            return int(units.octets(text))
        except ValueError:
            pass
    raise WrongLine(number, f"{what} should be a number{', or with a unit such as 500M' if octets else ''}")


def _twice(found: Sequence[AccountLine]) -> list[WrongLine]:
    """Return the lines that name what one before them does."""
    seen: dict[str, int] = {}
    wrong = []
    for one in found:
        for address in (one.address, *one.aliases):
            first = seen.setdefault(address.key, one.line)
            if first != one.line or (address is not one.address and address.key == one.address.key):
                wrong.append(WrongLine(one.line, f"{address}: stands in line {first} already"))
    return wrong
