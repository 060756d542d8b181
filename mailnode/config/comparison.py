"""What is different between two configurations, key by key, as it may be shown: what is secret is not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from mailnode.config.changes import is_live
from mailnode.config.schema import Config

HIDDEN = "(hidden)"
MAX_SHOWN = 400  # characters of a value

_SECRET_NAME = re.compile(
    r"(?:password|passwd|passphrase|secret|token|credential|(?:api|access|private|secret|shared)[_-]?key)s?\Z",
    re.IGNORECASE,
)
_URL_SECRET = re.compile(r"://[^\s\"']*@")
_PARAMETER_SECRET = re.compile(r"((?:password|passwd|secret|token|key)=)[^&\s\"']+", re.IGNORECASE)
_INDEX = re.compile(r"\[[0-9]+\]")


@dataclass(frozen=True, slots=True)
class ConfigDifference:
    """One key. ``before`` and ``after`` are its values as text, "" where it is not there."""

    key: str
    before: str
    after: str
    live: bool  # can be taken over while a server runs


def differences(before: Config, after: Config) -> list[ConfigDifference]:
    """Return what is different, in the order of the schema."""
    old, new = dict(_values(before, "")), dict(_values(after, ""))
    return [
        ConfigDifference(key, _shown(key, old.get(key)), _shown(key, new.get(key)), _is_live(key))
        for key in dict.fromkeys([*old, *new])
        if old.get(key) != new.get(key)
    ]


def _is_live(key: str) -> bool:
    """Whether a key of any depth belongs to what can change."""
    section, _, name = _INDEX.sub("", key).partition(".")
    return is_live(f"{section}.{name.partition('.')[0]}")


def _values(value: object, key: str) -> Iterator[tuple[str, object]]:
    """Yield (key, value) of all that stands in a section, or in what it holds."""
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _values(getattr(value, name), f"{key}.{name}" if key else name)
    elif isinstance(value, Mapping):
        for name, one in value.items():
            yield from _values(one, f"{key}.{name}")
    elif isinstance(value, list) and any(isinstance(one, BaseModel | Mapping) for one in value):
        for index, one in enumerate(value):
            yield from _values(one, f"{key}[{index}]")
    elif value is not None:
        yield key, value


def _shown(key: str, value: object) -> str:
    if value is None:
        return ""
    if _SECRET_NAME.search(key):
        return HIDDEN
    if key == "auth.checkers" and isinstance(value, Sequence):  # some hold passwords: what a checker is, alone
        value = [f"{str(one).partition(':')[0]}:{HIDDEN}" if ":" in str(one) else one for one in value]
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    text = _URL_SECRET.sub(f"://{HIDDEN}@", text)
    text = _PARAMETER_SECRET.sub(rf"\1{HIDDEN}", text)
    text = "".join(one if one.isprintable() else " " for one in text)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]} ..."
