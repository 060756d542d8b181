"""The configurations that were taken over, kept as they were: the latest, the one on trial, and what became of those before.

They are in a folder of the data directory that its owner alone can read. Each file is there as a whole or not at all, and the state
changes by one file that takes another's place: a crash leaves the one before or the one after.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from mailnode.durable import write_whole
from mailnode.errors import ConfigurationError

KEPT = 20  # versions
MAX_STATE = 65_536  # octets

How: TypeAlias = Literal["start", "reload", "apply", "trial"]

_STATE = "state.json"


@dataclass(frozen=True, slots=True)
class ConfigVersion:
    """One of them. ``at``: when it was taken over, UTC seconds."""

    number: int  # from 1 on
    at: float
    how: How
    digest: str  # SHA-256 of its text, in hexadecimal
    rolled_back: float = 0.0  # when, UTC seconds; 0: it was not


@dataclass(frozen=True, slots=True)
class ConfigTrial:
    """A version that is put back unless it is confirmed until then, in UTC seconds."""

    number: int
    fallback: int
    until: float


@dataclass(frozen=True, slots=True)
class VersionState:
    """What is known of all. ``refused``: the number of the version that was put back last, whose text may still stand in the file;
    0: none. ``fallback``: the one in its place."""

    versions: tuple[ConfigVersion, ...] = ()
    trial: ConfigTrial | None = None
    refused: int = 0
    fallback: int = 0

    def of(self, number: int) -> ConfigVersion:
        """Return one. :raises ConfigurationError: there is none of that number."""
        for version in self.versions:
            if version.number == number:
                return version
        raise ConfigurationError([f"there is no version {number} of the configuration"])

    @property
    def current(self) -> int:
        """The number of the version in use, as far as it is written down; 0: none is."""
        if self.refused:
            return self.fallback
        return self.versions[-1].number if self.versions else 0

    def refuses(self, digest: str) -> bool:
        """Whether a text is the one that was put back last."""
        return bool(self.refused) and self.of(self.refused).digest == digest


def digest_of(text: bytes) -> str:
    """Return what a text is known by."""
    return hashlib.sha256(text).hexdigest()


class ConfigVersions:
    """Those in one folder. Every method reads or writes files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def state(self) -> VersionState:
        """Return what is known. What is damaged is not known. :raises OSError: it cannot be read at the moment."""
        try:
            with (self._folder / _STATE).open("rb") as file:
                octets = file.read(MAX_STATE)
        except (FileNotFoundError, NotADirectoryError):
            return VersionState()
        try:
            told = json.loads(octets)
            trial = told["trial"]
            versions = tuple(ConfigVersion(**one) for one in told["versions"])
            state = VersionState(versions, ConfigTrial(**trial) if trial else None, told["refused"], told["fallback"])
            on_trial = (state.trial.number, state.trial.fallback) if state.trial is not None else ()
            for number in (state.refused, state.fallback, *on_trial):
                if number:
                    state.of(number)
        except (ValueError, TypeError, KeyError, RecursionError, ConfigurationError):
            return VersionState()
        return state

    def text(self, number: int) -> bytes:
        """Return the text of a version. :raises ConfigurationError: it is not there, or not as it was written."""
        try:
            version = self.state().of(number)
            text = self._file(number).read_bytes()
        except OSError as error:
            raise ConfigurationError(
                [f"version {number} of the configuration: cannot be read: {error.strerror}"]
            ) from None
        if digest_of(text) != version.digest:
            raise ConfigurationError([f"version {number} of the configuration: is not as it was written"])
        return text

    def record(self, text: bytes, at: float, how: How) -> int:
        """Keep a text that is in use from now on, on no trial any more; return its number. The same text as before has that
        of before. :param at: UTC seconds. :raises OSError:"""
        state = self.state()
        number, state = self._with(state, text, at, how)
        self._write(replace(state, trial=None, refused=0, fallback=0))
        return number

    def replace_trial(self, text: bytes, at: float, how: How) -> int:
        """Keep another text in place of the one on trial, with the same end of it. :raises OSError:"""
        state = self.state()
        assert state.trial is not None
        number, after = self._with(state, text, at, how)
        self._write(replace(after, trial=replace(state.trial, number=number)))
        return number

    def begin_trial(self, text: bytes, at: float, until: float) -> ConfigTrial:
        """Keep a text that is tried out from now on; what is put back otherwise is what nobody had to confirm.

        :param at: UTC seconds. :param until: as well. :raises OSError:
        """
        state = self.state()
        fallback = state.trial.fallback if state.trial is not None else state.current
        number, state = self._with(state, text, at, "trial", new=True, keep=(fallback,))
        trial = ConfigTrial(number, fallback, until)
        self._write(replace(state, trial=trial, refused=0, fallback=0))
        return trial

    def confirm(self) -> None:
        """End the trial: what is in use stays. :raises OSError:"""
        self._write(replace(self.state(), trial=None))

    def roll_back(self, at: float) -> None:
        """End the trial: what was before is in use again, whatever stands in the file, until something else stands there.

        :param at: UTC seconds. :raises OSError:"""
        state = self.state()
        trial = state.trial
        assert trial is not None
        versions = tuple(replace(one, rolled_back=at) if one.number == trial.number else one for one in state.versions)
        self._write(VersionState(versions, None, trial.number, trial.fallback))

    def restore(self, state: VersionState) -> None:
        """Have it as it was: what was begun did not come about. :raises OSError:"""
        there = tuple(one for one in state.versions if self._file(one.number).exists())  # the oldest may have made room
        self._write(replace(state, versions=there))

    def _with(
        self, state: VersionState, text: bytes, at: float, how: How, new: bool = False, keep: Sequence[int] = ()
    ) -> tuple[int, VersionState]:
        digest = digest_of(text)
        current = state.current
        if not new and current and state.of(current).digest == digest:
            return current, state
        number = 1 + max((one.number for one in state.versions), default=0)
        self._put(self._file(number), text)
        needed = {*keep, *((state.trial.fallback,) if state.trial is not None else ())}
        versions = (*state.versions, ConfigVersion(number, at, how, digest))
        kept = tuple(one for one in versions[:-KEPT] if one.number in needed) + versions[-KEPT:]
        return number, replace(state, versions=kept)

    def _write(self, state: VersionState) -> None:
        self._put(self._folder / _STATE, json.dumps(asdict(state)).encode())
        wanted = {self._file(one.number).name for one in state.versions}
        for file in self._folder.glob("*.toml"):
            if file.name not in wanted:
                file.unlink(missing_ok=True)

    def _file(self, number: int) -> Path:
        return self._folder / f"{number:06}.toml"

    def _put(self, file: Path, octets: bytes) -> None:
        """Write a file that is there as a whole or not at all, also after a power cut."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        write_whole(file, octets)
