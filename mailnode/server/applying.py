"""Configurations that a running server takes over, on trial or for good, and what it keeps of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar, TypeVarTuple

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mailnode.admin.administration import Applied, ConfigComparison, ConfigDifferenceRow, VersionRecord
from mailnode.config.comparison import differences
from mailnode.config.holder import Holder
from mailnode.config.schema import Config
from mailnode.config.versions import ConfigVersions, How, VersionState
from mailnode.errors import Busy, ConfigurationError, DomainError
from mailnode.interfaces.runtime import IClock, IDelayed, IThreads
from mailnode.interfaces.turns import Places
from mailnode.server.config_source import VERSIONS, ChosenConfig, ConfigSource
from mailnode.server.reloading import Changes, Reloading
from mailnode.values.events import emit, moment

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

AGAIN = 60.0  # seconds until what could not be put back is tried again

_log = Logger()


async def _nothing() -> None:
    """There is nothing to do."""


class ConfigApplying:
    """:meth:`start` once the data directory is there, :meth:`stop` at the end."""

    def __init__(
        self,
        source: ConfigSource,
        started_with: ChosenConfig,
        holder: Holder,
        reloading: Reloading,
        clock: IClock,
        threads: IThreads,
        taken: Callable[[], Awaitable[object]] = _nothing,
    ) -> None:
        """:param taken: called when another configuration has come into use other than by :meth:`reload`."""
        self._source = source
        self._started_with = started_with
        self._holder = holder
        self._reloading = reloading
        self._clock = clock
        self._threads = threads
        self._taken = taken
        self._versions = _kept(source, started_with.config.server.data)
        self._one_at_a_time = Places()
        self._timer: IDelayed | None = None

    async def start(self) -> None:
        """Write down what the server has started with, and go on with a trial that the last one began."""
        versions, chosen = self._versions, self._started_with
        if versions is None:
            return
        try:
            state = await self._threads.run("disk", versions.state)
            if chosen.failed and state.trial is not None:
                await self._put_down(state)
            elif state.trial is not None and not chosen.instead:
                await self._threads.run("disk", versions.replace_trial, chosen.text, self._clock.seconds(), "start")
                self._wait(state.trial.until)
            elif not chosen.instead:
                await self._record(chosen.text, "start")
        except OSError as error:
            _not_kept(error)
        for mistake in chosen.unusable:
            _log.warn(
                "the configuration that was to be put back cannot be used, and the file is: {mistake}", mistake=mistake
            )
        if chosen.instead:
            _log.warn(
                "version {number} of the configuration is in use, not the file, whose trial failed: change the file, or take it"
                " over with mailnode config apply",
                number=chosen.instead,
            )

    def stop(self) -> None:
        """End no trial any more; the next start does."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    async def reload(self) -> Changes:
        """Take over what can change of the file, or of what stands in for it, or nothing. A trial that stands goes on."""
        async with self._one_at_a_time:
            read: list[ChosenConfig] = []

            def choose() -> Config:
                read.append(self._source.choose(self._clock.seconds()))
                return read[0].config

            changes = await self._reloading.take(choose)
            versions = self._versions
            if versions is not None and not changes.mistakes and not read[0].instead:
                try:
                    state = await self._threads.run("disk", versions.state)
                    if state.trial is None:
                        await self._record(read[0].text, "reload")
                    else:
                        now = self._clock.seconds()
                        await self._threads.run("disk", versions.replace_trial, read[0].text, now, "reload")
                except (OSError, Busy) as error:
                    _not_kept(error)
            return changes

    async def apply(self, confirm: float) -> Applied:
        """Take over what can change of the file. :param confirm: seconds within which it is to be confirmed; 0: it stays.

        :raises ConfigurationError: nothing was.
        """
        async with self._one_at_a_time:
            versions = self._needed()
            text = self._source.text()
            wanted = self._source.of_text(text)  # certificates are read when they are taken over
            state = await self._written(versions.state)
            if not confirm:
                # Written down before it is in use: what cannot be kept is not taken over, and a trial goes on.
                number = await self._written(versions.record, text, self._clock.seconds(), "apply")
                changes = await self._taken_over(wanted, state)
                self.stop()
                await self._taken()
                return {**_told(changes), "version": number, "until": ""}
            self._check_trial(state, wanted)
            until = self._clock.seconds() + confirm
            trial = await self._written(versions.begin_trial, text, self._clock.seconds(), until)
            changes = await self._taken_over(wanted, state)
            emit(_log, "config.trial", version=trial.number, until=moment(until))
            self._wait(until)
            await self._taken()
            return {**_told(changes), "version": trial.number, "until": moment(until)}

    async def confirm(self) -> int:
        """Let what is on trial stay; return its number. :raises ConfigurationError: nothing is."""
        async with self._one_at_a_time:
            versions = self._needed()
            trial = (await self._written(versions.state)).trial
            if trial is None:
                raise ConfigurationError(["no configuration is on trial"])
            await self._written(versions.confirm)
            self.stop()
            emit(_log, "config.confirmed", version=trial.number)
            return trial.number

    async def compare(self, number: int) -> ConfigComparison:
        """Return what is different between what is in use and the file, or a version. :param number: of it; 0: the file.

        :raises ConfigurationError: it cannot be read.
        """
        versions = self._needed()
        text = await self._threads.run("disk", versions.text, number) if number else self._source.text()
        found: list[ConfigDifferenceRow] = [
            {"key": one.key, "running": one.before, "other": one.after, "live": one.live}
            for one in differences(self._holder.config, self._source.of_text(text))
        ]
        other = f"version {number}" if number else str(self._source.file)
        return {"other": other, "differences": found}

    async def versions(self) -> list[VersionRecord]:
        """Return those that are kept, the oldest first. :raises ConfigurationError: there is no file."""
        state = await self._written(self._needed().state)
        return [
            {
                "version": one.number,
                "at": moment(one.at),
                "how": one.how,
                "state": _state(state, one.number, one.rolled_back),
            }
            for one in state.versions
        ]

    async def _taken_over(self, wanted: Config, state: VersionState) -> Changes:
        """Take over what was written down. :param state: as it was before.
        :raises ConfigurationError: nothing was, and nothing is written down."""
        try:
            return _without_mistakes(await self._reloading.take(lambda: wanted))
        except ConfigurationError:
            await self._written(self._needed().restore, state)
            raise

    def _needed(self) -> ConfigVersions:
        if self._versions is None:
            raise ConfigurationError(["the demonstration has no configuration file"])
        return self._versions

    def _check_trial(self, state: VersionState, wanted: Config) -> None:
        """:raises ConfigurationError: it would be no trial."""
        if not state.current:
            raise ConfigurationError(["no earlier configuration is known to go back to: apply it without --confirm"])
        if wanted.server.data != self._holder.config.server.data:
            raise ConfigurationError(["server.data: another one cannot be tried out: what is put back is kept in it"])

    async def _record(self, text: bytes, how: How) -> None:
        assert self._versions is not None
        await self._threads.run("disk", self._versions.record, text, self._clock.seconds(), how)

    async def _written(self, write: Callable[[*Ts], T], *arguments: *Ts) -> T:
        """Write something down, or read it. :raises ConfigurationError: it could not be."""
        try:
            return await self._threads.run("disk", write, *arguments)
        except OSError as error:
            raise ConfigurationError(
                [f"{error.filename or VERSIONS}: cannot be read or written: {error.strerror}"]
            ) from None

    # The end of a trial

    def _wait(self, until: float) -> None:
        self.stop()
        self._timer = self._clock.callLater(max(0.0, until - self._clock.seconds()), self._over)

    def _over(self) -> None:
        self._timer = None
        Deferred.fromCoroutine(self._end()).addErrback(
            lambda failure: _log.failure("the configuration could not be put back", failure)
        )

    async def _end(self) -> None:
        async with self._one_at_a_time:
            versions = self._needed()
            try:
                state = await self._threads.run("disk", versions.state)
                trial = state.trial
                if trial is None:
                    return
                if self._clock.seconds() < trial.until:  # the clock was set back
                    self._wait(trial.until)
                    return
                text = await self._threads.run("disk", versions.text, trial.fallback)
                changes = _without_mistakes(await self._reloading.take(lambda: self._source.of_text(text)))
                await self._put_down(state, changes.needs_restart)
                await self._taken()
            except (DomainError, OSError) as error:
                _log.error("the configuration could not be put back yet: {error}", error=str(error))
                self._timer = self._clock.callLater(AGAIN, self._over)

    async def _put_down(self, state: VersionState, needs_restart: list[str] | None = None) -> None:
        """Write down that a trial has failed."""
        assert self._versions is not None and state.trial is not None
        await self._threads.run("disk", self._versions.roll_back, self._clock.seconds())
        emit(
            _log,
            "config.rolled_back",
            warning=True,
            version=state.trial.number,
            instead=state.trial.fallback,
            needs_restart=",".join(needs_restart or []),
        )


def _kept(source: ConfigSource, data: Path) -> ConfigVersions | None:
    return None if source.file is None else ConfigVersions(data / VERSIONS)


def _not_kept(error: OSError | Busy) -> None:
    _log.warn("the configuration could not be kept as a version: {error}", error=str(error))


def _without_mistakes(changes: Changes) -> Changes:
    if changes.mistakes:
        raise ConfigurationError(changes.mistakes)
    return changes


def _told(changes: Changes) -> Applied:
    return {"applied": changes.applied, "needs_restart": changes.needs_restart, "version": 0, "until": ""}


def _state(state: VersionState, number: int, rolled_back: float) -> str:
    if state.trial is not None and state.trial.number == number:
        return f"on trial until {moment(state.trial.until)}"
    if state.trial is not None and state.trial.fallback == number:
        return "put back if the trial fails"
    if rolled_back:
        return f"rolled back {moment(rolled_back)}"
    return "in use" if number == state.current else ""
