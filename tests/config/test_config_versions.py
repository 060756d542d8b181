"""Versions of the configuration: kept whole, by their owner alone, no more than so many, and never without what may be put back."""

import json
import os
from pathlib import Path

import pytest

from mailnode.config.versions import KEPT, ConfigVersions, VersionState, digest_of
from mailnode.errors import ConfigurationError

ONE, TWO, THREE = b"one = 1\n", b"two = 2\n", b"three = 3\n"


@pytest.fixture
def versions(tmp_path):
    return ConfigVersions(tmp_path / "config-versions")


def numbers(versions):
    return [one.number for one in versions.state().versions]


def test_what_is_taken_over_is_kept_and_can_be_read_by_its_owner_alone(versions, tmp_path):
    os.umask(0o022)
    assert versions.state() == VersionState()
    assert [versions.record(text, at, "reload") for at, text in enumerate((ONE, ONE, TWO, ONE))] == [1, 1, 2, 3]
    assert [versions.text(number) for number in (1, 2, 3)] == [ONE, TWO, ONE]
    assert [(one.at, one.how) for one in versions.state().versions] == [(0, "reload"), (2, "reload"), (3, "reload")]
    folder = tmp_path / "config-versions"
    assert folder.stat().st_mode & 0o777 == 0o700
    files = list(folder.iterdir())
    assert len(files) == 4 and all(file.stat().st_mode & 0o777 == 0o600 for file in files)


def test_no_more_than_the_latest_are_kept(versions, tmp_path):
    for number in range(1, KEPT + 6):
        assert versions.record(b"n = %d\n" % number, number, "reload") == number
    assert numbers(versions) == list(range(6, KEPT + 6))
    assert len(list((tmp_path / "config-versions").glob("*.toml"))) == KEPT


def test_a_trial_that_fails_puts_the_one_before_back(versions):
    versions.record(ONE, 1, "start")
    trial = versions.begin_trial(TWO, 2, 300)
    assert (trial.number, trial.fallback, trial.until) == (2, 1, 300)
    assert versions.state().current == 2 and not versions.state().refuses(digest_of(TWO))
    versions.roll_back(301)
    state = versions.state()
    assert state.trial is None and state.current == 1 and state.fallback == 1
    assert state.refuses(digest_of(TWO)) and not state.refuses(digest_of(ONE)) and not state.refuses(digest_of(THREE))
    assert state.of(2).rolled_back == 301
    assert versions.record(TWO, 400, "apply") == 3
    assert not versions.state().refuses(digest_of(TWO))


def test_a_trial_that_is_confirmed_stays(versions):
    versions.record(ONE, 1, "start")
    versions.begin_trial(TWO, 2, 300)
    versions.confirm()
    assert (versions.state().trial, versions.state().current) == (None, 2)


def test_a_trial_upon_a_trial_puts_back_what_nobody_had_to_confirm(versions):
    versions.record(ONE, 1, "start")
    versions.begin_trial(TWO, 2, 300)
    assert versions.begin_trial(THREE, 3, 400).fallback == 1
    versions.replace_trial(TWO, 4, "reload")
    trial = versions.state().trial
    assert (trial.number, trial.fallback, trial.until) == (4, 1, 400)


def test_what_may_be_put_back_outlives_the_number_that_is_kept(versions):
    versions.record(ONE, 1, "start")
    versions.begin_trial(TWO, 2, 300)
    for number in range(KEPT + 5):
        versions.replace_trial(b"n = %d\n" % number, number, "reload")
    assert numbers(versions)[0] == 1 and len(numbers(versions)) == KEPT + 1
    assert versions.text(1) == ONE


@pytest.mark.parametrize(
    "told", [b"", b"{", b"[]", b'{"versions": [], "trial": null, "refused": 7, "fallback": 7}', b"\xff"]
)
def test_a_state_that_cannot_be_read_is_none(versions, tmp_path, told):
    versions.record(ONE, 1, "start")
    (tmp_path / "config-versions" / "state.json").write_bytes(told)
    assert versions.state() == VersionState()
    assert versions.record(TWO, 2, "start") == 1


def test_a_state_that_cannot_be_read_for_a_moment_is_not_none(versions, tmp_path, monkeypatch):
    for number in range(3):
        versions.record(b"n = %d\n" % number, number, "reload")
    before = {file: file.read_bytes() for file in (tmp_path / "config-versions").iterdir()}
    real = Path.open

    def opened(self, *args, **more):
        if self.name == "state.json":
            raise OSError(24, "Too many open files", str(self))
        return real(self, *args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", opened)
        for use in (versions.state, versions.confirm, lambda: versions.record(TWO, 9, "reload")):
            with pytest.raises(OSError, match="Too many"):
                use()
    assert {file: file.read_bytes() for file in (tmp_path / "config-versions").iterdir()} == before


def test_what_made_room_for_a_trial_that_did_not_come_about_is_not_named_any_more(versions):
    for number in range(KEPT):
        versions.record(b"n = %d\n" % number, number, "reload")
    before = versions.state()
    versions.begin_trial(TWO, 50, 300)
    versions.restore(before)
    assert numbers(versions) == list(range(2, KEPT + 1)) and versions.state().trial is None
    assert all(versions.text(number) for number in numbers(versions))


def test_a_text_that_is_not_as_it_was_written_is_none(versions, tmp_path):
    versions.record(ONE, 1, "start")
    (tmp_path / "config-versions" / "000001.toml").write_bytes(TWO)
    with pytest.raises(ConfigurationError, match="not as it was written"):
        versions.text(1)
    with pytest.raises(ConfigurationError, match="no version 2"):
        versions.text(2)


def test_what_cannot_be_written_leaves_what_was(versions, tmp_path, monkeypatch):
    versions.record(ONE, 1, "start")
    before = versions.state()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        for write in (lambda: versions.record(TWO, 2, "reload"), lambda: versions.begin_trial(TWO, 2, 3)):
            with pytest.raises(OSError, match="No space"):
                write()
    assert versions.state() == before and versions.text(1) == ONE
    assert sorted(file.name for file in (tmp_path / "config-versions").iterdir()) == ["000001.toml", "state.json"]
    assert json.loads((tmp_path / "config-versions" / "state.json").read_bytes())["trial"] is None
