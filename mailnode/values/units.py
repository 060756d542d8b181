"""Sizes and durations with a unit: ``"50MB"``, ``"512 KiB"``, ``"30s"``, ``"7d"``."""

from __future__ import annotations

import re
from typing import overload

_QUANTITY = re.compile(r"([0-9]{1,15}) ?([A-Za-z]{1,3})\Z")
# K is 1024 however it is written: what mail servers and their users have always meant by a message of 50 MB.
_OCTETS = {
    "B": 1,
    **{unit + end: 1024**power for power, unit in enumerate(("K", "M", "G", "T"), 1) for end in ("", "B", "IB")},
}
_SECONDS = {"S": 1, "M": 60, "H": 3600, "D": 86_400, "W": 604_800}


@overload
def octets(value: str) -> int: ...
@overload
def octets(value: object) -> object: ...
def octets(value: object) -> object:
    """Return the octets a text with a unit stands for; anything else as it is. :raises ValueError: no such text."""
    return _read(value, _OCTETS, 'should be a number of octets, or with a unit in quotes: "512K", "50MB", "1G"')


@overload
def seconds(value: str) -> float: ...
@overload
def seconds(value: object) -> object: ...
def seconds(value: object) -> object:
    """The same for seconds, as a float."""
    read = _read(
        value, _SECONDS, 'should be a number of seconds, or with a unit in quotes: "30s", "5m", "2h", "7d", "1w"'
    )
    return float(read) if isinstance(read, int) and isinstance(value, str) else read


def _read(value: object, units: dict[str, int], words: str) -> object:
    if not isinstance(value, str):
        return value
    found = _QUANTITY.match(value)
    unit = units.get(found[2].upper()) if found else None
    if found is None or unit is None:
        raise ValueError(f"{words}, not {value!r}")
    return int(found[1]) * unit
